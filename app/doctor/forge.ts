import type { BoundedAnswer } from '../forge/bounded-fetch.ts';
import { readTokenAnswer, readVersion } from '../forge/forgejo-answer.ts';
import type { Check } from './examine.ts';
import { type Found, fault, fine, skipped, warning } from './finding.ts';
import { type DoctorParts, HOSTED_CLIENT_MS } from './parts.ts';

const SECOND = 1000;
/** A date has whole seconds and has travelled; more than this is the clock. */
const CLOCK_WARNING_MS = 30 * SECOND;
/** Tokens live an hour and codes a minute: beyond this, sign-ins fail. */
const CLOCK_FAULT_MS = 5 * 60 * SECOND;

/** A code that no forge has ever given. */
const NO_CODE = 'fjmcp-broker-doctor';

/** Forgejo as the broker reaches it, its OAuth2 application, and the time that it tells. */
export function forgeChecks(parts: DoctorParts): Check[] {
  const { config, machineFetch } = parts;
  const asked = machineFetch({
    method: 'GET',
    url: `${config.forgejoInternalUrl}/api/v1/version`,
    headers: {},
    timeoutMs: HOSTED_CLIENT_MS,
  });
  return [
    {
      name: 'forge',
      async run() {
        const answer = await asked;
        return [answer.ok ? versionFound(parts, answer.value) : away(parts, answer.error.detail)];
      },
    },
    { name: 'application', run: async () => [await lookAtApplication(parts)] },
    {
      name: 'clock',
      async run() {
        const answer = await asked;
        return [answer.ok ? clockFound(parts, answer.value) : skipped('Forgejo does not answer.')];
      },
    },
  ];
}

function away({ config }: DoctorParts, detail: string): Found {
  return fault(
    `Forgejo at ${config.forgejoInternalUrl} gives no answer: ${detail}.`,
    'Check FORGEJO_INTERNAL_URL (or FORGEJO_URL), its name, its certificate and the firewall.',
  );
}

function versionFound({ config }: DoctorParts, answer: BoundedAnswer): Found {
  const read = readVersion(answer);
  if (!read.ok) {
    return fault(
      `What answers at ${config.forgejoInternalUrl} is no Forgejo: ${read.error.detail}.`,
      'Check FORGEJO_INTERNAL_URL (or FORGEJO_URL).',
    );
  }
  const version = read.value;
  if (version === 'unknown') {
    return fine(`Forgejo answers; it tells its version to nobody who is not signed in.`);
  }
  const major = Number(/^(\d+)\./.exec(version)?.[1]);
  return major >= 7
    ? fine(`Forgejo ${version} answers.`)
    : warning(
        `The forge says that it is version ${version}: Gitea, or a Forgejo before 7.`,
        'Use a Forgejo that is maintained; older ones accept an authorization code twice.',
      );
}

/**
 * A token call with a code that does not exist. Forgejo looks at the client, its secret and its
 * redirect URI before the code, so that the code is what it complains of when all of them are right.
 */
async function lookAtApplication({ config, machineFetch }: DoctorParts): Promise<Found> {
  const redirectUri = `${config.publicOrigin}/oauth/callback`;
  const answer = await machineFetch({
    method: 'POST',
    url: `${config.forgejoInternalUrl}/login/oauth/access_token`,
    headers: {},
    form: new URLSearchParams({
      grant_type: 'authorization_code',
      code: NO_CODE,
      client_id: config.forgejoClientId,
      client_secret: config.forgejoClientSecret.reveal(),
      redirect_uri: redirectUri,
    }),
    timeoutMs: HOSTED_CLIENT_MS,
  });
  if (!answer.ok) return skipped('Forgejo does not answer.');
  const read = readTokenAnswer(answer.value);
  if (read.ok) {
    return fault('Forgejo has given tokens for a code that it never made.', 'Do not use it.');
  }
  const { kind, detail } = read.error;
  if (kind === 'sign_in_again') {
    return fine(`Forgejo knows the client, its secret and ${redirectUri}.`);
  }
  if (kind === 'try_later') return skipped(`Forgejo does not judge now: ${detail}.`);
  return fault(
    `Forgejo refuses the OAuth2 application: ${detail}.`,
    `In Forgejo, Settings, Applications: the client id and secret as configured here, ` +
      `"confidential client", and the redirect URI ${redirectUri}.`,
  );
}

function clockFound({ clock }: DoctorParts, answer: BoundedAnswer): Found {
  const told = Date.parse(answer.headers.get('date') ?? '');
  if (Number.isNaN(told)) return skipped('Forgejo tells no time.');
  const offMs = Math.abs(clock.now() - told);
  const says = `This machine's clock and Forgejo's are ${Math.round(offMs / SECOND)} s apart.`;
  const remedy = 'Keep both in time: systemctl enable --now systemd-timesyncd.';
  if (offMs > CLOCK_FAULT_MS) return fault(says, remedy);
  return offMs > CLOCK_WARNING_MS ? warning(says, remedy) : fine(says);
}
