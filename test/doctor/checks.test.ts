import { describe, expect, it } from 'bun:test';
import { ownRevision, VERSION } from '../../app/base/version.ts';
import { discoveryChecks } from '../../app/doctor/discovery.ts';
import { forgeChecks } from '../../app/doctor/forge.ts';
import { publicAddressChecks } from '../../app/doctor/public-address.ts';
import { brokerChecks } from '../../app/doctor/running-broker.ts';
import { type DoctorOptions, doctorParts, FORGE, foundBy, ORIGIN } from './parts.ts';

const OWN = { version: VERSION, git: ownRevision() };

/** Status and words of the one thing that a check finds. */
async function found(name: string, options: DoctorOptions = {}): Promise<string> {
  const parts = doctorParts({ examined: OWN, ...options });
  const checks = [
    ...brokerChecks(parts),
    ...forgeChecks(parts),
    ...publicAddressChecks(parts),
    ...discoveryChecks(parts),
  ];
  const all = await foundBy(checks, name);
  // Each says what to do, or that nothing is to be done.
  for (const { status, remedy } of all) {
    expect(status === 'fine' || status === 'skipped').toBe(remedy === undefined);
  }
  return all.map(({ status, says }) => `${status}: ${says}`).join('\n');
}

const answer = (call: string, what: object) => ({ answers: { [call]: what } });
const AWAY = { kind: 'unreachable', detail: 'no answer (ECONNREFUSED)' } as const;
const UNTRUSTED = { kind: 'untrusted', detail: 'the certificate is not accepted (X)' } as const;
const LATE = { kind: 'timeout', detail: 'no whole answer within 10000 ms' } as const;

const NAMES = [
  ...['broker', 'sandbox', 'child', 'forge', 'application', 'clock', 'address', 'dns', 'tls'],
  ...['reach', 'ready', 'discovery', 'challenge', 'registration', 'token'],
];

describe('doctor', () => {
  it('finds all well where all is well', async () => {
    for (const name of NAMES) expect(await found(name)).toStartWith('fine: ');
  });

  it.each([
    ['broker', { examined: 'No broker runs.' }, 'fault: No broker runs.'],
    ['broker', { examined: { ...OWN, version: '0.0.9' } }, 'warning: It runs as 0.0.9'],
    ['broker', { examined: { ...OWN, spawnsBlocked: true } }, 'warning: It starts no programs'],
    ['sandbox', { examined: 'No broker runs.' }, 'skipped: '],
    [
      'sandbox',
      { examined: { sandbox: { kind: 'none', reason: 'there is no bwrap', chosen: false } } },
      'warning: Programs run without a sandbox: there is no bwrap.',
    ],
    [
      'sandbox',
      { examined: { sandbox: { kind: 'bwrap', without: ['size'] } } },
      'warning: Each program runs in a sandbox of its own, without: size.',
    ],
    ['child', { examined: 'No broker runs.' }, 'skipped: '],
    ['child', { examined: { child: { kind: 'forge_away' } } }, 'skipped: '],
    ['child', { examined: { child: { kind: 'silent', detail: 'x' } } }, 'warning: '],
    [
      'child',
      { examined: { child: { kind: 'not_started', detail: 'exit code 127' } } },
      'fault: /usr/local/bin/forgejo-mcp cannot be started: exit code 127.',
    ],
  ] as const)('of the broker: %s %j', async (name, options, says) => {
    expect(await found(name, options as DoctorOptions)).toStartWith(says);
  });

  const version = (text: string) => answer(`GET ${FORGE}/api/v1/version`, { text });
  const token = (status: number, error: string, error_description: string) =>
    answer(`POST ${FORGE}/login/oauth/access_token`, {
      status,
      text: JSON.stringify({ error, error_description }),
    });
  const dated = (offS: number) => ({
    parts: {},
    answers: {
      [`GET ${FORGE}/api/v1/version`]: () => ({
        text: '{"version":"11.0.1"}',
        headers: new Headers({
          date: new Date(doctorParts().clock.now() + offS * 1000).toUTCString(),
        }),
      }),
    },
  });

  it.each([
    ['forge', answer(`GET ${FORGE}/api/v1/version`, AWAY), 'fault: Forgejo at https://git.ex'],
    ['forge', version('<html>'), 'fault: What answers at https://git.example.org is no Forgejo'],
    ['forge', version('{"version":"11.0.1+gitea-1.22.0"}'), 'fine: Forgejo 11.0.1'],
    ['forge', version('{"version":"7.0.8"}'), 'fine: Forgejo 7.0.8'],
    [
      'forge',
      answer(`GET ${FORGE}/api/v1/version`, { status: 403, text: '{"message":"sign in"}' }),
      'fine: Forgejo answers; it tells its version to nobody',
    ],
    ['application', answer(`POST ${FORGE}/login/oauth/access_token`, AWAY), 'skipped: '],
    ['application', token(503, 'x', ''), 'skipped: '],
    [
      'application',
      token(400, 'invalid_client', 'invalid client secret'),
      'fault: Forgejo refuses the OAuth2 application: ',
    ],
    ['application', token(400, 'invalid_client', 'cannot load client with client id'), 'fault: '],
    ['application', token(400, 'unauthorized_client', 'unexpected redirect URI'), 'fault: '],
    [
      'application',
      answer(`POST ${FORGE}/login/oauth/access_token`, { text: '{"access_token":"a"}' }),
      'fault: Forgejo has given tokens for a code that it never made.',
    ],
    ['clock', answer(`GET ${FORGE}/api/v1/version`, AWAY), 'skipped: '],
    ['clock', dated(-30), 'fine: '],
    ['clock', dated(31), 'warning: '],
    ['clock', dated(-300), 'warning: '],
    ['clock', dated(301), 'fault: This machine'],
  ] as const)('of the forge: %s %j', async (name, options, says) => {
    expect(await found(name, options as DoctorOptions)).toStartWith(says);
  });

  it.each(['1.21.11', '1.25.5', '6.0.1'])(
    '[Gitea/Forgejo upstream] warns of version %s, where a code may be used twice',
    async (number) => {
      expect(await found('forge', version(JSON.stringify({ version: number })))).toBe(
        `warning: The forge says that it is version ${number}: Gitea, or a Forgejo before 7.`,
      );
    },
  );

  it('asks Forgejo about the application without telling the secret to anybody', async () => {
    const says = await found('application', token(400, 'invalid_client', 'invalid client secret'));
    expect(says).not.toContain('canary');
  });

  const origin = (publicOrigin: string) => ({ config: { publicOrigin } });
  const name = (...addresses: string[]) => ({ parts: { lookUp: async () => addresses } });
  const until = (days: number) => ({
    parts: { certificateEnd: async () => doctorParts().clock.now() + days * 24 * 3_600_000 },
  });

  it.each([
    ['address', origin('http://127.0.0.1:8080'), 'warning: http://127.0.0.1:8080 is an address of'],
    ['address', origin('https://mcp.example.org:8443'), 'warning: '],
    ['dns', origin('http://localhost:8080'), 'skipped: '],
    ['dns', name(), 'fault: The name mcp.example.org has no address.'],
    ['dns', { parts: { lookUp: () => Promise.reject(new Error('x')) } }, 'fault: '],
    ['dns', name('10.0.0.4'), 'warning: mcp.example.org is 10.0.0.4: no public address.'],
    ['dns', name('127.0.1.1'), 'warning: '],
    ['dns', name('100.64.0.1'), 'warning: '],
    ['dns', name('fd00::1'), 'warning: '],
    ['dns', name('2606:4700::1111'), 'warning: mcp.example.org is 2606:4700::1111: IPv6 alone.'],
    ['dns', name('10.0.0.4', '1.1.1.7'), 'fine: '],
    ['tls', origin('http://localhost:8080'), 'skipped: '],
    ['tls', answer(`GET ${ORIGIN}/healthz`, UNTRUSTED), 'fault: The certificate of mcp.example'],
    ['tls', answer(`GET ${ORIGIN}/healthz`, AWAY), 'skipped: '],
    ['tls', { hosted: { [`GET ${ORIGIN}/healthz`]: UNTRUSTED } }, 'warning: The certificate is'],
    ['tls', until(14), 'fine: Everybody accepts the certificate of mcp.example.org, for 14 more'],
    [
      'tls',
      until(13.9),
      'fine: Everybody accepts the certificate of mcp.example.org, for 13 more days.\n' +
        'warning: The certificate ends soon.',
    ],
    ['reach', answer(`GET ${ORIGIN}/healthz`, AWAY), 'fault: https://mcp.example.org gives no'],
    ['reach', answer(`GET ${ORIGIN}/healthz`, { text: '<html>Sign in' }), 'fault: '],
    ['reach', answer(`GET ${ORIGIN}/healthz`, { status: 302 }), 'fault: '],
    [
      'ready',
      answer(`GET ${ORIGIN}/readyz`, {
        status: 503,
        text: '{"status":"not_ready","reasons":[{"check":"store","reason":"the disk is full"}]}',
      }),
      'fault: The broker cannot do its work: the disk is full.',
    ],
    ['ready', answer(`GET ${ORIGIN}/readyz`, { status: 404 }), 'skipped: '],
  ] as const)('of the public address: %s %j', async (check, options, says) => {
    expect(await found(check, options as unknown as DoctorOptions)).toStartWith(says);
  });

  const server = `GET ${ORIGIN}/.well-known/oauth-authorization-server`;
  const registered = (status: number, text = '') =>
    answer(`POST ${ORIGIN}/oauth/register`, { status, text });

  it.each([
    [
      'discovery',
      answer(server, { status: 302 }),
      'fault: /.well-known/oauth-authorization-server',
    ],
    ['discovery', answer(server, { text: '<html>Sign in' }), 'fault: '],
    ['discovery', answer(server, { status: 404, text: '{}' }), 'fault: '],
    ['discovery', answer(server, LATE), 'fault: /.well-known/oauth-authorization-server takes'],
    [
      'discovery',
      answer(server, { text: `{"issuer":"${ORIGIN}/"}` }),
      'fault: /.well-known/oauth-authorization-server says another issuer than the settings.',
    ],
    ['challenge', answer(`POST ${ORIGIN}/mcp`, { status: 200 }), 'fault: /mcp without a token'],
    ['challenge', answer(`POST ${ORIGIN}/mcp`, { status: 401 }), 'fault: '],
    ['challenge', answer(`POST ${ORIGIN}/mcp`, AWAY), 'fault: '],
    ['registration', registered(400, '{"error":"invalid_redirect_uri"}'), 'fault: A registration'],
    ['registration', registered(200, '<html>'), 'fault: '],
    ['registration', registered(429), 'skipped: '],
    ['token', answer(`POST ${ORIGIN}/oauth/token`, { status: 429 }), 'skipped: '],
    ['token', answer(`POST ${ORIGIN}/oauth/token`, { status: 404 }), 'fault: '],
  ] as const)('of discovery: %s %j', async (check, options, says) => {
    expect(await found(check, options as unknown as DoctorOptions)).toStartWith(says);
  });
});
