import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { STORE_KEY_BYTES } from '../../app/base/keyring.ts';
import { systemRandom } from '../../app/base/secret.ts';
import { EXIT } from '../../app/command/command.ts';
import { doctor } from '../../app/command/doctor.ts';
import { grants } from '../../app/command/grants.ts';
import { examine } from '../../app/doctor/examine.ts';
import { type Finding, fine } from '../../app/doctor/finding.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { runCommand } from '../support/run-command.ts';
import { DEMO_CHILD, startSystem, type TestSystem } from '../support/system.ts';

let directory: string;
let system: TestSystem;
let env: Record<string, string>;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-doctor-'));
  const storeKey = systemRandom(STORE_KEY_BYTES);
  const storePath = join(directory, 'store.db');
  const controlSocketPath = join(directory, 'broker.control');
  const keyFile = join(directory, 'store.key');
  const config = join(directory, 'config.toml');
  writeFileSync(keyFile, storeKey, { mode: 0o600 });
  writeFileSync(config, `child_command = ${JSON.stringify(DEMO_CHILD)}\n`);
  system = await startSystem({ config: { storeKey, storePath, controlSocketPath } });
  env = {
    FJMCP_CONFIG: config,
    FJMCP_STORE_PATH: storePath,
    FJMCP_STORE_KEY_FILE: keyFile,
    FJMCP_CONTROL_SOCKET: controlSocketPath,
    FJMCP_PUBLIC_URL: system.origin,
    FJMCP_FORGEJO_URL: system.forge.url,
    FJMCP_FORGEJO_CLIENT_ID: system.config.forgejoClientId,
    FJMCP_FORGEJO_CLIENT_SECRET: system.clientSecret,
  };
});

afterAll(async () => {
  await system.stop();
  rmSync(directory, { recursive: true, force: true });
});

const LOGIN = 'alice\nwonderland\n';

async function findings(
  argv: readonly string[],
  change: Record<string, string> = {},
  input = '',
): Promise<{ readonly exitCode: number; readonly findings: readonly Finding[] }> {
  const ran = await runCommand(doctor, ['--json', ...argv], { ...env, ...change }, input);
  expect(ran.errors).toBe('');
  return { exitCode: ran.exitCode, findings: JSON.parse(ran.out).findings };
}

const of = (all: readonly Finding[], status: Finding['status']) =>
  all.filter((one) => one.status === status).map(({ check, says }) => `${check}: ${says}`);

describe('doctor, beside a broker that is well,', () => {
  it('finds nothing wrong, signs in, lists the tools, and leaves no grant behind', async () => {
    const { exitCode, findings: all } = await findings(['--login', '-'], {}, LOGIN);
    expect([exitCode, of(all, 'fault')]).toEqual([EXIT.stopped, []]);
    const fine = of(all, 'fine').join('\n');
    for (const check of ['broker', 'child', 'store', 'key', 'disk', 'forge', 'application']) {
      expect(fine).toContain(`${check}: `);
    }
    for (const check of ['discovery', 'challenge', 'registration', 'token', 'reach', 'ready']) {
      expect(fine).toContain(`${check}: `);
    }
    expect(fine).toMatch(
      /sign-in: alice signs in \(\d+ ms\)\.\nsign-in: tools\/list names 5 tools/,
    );
    expect(of(all, 'warning').map((one) => one.split(':')[0])).toEqual([
      'sandbox',
      'backup',
      'address',
    ]);
    expect((await runCommand(grants, [], env)).out).toBe('no grants\n');
  });

  it('tells it to a person too, each finding with what to do', async () => {
    const { exitCode, out, errors } = await runCommand(doctor, [], env);
    expect([exitCode, errors]).toEqual([EXIT.stopped, '']);
    expect(out).toMatch(/^ok {6}settings {5}All settings are right\.$/m);
    expect(out).toMatch(/^warning backup {7}There is no backup in /m);
    expect(out).toMatch(/^ {21}-> systemctl enable --now fjmcp-broker-backup\.timer/m);
    expect(out).toMatch(/^- {7}sign-in {6}A whole sign-in and tools\/list need a test login/m);
    expect(out).toMatch(/\n\n0 wrong, 3 to know, \d+ well, 3 not looked at\n$/);
  });

  it('takes the test login from a file that is its owner’s alone', async () => {
    const file = join(directory, 'login');
    writeFileSync(file, LOGIN, { mode: 0o600 });
    const { exitCode, findings: all } = await findings(['--login', file]);
    expect([exitCode, of(all, 'fault')]).toEqual([EXIT.stopped, []]);
    chmodSync(file, 0o640);
    const refused = await runCommand(doctor, ['--login', file], env);
    expect(refused.exitCode).toBe(EXIT.badConfiguration);
    expect(refused.errors).toContain(`others may read ${file}: chmod 600 ${file}`);
  });

  it('says where a sign-in is stuck, and never the password or a secret', async () => {
    const login = 'alice\ncanary-wrong-password\n';
    const { exitCode, out, errors } = await runCommand(doctor, ['--login', '-'], env, login);
    expect([exitCode, errors]).toEqual([EXIT.failed, '']);
    expect(out).toContain('The sign-in is stuck at: sign in as alice and approve.');
    const said = `${out}\n${system.logLines.join('\n')}`;
    for (const secret of ['canary-wrong-password', 'wonderland', system.clientSecret]) {
      expect(said).not.toContain(secret);
    }
  });

  it('calls the same registration of each run one client', async () => {
    const registered = () =>
      system.logLines.filter((line) => line.includes('"client.registered"')).length;
    const before = registered();
    await findings(['--login', '-'], {}, LOGIN);
    await findings(['--login', '-'], {}, LOGIN);
    expect(registered() - before).toBeLessThanOrEqual(0);
  });
});

describe('doctor exits', () => {
  it('1 when something is wrong: the application’s secret', async () => {
    const { exitCode, findings: all } = await findings([], {
      FJMCP_FORGEJO_CLIENT_SECRET: 'gto_x',
    });
    expect(exitCode).toBe(EXIT.failed);
    expect(of(all, 'fault')).toEqual([
      'application: Forgejo refuses the OAuth2 application: ' +
        'the token endpoint says invalid_client: invalid client secret.',
    ]);
  });

  it('1 when no broker runs', async () => {
    const nobody = join(directory, 'nobody');
    const { exitCode, findings: all } = await findings([], { FJMCP_CONTROL_SOCKET: nobody });
    expect(exitCode).toBe(EXIT.failed);
    expect(of(all, 'fault')[0]).toStartWith(`broker: No broker runs that listens on ${nobody}.`);
  });

  it('2 with every fault of the settings, and looks no further', async () => {
    const { exitCode, findings: all } = await findings([], {
      FJMCP_PUBLIC_URL: 'http://mcp.example.org',
      FJMCP_FORGEJO_URL: '',
      FJMCP_FORGJO_URL: 'https://forge.example.org',
    });
    expect(exitCode).toBe(EXIT.badConfiguration);
    expect(all.map(({ check, status }) => [check, status])).toEqual([
      ['settings', 'fault'],
      ['settings', 'fault'],
      ['settings', 'warning'],
    ]);
    for (const { says, remedy } of all) {
      expect(says).toMatch(/[^.]\.$/);
      expect(remedy).toBe('fjmcp-broker --help tells of all settings.');
    }
  });

  it.each([
    [['--password', 'x'], '', '--password'],
    [['now'], '', 'now'],
    [['--login', '/no/such/file'], '', '/no/such/file'],
    [['--login', '-'], '', 'two lines, the login and its password'],
    [['--login', '-'], 'alice\n', 'two lines'],
    [['--login', '-'], 'alice\na\nb\n', 'two lines'],
  ])('2 for %p with %j on standard input, with its usage', async (argv, input, part) => {
    const { exitCode, out, errors } = await runCommand(doctor, argv, env, input);
    expect([exitCode, out]).toEqual([EXIT.badConfiguration, '']);
    expect(errors).toContain(part);
    expect(errors).toContain('usage: fjmcp-broker doctor [--login FILE] ');
  });
});

describe('a look', () => {
  it('that fails or never ends is a finding, and the others are told', async () => {
    const clock = new FakeClock();
    const done = examine(
      [
        { name: 'never', run: () => new Promise(() => undefined) },
        { name: 'fails', run: () => Promise.reject(new TypeError('canary')) },
        { name: 'well', run: async () => [fine('It is well.')] },
      ],
      clock,
    );
    await clock.advance(60_000);
    const found = await done;
    expect(found.map(({ check, status }) => [check, status])).toEqual([
      ['never', 'fault'],
      ['fails', 'fault'],
      ['well', 'fine'],
    ]);
    expect(JSON.stringify(found)).not.toContain('canary');
  });
});
