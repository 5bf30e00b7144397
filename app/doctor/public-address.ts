import { counted } from '../base/counted.ts';
import { isPublic, parseAddress } from '../base/network.ts';
import { isLoopback } from '../config/urls.ts';
import type { Check } from './examine.ts';
import { type Found, fault, fine, skipped, warning } from './finding.ts';
import { type DoctorParts, HOSTED_CLIENT_MS } from './parts.ts';

const DAY_MS = 24 * 3_600_000;
/** Authorities that renew by themselves do it a month before; then this is late. */
const CERTIFICATE_LEFT_MS = 14 * DAY_MS;

const ONLY_NEAR = 'Hosted clients such as Claude.ai cannot reach it; clients of this network can.';

/** The public address as the Internet sees it: its form, its name, its certificate, its answer. */
export function publicAddressChecks(parts: DoctorParts): Check[] {
  return [
    { name: 'address', run: async () => [lookAtAddress(parts)] },
    { name: 'dns', run: async () => [await lookAtName(parts)] },
    { name: 'tls', run: async () => lookAtCertificate(parts) },
    { name: 'reach', run: async () => [await lookAtAnswer(parts)] },
    { name: 'ready', run: async () => [await lookAtReadiness(parts)] },
  ];
}

const urlOf = ({ config }: Pick<DoctorParts, 'config'>) => new URL(config.publicOrigin);

function lookAtAddress(parts: DoctorParts): Found {
  const url = urlOf(parts);
  if (isLoopback(url.hostname)) {
    return warning(
      `${url.origin} is an address of this machine alone.`,
      'Set PUBLIC_URL to a name that clients can reach.',
    );
  }
  return url.port === ''
    ? fine(`Clients connect to ${url.origin}/mcp.`)
    : warning(`${url.origin} is not on port 443.`, 'Hosted clients connect to port 443 only.');
}

async function lookAtName(parts: DoctorParts): Promise<Found> {
  const { hostname } = urlOf(parts);
  if (isLoopback(hostname)) return skipped('A loopback address needs no name.');
  let found: readonly string[];
  try {
    found = await parts.lookUp(hostname);
  } catch {
    found = [];
  }
  if (found.length === 0) {
    return fault(`The name ${hostname} has no address.`, `Make an A record for ${hostname}.`);
  }
  const addresses = found.map(parseAddress).filter((address) => address !== undefined);
  const list = found.join(', ');
  if (!addresses.some(isPublic)) {
    return warning(`${hostname} is ${list}: no public address.`, ONLY_NEAR);
  }
  return addresses.some((address) => address.kind() === 'ipv4' && isPublic(address))
    ? fine(`${hostname} is ${list}.`)
    : warning(
        `${hostname} is ${list}: IPv6 alone.`,
        'Make an A record too: several hosted clients use IPv4.',
      );
}

async function lookAtCertificate(parts: DoctorParts): Promise<readonly Found[]> {
  const { machineFetch, hostedFetch, certificateEnd, clock } = parts;
  const url = urlOf(parts);
  if (url.protocol !== 'https:') return [skipped('There is none on loopback.')];
  const request = get(parts, '/healthz');
  const [hosted, machine] = await Promise.all([hostedFetch(request), machineFetch(request)]);
  if (!machine.ok && machine.error.kind === 'untrusted') {
    return [
      fault(
        `The certificate of ${url.host} is not accepted: ${machine.error.detail}.`,
        'Use a certificate for this name with its whole chain; Caddy gets one by itself.',
      ),
    ];
  }
  if (!machine.ok) return [skipped(`${url.host} does not answer.`)];
  const end = await certificateEnd(url.hostname, Number(url.port || 443));
  const leftMs = end === undefined ? undefined : end - clock.now();
  const left =
    leftMs === undefined ? '' : `, for ${counted(Math.floor(leftMs / DAY_MS), 'more day')}`;
  const isPrivate = !hosted.ok && hosted.error.kind === 'untrusted';
  return [
    isPrivate
      ? warning(`The certificate is good for this machine alone${left}.`, ONLY_NEAR)
      : fine(`Everybody accepts the certificate of ${url.host}${left}.`),
    ...(!isPrivate && leftMs !== undefined && leftMs < CERTIFICATE_LEFT_MS
      ? [warning('The certificate ends soon.', 'See why it is not renewed: journalctl -u caddy.')]
      : []),
  ];
}

async function lookAtAnswer(parts: DoctorParts): Promise<Found> {
  const { origin } = urlOf(parts);
  const answer = await parts.machineFetch(get(parts, '/healthz'));
  const remedy = 'Check that the proxy runs, serves this name, and passes all paths to the broker.';
  if (!answer.ok) return fault(`${origin} gives no answer: ${answer.error.detail}.`, remedy);
  const { status, text } = answer.value;
  if (status !== 200 || !text.startsWith('{"status":"ok","version":')) {
    return fault(`${origin} is answered by something else (status ${status}).`, remedy);
  }
  return fine(`${origin} leads to the broker.`);
}

async function lookAtReadiness(parts: DoctorParts): Promise<Found> {
  const answer = await parts.machineFetch(get(parts, '/readyz'));
  if (!answer.ok) return skipped('The broker is not reached.');
  const { status, text } = answer.value;
  if (status === 200) return fine('The broker can do its work.');
  const reasons = [...text.matchAll(/"reason":"([^"]*)"/g)].map(([, reason]) => reason);
  return status === 503 && reasons.length > 0
    ? fault(
        `The broker cannot do its work: ${reasons.join(', ')}.`,
        'See its log and what is above.',
      )
    : skipped(`/readyz is not passed on (status ${status}).`);
}

function get(parts: DoctorParts, path: string) {
  return {
    method: 'GET' as const,
    url: `${urlOf(parts).origin}${path}`,
    headers: {},
    timeoutMs: HOSTED_CLIENT_MS,
  };
}
