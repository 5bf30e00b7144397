import { err, ok } from '../../app/base/result.ts';
import { Secret } from '../../app/base/secret.ts';
import type { LoadedConfig } from '../../app/config.ts';
import type { Examined } from '../../app/control/protocol.ts';
import type { Check } from '../../app/doctor/examine.ts';
import type { Found } from '../../app/doctor/finding.ts';
import type { DoctorParts } from '../../app/doctor/parts.ts';
import type {
  BoundedAnswer,
  BoundedFetch,
  BoundedRequest,
  FetchFault,
} from '../../app/forge/bounded-fetch.ts';
import { authorizationServerMetadata } from '../../app/oauth/metadata.ts';
import { createScopeLimits } from '../../app/tools/scope-limits.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testConfig } from '../support/system.ts';

export const ORIGIN = 'https://mcp.example.org';
export const FORGE = 'https://git.example.org';

/** What a server says to a request; a fault is a call without an answer. */
export type Answer = Partial<BoundedAnswer> | FetchFault;
export type Answers = Readonly<Record<string, Answer | ((request: BoundedRequest) => Answer)>>;

/** What a broker that is well says of itself. */
export const EXAMINED: Examined = {
  version: '0.1.0',
  git: 'unknown',
  keyId: '',
  successorsOfEarlierKeys: 0,
  programs: 2,
  spawnsBlocked: false,
  sandbox: { kind: 'bwrap', without: [] },
  child: { kind: 'answered' },
};

const RESOURCE = JSON.stringify({ resource: `${ORIGIN}/mcp`, authorization_servers: [ORIGIN] });
const METADATA = `${ORIGIN}/.well-known/oauth-protected-resource/mcp`;

const SCOPES = createScopeLimits(() => ({
  maxScope: 'forgejo:delete',
  defaultScope: 'forgejo:write',
}));

/** How everything answers when all is well, by method and address. */
export const WELL: Answers = {
  [`GET ${FORGE}/api/v1/version`]: { text: '{"version":"11.0.1"}' },
  [`POST ${FORGE}/login/oauth/access_token`]: {
    status: 400,
    text: '{"error":"unauthorized_client","error_description":"client is not authorized"}',
  },
  [`GET ${ORIGIN}/healthz`]: { text: '{"status":"ok","version":"0.1.0","git":"unknown"}' },
  [`GET ${ORIGIN}/readyz`]: { text: '{"status":"ready"}' },
  [`GET ${ORIGIN}/.well-known/oauth-protected-resource`]: { text: RESOURCE },
  [`GET ${METADATA}`]: { text: RESOURCE },
  [`GET ${ORIGIN}/.well-known/oauth-authorization-server`]: {
    text: JSON.stringify(authorizationServerMetadata({ publicOrigin: ORIGIN, scopes: SCOPES })),
  },
  [`POST ${ORIGIN}/mcp`]: {
    status: 401,
    headers: new Headers({ 'www-authenticate': `Bearer resource_metadata="${METADATA}"` }),
  },
  [`POST ${ORIGIN}/oauth/register`]: { status: 201, text: '{"client_id":"dcr_1"}' },
  [`POST ${ORIGIN}/oauth/token`]: { status: 401, text: '{"error":"invalid_client"}' },
};

export interface DoctorOptions {
  readonly config?: Partial<LoadedConfig>;
  readonly answers?: Answers;
  /** Those of a client that trusts nobody but the public authorities, where they differ. */
  readonly hosted?: Answers;
  readonly parts?: Partial<Omit<DoctorParts, 'clock'>>;
  /** What the broker says of itself; a text: why it says nothing. */
  readonly examined?: Partial<Examined> | string;
}

/** Parts of a doctor for whom all is well, but for what is changed. */
export function doctorParts(options: DoctorOptions = {}): DoctorParts & { clock: FakeClock } {
  const clock = new FakeClock();
  const { examined = {} } = options;
  const answers = { ...WELL, ...options.answers };
  return {
    config: {
      ...testConfig({
        port: 8080,
        origin: ORIGIN,
        forge: { url: FORGE },
        clientSecret: 'canary-client-secret',
        directory: '/nowhere',
        storeKey: new Uint8Array(32).fill(7),
      }),
      forgejoClientSecret: new Secret('canary-client-secret'),
      childCommand: ['/usr/local/bin/forgejo-mcp'],
      warnings: [],
      ...options.config,
    },
    clock,
    machineFetch: fetchOf(answers, clock),
    hostedFetch: fetchOf({ ...answers, ...options.hosted }, clock),
    clientFetch: () => Promise.reject(new Error('nobody signs in here')),
    askBroker: async () =>
      typeof examined === 'string' ? err(examined) : ok({ ...EXAMINED, ...examined }),
    lookUp: async () => ['1.1.1.7', '2606:4700::1111'],
    certificateEnd: async () => clock.now() + 60 * 24 * 3_600_000,
    freeBytes: () => 100 * 1024 ** 3,
    backupDirectory: '/nowhere/backups',
    testLogin: undefined,
    ...options.parts,
  };
}

/** What the check of that name finds. */
export async function foundBy(checks: readonly Check[], name: string): Promise<readonly Found[]> {
  const check = checks.find((one) => one.name === name);
  if (check === undefined) throw new Error(`there is no check ${name}`);
  return check.run();
}

function fetchOf(answers: Answers, clock: FakeClock): BoundedFetch {
  return async (request) => {
    const given = answers[`${request.method} ${request.url}`];
    if (given === undefined) return err({ kind: 'unreachable', detail: 'no answer (nobody)' });
    const answer = typeof given === 'function' ? given(request) : given;
    if ('kind' in answer) return err(answer);
    const headers = new Headers({ date: new Date(clock.now()).toUTCString() });
    answer.headers?.forEach((value, name) => {
      headers.set(name, value);
    });
    return ok({ status: 200, text: '', ...answer, headers });
  };
}
