import { isObject } from '../base/json-object.ts';
import type { Result } from '../base/result.ts';
import type { BoundedAnswer, BoundedRequest, FetchFault } from '../forge/bounded-fetch.ts';
import type { Check } from './examine.ts';
import { type Found, fault, fine, skipped, warning } from './finding.ts';
import { type DoctorParts, HOSTED_CLIENT_MS } from './parts.ts';

/** Where Claude wants to be sent back; it uses both hosts. */
export const CLAUDE_CALLBACKS = [
  'https://claude.ai/api/mcp/auth_callback',
  'https://claude.com/api/mcp/auth_callback',
] as const;

/** An answer that takes longer may be too late behind a slower line. */
const SLOW_MS = 3_000;

const PASS_ON =
  'Let the proxy pass /.well-known/*, /oauth/* and /mcp to the broker as they are: ' +
  'no redirect, no login page, no other path.';

/** What a hosted client reads and asks for before anybody has signed in. */
export function discoveryChecks(parts: DoctorParts): Check[] {
  return [
    { name: 'discovery', run: () => lookAtDocuments(parts) },
    { name: 'challenge', run: async () => [await lookAtChallenge(parts)] },
    { name: 'registration', run: async () => [await lookAtRegistration(parts)] },
    { name: 'token', run: async () => [await lookAtToken(parts)] },
  ];
}

interface Timed {
  readonly answer: Result<BoundedAnswer, FetchFault>;
  readonly ms: number;
}

async function ask(
  { config, clock, machineFetch }: DoctorParts,
  path: string,
  request: Omit<BoundedRequest, 'url' | 'timeoutMs' | 'headers'>,
): Promise<Timed> {
  const startedAt = clock.now();
  const url = `${config.publicOrigin}${path}`;
  const answer = await machineFetch({
    ...{ url, headers: {}, timeoutMs: HOSTED_CLIENT_MS },
    ...request,
  });
  return { answer, ms: clock.now() - startedAt };
}

async function lookAtDocuments(parts: DoctorParts): Promise<readonly Found[]> {
  const { publicOrigin: origin } = parts.config;
  const resource = { resource: `${origin}/mcp`, authorization_servers: [origin] };
  const expected: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
    ['/.well-known/oauth-protected-resource', resource],
    ['/.well-known/oauth-protected-resource/mcp', resource],
    [
      '/.well-known/oauth-authorization-server',
      {
        issuer: origin,
        authorization_endpoint: `${origin}/oauth/authorize`,
        token_endpoint: `${origin}/oauth/token`,
        registration_endpoint: `${origin}/oauth/register`,
        code_challenge_methods_supported: ['S256'],
      },
    ],
  ];
  const found = await Promise.all(
    expected.map(([path, members]) => lookAtDocument(parts, path, members)),
  );
  const wrong = found.filter((one) => one.status !== 'fine');
  return wrong.length > 0 ? wrong : [fine('The three discovery documents are exact.')];
}

async function lookAtDocument(
  parts: DoctorParts,
  path: string,
  members: Readonly<Record<string, unknown>>,
): Promise<Found> {
  const { answer, ms } = await ask(parts, path, { method: 'GET' });
  if (!answer.ok) return unanswered(path, answer.error);
  const { status, headers, text } = answer.value;
  if (status >= 300 && status < 400) {
    return fault(`${path} is redirected (${status}); clients do not follow.`, PASS_ON);
  }
  const body = objectOf(text);
  if (status !== 200 || body === undefined) {
    const type = headers.get('content-type') ?? 'no type';
    return fault(`${path} is answered with status ${status} and ${type}, not JSON.`, PASS_ON);
  }
  const differing = Object.entries(members).find(
    ([name, value]) => !Bun.deepEquals(body[name], value),
  );
  if (differing !== undefined) {
    return fault(
      `${path} says another ${differing[0]} than the settings.`,
      'Something between rewrites it, or another broker answers under this name.',
    );
  }
  return intime(path, ms, `${path} is exact.`);
}

/** RFC 9728 section 5.1: a client that knows only this address learns the rest from the header. */
async function lookAtChallenge(parts: DoctorParts): Promise<Found> {
  const { answer, ms } = await ask(parts, '/mcp', { method: 'POST', json: {} });
  if (!answer.ok) return unanswered('/mcp', answer.error);
  const { status, headers } = answer.value;
  const metadata = `${parts.config.publicOrigin}/.well-known/oauth-protected-resource/mcp`;
  const header = headers.get('www-authenticate') ?? '';
  if (status !== 401 || !header.includes(`resource_metadata="${metadata}"`)) {
    return fault(
      `/mcp without a token is answered with status ${status}, not with 401 and ${metadata}.`,
      PASS_ON,
    );
  }
  return intime('/mcp', ms, '/mcp asks for a sign-in.');
}

/** The same registration gets the same client (RFC 7591), and an unused one goes by itself. */
async function lookAtRegistration(parts: DoctorParts): Promise<Found> {
  const { answer, ms } = await ask(parts, '/oauth/register', {
    method: 'POST',
    json: {
      client_name: 'fjmcp-broker doctor, as Claude',
      redirect_uris: CLAUDE_CALLBACKS,
      token_endpoint_auth_method: 'none',
    },
  });
  if (!answer.ok) return unanswered('/oauth/register', answer.error);
  const { status, text } = answer.value;
  if (status === 429) return skipped('Registrations from this machine are limited now.');
  if (status !== 201) {
    const error = String(objectOf(text)?.error ?? 'no reason');
    return fault(
      `A registration with Claude's addresses is answered with ${status} (${error}).`,
      error === 'no reason'
        ? PASS_ON
        : 'See the line of the registration in the log of the broker.',
    );
  }
  return intime('/oauth/register', ms, `Registration takes both addresses of Claude.`);
}

async function lookAtToken(parts: DoctorParts): Promise<Found> {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    refresh_token: 'fjmcp-broker-doctor',
    client_id: 'fjmcp-broker-doctor',
  });
  const { answer, ms } = await ask(parts, '/oauth/token', { method: 'POST', form });
  if (!answer.ok) return unanswered('/oauth/token', answer.error);
  const { status, text } = answer.value;
  if (status === 429) return skipped('Token calls from this machine are limited now.');
  const error = String(objectOf(text)?.error ?? '');
  return error === 'invalid_client' || error === 'invalid_grant'
    ? intime('/oauth/token', ms, 'The token endpoint answers.')
    : fault(`/oauth/token is answered with status ${status} by something else.`, PASS_ON);
}

function unanswered(path: string, { kind, detail }: FetchFault): Found {
  return kind === 'timeout'
    ? fault(`${path} takes longer than 10 s, and hosted clients give up.`, PASS_ON)
    : fault(`${path} is not answered: ${detail}.`, PASS_ON);
}

function intime(path: string, ms: number, says: string): Found {
  return ms < SLOW_MS
    ? fine(says)
    : warning(`${path} takes ${(ms / 1000).toFixed(1)} s.`, 'Hosted clients give up after 10 s.');
}

function objectOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
