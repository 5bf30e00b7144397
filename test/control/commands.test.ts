import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT } from '../../app/command/command.ts';
import { grants } from '../../app/command/grants.ts';
import { revoke } from '../../app/command/revoke.ts';
import { sessions } from '../../app/command/sessions.ts';
import { shownAge, shownJson, shownTable, shownText } from '../../app/command/shown.ts';
import type { DemoClient } from '../../app/demo/client.ts';
import { isAlive, untilGone } from '../support/processes.ts';
import { runCommand } from '../support/run-command.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

/** What the tests' broker proposes to every client. */
const EVERYTHING = 'forgejo:read forgejo:write forgejo:delete';

const COMMANDS = { sessions, grants, revoke };

let directory = '';
let socket = '';
let system: TestSystem;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-control-'));
  socket = join(directory, 'broker.control');
  system = await startSystem({ config: { controlSocketPath: socket } });
});

afterAll(async () => {
  await system.stop();
  rmSync(directory, { recursive: true, force: true });
});

const run = (
  name: keyof typeof COMMANDS,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = { FJMCP_CONTROL_SOCKET: socket },
) => runCommand(COMMANDS[name], argv, env);

async function listed(name: 'sessions' | 'grants', ...argv: string[]) {
  const { exitCode, out, errors } = await run(name, ['--json', ...argv]);
  expect([exitCode, errors]).toEqual([EXIT.stopped, '']);
  return JSON.parse(out).rows as Record<string, string | number | null | object>[];
}

let clients = 0;

/** A client like no other: sessions of one client go on while any of its grants lives. */
async function connect(
  login: string,
  password: string,
  choices: Record<string, string[]> = {},
): Promise<DemoClient> {
  clients += 1;
  const client = system.client(`Editor ${clients} of ${login}`);
  await client.authorize(system.person({ login, password, choices }));
  await client.connect();
  return client;
}

const alice = () => connect('alice', 'wonderland');
const bob = () => connect('bob', 'workshop');

/** What the broker says to the next request of a client, as bare HTTP. */
async function statusOf(client: DemoClient): Promise<number> {
  const response = await fetch(system.mcpUrl, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${client.memory.current?.access_token}`,
      'mcp-session-id': client.sessionId ?? '',
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
  });
  await response.body?.cancel();
  return response.status;
}

describe('the lists', () => {
  it('show who is connected with what, and nothing that opens anything', async () => {
    expect((await run('sessions', [])).out).toBe('no sessions\n');
    expect((await run('grants', [])).out).toBe('no grants\n');
    const client = await alice();
    const [session] = await listed('sessions');
    const [grant] = await listed('grants');
    expect(session).toMatchObject({
      id: expect.stringMatching(/^[\w-]{8}$/),
      login: 'alice',
      clientName: 'Editor 1 of alice',
      clientId: client.memory.information?.client_id ?? '',
      grantId: grant?.id ?? '',
      callsWaiting: 0,
    });
    expect(grant).toMatchObject({
      login: 'alice',
      accountState: 'active',
      scope: EVERYTHING,
      limits: { toolsets: 'all', targets: 'all' },
    });
    expect(isAlive(Number(session?.pid))).toBe(true);

    const texts = await Promise.all(
      (['sessions', 'grants'] as const).flatMap((name) => [run(name, []), run(name, ['--json'])]),
    );
    const said = texts.map(({ out }) => out).join('');
    expect(said).toContain(`pid ${session?.pid}`);
    expect(said).toContain('1 session, 1 with a program');
    expect(said).toContain('1 grant\n');
    const { access_token, refresh_token } = client.memory.current ?? {};
    for (const secret of [client.sessionId, access_token, refresh_token, system.clientSecret]) {
      expect(said).not.toContain(secret ?? 'a secret is missing');
    }
    expect(said).not.toMatch(/fjmcp_(at|rt|ac|cs)_|eyJ/);
    await client.close();
  });

  it('tell how far a person has narrowed a grant', async () => {
    const client = await connect('alice', 'wonderland', {
      scope: ['forgejo:read'],
      toolset: ['issues', 'wiki'],
      targets: ['acme/* alice/garden acme'],
    });
    const clientId = client.memory.information?.client_id ?? '';
    expect((await listed('grants', '--client', clientId))[0]).toMatchObject({
      scope: 'forgejo:read',
      limits: { toolsets: ['issues', 'wiki'], targets: ['acme', 'acme/*', 'alice/garden'] },
    });
    const { out } = await run('grants', ['--client', clientId]);
    expect(out).toContain('forgejo:read  2 toolsets, 3 places  ');
    await client.close();
  });

  it('hold what a login or a client id is asked for', async () => {
    const [one, two] = [await alice(), await bob()];
    const clientId = two.memory.information?.client_id ?? '';
    expect((await listed('sessions', '--login', 'BOB')).map(({ login }) => login)).toEqual(['bob']);
    expect(await listed('sessions', '--client', clientId)).toHaveLength(1);
    expect(await listed('sessions', '--login', 'alice', '--client', clientId)).toEqual([]);
    expect((await listed('grants', '--login', 'bob')).map(({ login }) => login)).toEqual(['bob']);
    await one.close();
    await two.close();
  });
});

describe('revoke', () => {
  it('ends a grant: 401 at the next request, the program gone, and no other harmed', async () => {
    const [one, two] = [await alice(), await bob()];
    const [session] = await listed('sessions', '--login', 'alice');
    const grant = String(session?.grantId);
    const revoked = await run('revoke', ['--grant', grant]);
    expect(revoked).toEqual({ exitCode: 0, out: `ended: 1 grant (${grant})\n`, errors: '' });
    expect(await statusOf(one)).toBe(401);
    expect(await statusOf(two)).toBe(200);
    await untilGone(Number(session?.pid));
    const again = await run('revoke', ['--grant', grant]);
    expect(again).toMatchObject({ exitCode: EXIT.failed, out: '' });
    expect(again.errors).toBe(`fjmcp-broker revoke: There is no live grant ${grant}.\n`);
    await two.close();
  });

  it('ends a session: 404 at the next request, the grant goes on', async () => {
    const client = await alice();
    const clientId = client.memory.information?.client_id ?? '';
    const [session] = await listed('sessions', '--client', clientId);
    const { out, exitCode } = await run('revoke', [`--session=${session?.id}`, '--json']);
    expect(exitCode).toBe(EXIT.stopped);
    expect(JSON.parse(out)).toEqual({ grants: [], sessions: [String(session?.id)] });
    expect(await statusOf(client)).toBe(404);
    await untilGone(Number(session?.pid));
    await client.connect();
    expect(await statusOf(client)).toBe(200);
    expect(await run('revoke', [`--session=${session?.id}`])).toMatchObject({
      exitCode: EXIT.failed,
      errors: `fjmcp-broker revoke: There is no session ${session?.id}.\n`,
    });
    await client.close();
  });

  it('ends all that a person has allowed, and nothing of others', async () => {
    const connected = [await alice(), await alice(), await bob()];
    const { exitCode, out } = await run('revoke', ['--login', 'Alice']);
    expect(exitCode).toBe(EXIT.stopped);
    expect(out).toMatch(/^ended: \d+ grants \(g_/);
    expect(await Promise.all(connected.map(statusOf))).toEqual([401, 401, 200]);
    expect(await listed('grants', '--login', 'alice')).toEqual([]);
    expect(await listed('grants', '--login', 'bob')).not.toEqual([]);
    expect(await run('revoke', ['--login', 'alice'])).toMatchObject({
      errors: 'fjmcp-broker revoke: There is no live grant of alice.\n',
    });
    await connected[2]?.close();
  });

  it('ends a session that has no program, also one of an earlier run of the broker', async () => {
    const client = await alice();
    const clientId = client.memory.information?.client_id ?? '';
    const [before] = await listed('sessions', '--client', clientId);
    await system.restart();
    const [session] = await listed('sessions', '--client', clientId);
    expect(session).toEqual({ ...before, pid: null, lastUsedAt: expect.any(Number) } as never);
    expect((await run('sessions', ['--client', clientId])).out).toContain('1 session, 0 with');
    expect(await run('revoke', [`--session=${session?.id}`])).toMatchObject({ exitCode: 0 });
    expect(await statusOf(client)).toBe(404);
    expect(await listed('sessions', '--client', clientId)).toEqual([]);
  });

  it('is told in the log, with its origin', () => {
    const ended = system.logLines.filter((line) => line.includes('"grant.ended"'));
    expect(ended.length).toBeGreaterThan(0);
    for (const line of ended) expect(JSON.parse(line)).toMatchObject({ by: 'control' });
    expect(system.logLines.some((line) => line.includes('control.session_ended'))).toBe(true);
  });

  it.each([
    [[], 'it is not said what to revoke.'],
    [['--grant', 'g_1', '--login', 'alice'], 'one thing is revoked at a time.'],
    [['g_1'], 'g_1'],
    [['--everything'], '--everything'],
    [['--session'], '--session'],
  ])('refuses %p with its usage, and exits 2', async (argv, part) => {
    const { exitCode, out, errors } = await run('revoke', argv);
    expect([exitCode, out]).toEqual([EXIT.badConfiguration, '']);
    expect(errors).toContain(part);
    expect(errors).toContain(
      'usage: fjmcp-broker revoke [--grant ID] [--session ID] [--login LOGIN]',
    );
  });
});

describe('a command', () => {
  it('finds the broker beside its store, and needs nothing else of the configuration', async () => {
    const store = join(directory, 'store.sqlite');
    const file = join(directory, 'config.toml');
    writeFileSync(file, `store_path = ${JSON.stringify(store)}\n`);
    const heard: string[] = [];
    const server = createServer((client) => {
      client.on('data', (chunk) => {
        heard.push(String(chunk));
        client.end('{"version":1,"ok":true,"result":{"rows":[],"more":false}}\n');
      });
    });
    await new Promise<void>((resolve) => server.listen(`${store}.control`, resolve));
    for (const [argv, env] of [
      [['--store-path', store], {}],
      [[], { FJMCP_STORE_PATH: store }],
      [['--config', file], {}],
    ] as const) {
      expect(await run('sessions', argv, env)).toMatchObject({ exitCode: 0, out: 'no sessions\n' });
    }
    expect(heard).toHaveLength(3);
    await new Promise((resolve) => server.close(resolve));
  });

  it('exits 2 when nothing says where the broker is', async () => {
    const { exitCode, errors } = await run('grants', [], {});
    expect(exitCode).toBe(EXIT.badConfiguration);
    expect(errors).toContain('--control-socket (FJMCP_CONTROL_SOCKET, control_socket)');
    expect(errors).toContain('--store-path (FJMCP_STORE_PATH, store_path)');
  });

  it('exits 1 with a sentence when no broker runs', async () => {
    const nobody = join(directory, 'nobody');
    for (const name of ['sessions', 'grants'] as const) {
      const { exitCode, out, errors } = await run(name, ['--control-socket', nobody], {});
      expect([exitCode, out]).toEqual([EXIT.failed, '']);
      expect(errors).toStartWith(`fjmcp-broker ${name}: No broker runs that listens on ${nobody}.`);
    }
  });

  it('lets no name of a client move the cursor or turn text around', async () => {
    const name = 'Safe\u001b[2J\u009b31m\u202eevil\r\nnew line\u2028';
    const client = system.client(name);
    await client.authorize(system.person({ login: 'bob', password: 'workshop' }));
    await client.connect();
    for (const argv of [[], ['--json']]) {
      const { out } = await run('sessions', argv);
      expect(out).toContain('Safe');
      expect(out.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    }
    await client.close();
  });
});

describe('what is shown', () => {
  it('is cut at forty letters, and as wide as it looks', () => {
    expect(shownText('x'.repeat(40))).toBe('x'.repeat(40));
    expect(shownText('x'.repeat(41))).toBe(`${'x'.repeat(39)}…`);
    expect(
      shownTable(
        ['A', 'B'],
        [
          ['漢字', '1'],
          ['abc', '2'],
        ],
      ),
    ).toBe('A     B\n漢字  1\nabc   2\n');
  });

  it('is JSON that says the same as before', () => {
    const value = { name: 'a\u001b\u202e\u{e0001}b', lines: 'one\ntwo' };
    expect(JSON.parse(shownJson(value))).toEqual(value);
  });

  it('tells ages in one unit', () => {
    const ages = [0, 59, 60, 3599, 3600, 47 * 3600, 48 * 3600].map((s) => shownAge(0, s * 1000));
    expect(ages).toEqual(['0 s', '59 s', '1 m', '59 m', '1 h', '47 h', '2 d']);
    expect(shownAge(null, 0)).toBe('never');
    expect(shownAge(1000, 0)).toBe('0 s');
  });
});
