import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ErrorCode, McpError } from '@modelcontextprotocol/sdk/types.js';
import { ClientMemory, DemoClient } from '../../app/demo/client.ts';
import { untilGone } from '../support/processes.ts';
import { SkippingClock } from '../support/skipping-clock.ts';
import { startSystem, type TestSystem } from '../support/system.ts';
import {
  callFor,
  connect,
  eventsOf,
  newestChild,
  RefereeTransport,
  rawHeaders,
  revoke,
  whoIs,
} from './sdk-client.ts';

/** What the tests' broker proposes to every client. */
const EVERYTHING = 'forgejo:read forgejo:write forgejo:delete';

const USER_API = '/api/v1/user';

/** What a promise was rejected with; the test fails when it was not. */
async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('the promise was not rejected');
}

async function httpStatus(promise: Promise<unknown>): Promise<number | undefined> {
  const error = await rejection(promise);
  expect(error).toBeInstanceOf(StreamableHTTPError);
  return (error as StreamableHTTPError).code;
}

describe('the official client signs in', () => {
  let system: TestSystem;
  beforeAll(async () => {
    system = await startSystem();
  });
  afterAll(() => system.stop());

  it('gets from a 401 to the answer of a tool, knowing only the URL', async () => {
    const memory = new ClientMemory('Referee');
    const first = new RefereeTransport(system.mcpUrl, memory);
    expect(await rejection(connect(first))).toBeInstanceOf(UnauthorizedError);
    expect(first.exchanges[0]).toMatchObject({
      method: 'POST',
      url: system.mcpUrl,
      status: 401,
    });

    const asked = memory.authorizationUrl ?? new URL('about:blank');
    const redirected = await system.person().authorize(asked, memory.redirectUrl);
    expect(redirected.searchParams.get('state')).toBe(memory.state());
    expect(redirected.searchParams.get('iss')).toBe(system.origin);
    await first.finishAuth(redirected.searchParams.get('code') ?? '');

    const second = new RefereeTransport(system.mcpUrl, memory);
    const client = await connect(second);
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toContain('get_my_user_info');
    expect(await whoIs(client)).toBe('alice');
    expect(memory.current).toMatchObject({ token_type: 'Bearer', scope: EVERYTHING });
    for (const { url } of [...first.exchanges, ...second.exchanges]) {
      expect(new URL(url).origin).toBe(system.origin);
    }
    await client.close();
  });

  it('tells the client that its person refused', async () => {
    const client = system.client();
    const url = await client.startAuthorization();
    const redirected = await system
      .person({ consents: false })
      .authorize(url, client.memory.redirectUrl);
    expect(Object.fromEntries(redirected.searchParams)).toMatchObject({
      error: 'access_denied',
      state: client.memory.state(),
      iss: system.origin,
    });
    await expect(client.finishAuthorization(redirected)).rejects.toThrow('access_denied');
    expect(client.memory.current).toBeUndefined();
  });

  it('asks a person who was signed out of the broker once more, and goes on', async () => {
    const client = await system.connected();
    const before = client.memory.information?.client_id;
    await revoke(system, client.memory);

    const transport = new RefereeTransport(system.mcpUrl, client.memory);
    expect(await rejection(connect(transport))).toBeInstanceOf(UnauthorizedError);
    const asked = client.memory.authorizationUrl ?? new URL('about:blank');
    const back = await system.person().authorize(asked, client.memory.redirectUrl);
    await transport.finishAuth(back.searchParams.get('code') ?? '');
    expect(await whoIs(await client.connect())).toBe('alice');
    expect(client.memory.information?.client_id).toBe(before);
    await client.close();
  });

  it('ends its sign-in although the SDK begins one of its own meanwhile', async () => {
    const answers: string[] = [];
    const client = new DemoClient(
      system.mcpUrl,
      new ClientMemory('Test client'),
      async (...asks) => {
        const response = await fetch(...asks);
        const [url, init] = asks;
        answers.push(`${init?.method ?? 'GET'} ${new URL(url).pathname} ${response.status}`);
        return response;
      },
    );
    await client.authorize(system.person());
    await client.connect();
    const before = answers.length;
    await revoke(system, client.memory);
    client.memory.current = undefined;
    const url = await client.startAuthorization();
    const redirected = await system.person().authorize(url, client.memory.redirectUrl);
    // The stream has ended with the grant; it is asked for again a second later, which is a 401.
    const refused = () => answers.indexOf('GET /mcp 401', before);
    while (refused() < 0) await Bun.sleep(5);
    // Two documents tell the SDK where to sign in, and it begins.
    const read = () =>
      answers.slice(refused()).filter((answer) => answer.includes('/.well-known/'));
    while (read().length < 2) await Bun.sleep(5);
    await Bun.sleep(0);
    await client.finishAuthorization(redirected);
    expect(await whoIs(await client.connect())).toBe('alice');
    await client.close();
  });

  it('refuses the open session of a revoked grant, and sends the client to sign in', async () => {
    const client = await system.connected();
    expect(await whoIs(client.client)).toBe('alice');
    await revoke(system, client.memory);
    expect(await rejection(whoIs(client.client))).toBeInstanceOf(UnauthorizedError);
    // invalid_grant made the SDK forget the tokens, so that it does not try them for ever.
    expect(client.memory.current).toBeUndefined();
    await client.authorize(system.person());
    expect(await whoIs(await client.connect())).toBe('alice');
    await client.close();
  });

  it('registers anew when the broker does not know the client any more', async () => {
    const client = await system.connected();
    client.memory.information = { client_id: 'dcr_forgotten' };
    await client.startAuthorization();
    expect(client.memory.information?.client_id).toStartWith('dcr_');
    expect(client.memory.information?.client_id).not.toBe('dcr_forgotten');
    expect(client.memory.current).toBeUndefined();
    await client.client.close();
  });
});

describe('the official clients of several people', () => {
  const PEOPLE = ['alice', 'bob', 'carol'];
  let system: TestSystem;
  beforeAll(async () => {
    const users = PEOPLE.map((login) => ({ login, password: `password of ${login}` }));
    system = await startSystem({ forge: { users } });
  });
  afterAll(() => system.stop());

  const signedIn = async (login: string, name: string) => {
    const client = system.client(name);
    await client.authorize(system.person({ login, password: `password of ${login}` }));
    await client.connect();
    return client;
  };

  it('never see what is not theirs, all at work at once', async () => {
    const pairs = PEOPLE.flatMap((login) => [1, 2].map((n) => ({ login, name: `${login} ${n}` })));
    const clients = await Promise.all(
      pairs.map(async (pair) => ({ ...pair, client: await signedIn(pair.login, pair.name) })),
    );
    const sessions = new Set(clients.map(({ client }) => client.sessionId));
    expect(sessions.size).toBe(clients.length);

    // Every client counts its requests from nought, so all ids collide.
    const work = clients.flatMap(({ login, name, client }) =>
      [1, 2, 3, 4].map(async (round) => {
        const sdk = client.client;
        const title = `${name}, round ${round}`;
        const own = { owner: login, repo: 'diary' };
        const [who, repositories, issue] = await Promise.all([
          whoIs(sdk),
          callFor<{ full_name: string }[]>(sdk, 'list_my_repos', { page: 1, limit: 50 }),
          callFor<{ title: string; user: { login: string } }>(sdk, 'create_issue', {
            ...own,
            title,
            body: '',
          }),
        ]);
        expect(who).toBe(login);
        expect(repositories.map((each) => each.full_name).sort()).toEqual([
          `${login}/diary`,
          `${login}/garden`,
        ]);
        expect(issue).toMatchObject({ title, user: { login } });
        const other = PEOPLE.find((person) => person !== login) ?? '';
        const diary = callFor(sdk, 'list_repo_issues', { owner: other, repo: 'diary' });
        expect(String(await rejection(diary))).toContain('404');
      }),
    );
    await Promise.all(work);
    for (const login of PEOPLE) {
      const titles = system.forge.issueTitles(login, 'diary');
      expect(titles.length).toBe(8);
      expect(titles.every((title) => title.startsWith(`${login} `))).toBe(true);
    }
    await Promise.all(clients.map(({ client }) => client.close()));
  });

  it('B6: get a 404 for a session of another person, or of another client', async () => {
    const alice = await signedIn('alice', 'first');
    const sessionId = alice.sessionId ?? '';
    for (const stranger of [await signedIn('bob', 'first'), await signedIn('alice', 'second')]) {
      const transport = new RefereeTransport(system.mcpUrl, stranger.memory, sessionId);
      const stolen = await connect(transport);
      expect(await httpStatus(stolen.ping())).toBe(404);
      expect(await httpStatus(transport.terminateSession())).toBe(404);
      await stolen.close();
      await stranger.close();
    }
    // Its owner goes on in it, over a connection of its own.
    const again = await connect(new RefereeTransport(system.mcpUrl, alice.memory, sessionId));
    expect(await whoIs(again)).toBe('alice');
    await alice.close();
  });

  it('who are sent away by the forge do not hinder the others', async () => {
    const bob = await signedIn('bob', 'Bob');
    const carol = await signedIn('carol', 'Carol');
    system.forge.revokeGrant('carol');
    expect(String(await rejection(whoIs(carol.client)))).toContain('401');
    expect(await whoIs(bob.client)).toBe('bob');
    await Promise.all([bob.close(), carol.close()]);
  });
});

describe('a session of the official client', () => {
  let system: TestSystem;
  beforeAll(async () => {
    system = await startSystem();
  });
  afterAll(() => system.stop());

  it('is opened with a session id and the newest version that both speak', async () => {
    const client = await system.connected();
    expect(client.sessionId).toMatch(/^[A-Za-z0-9_-]{32}$/);
    expect(client.client.getServerVersion()?.name).toBe('Forgejo MCP Server');
    expect(client.client.getServerCapabilities()).toEqual({
      logging: {},
      resources: {},
      tools: { listChanged: true },
    });
    expect(eventsOf(system, 'session.opened').at(-1)).toMatchObject({
      login: 'alice',
      protocolVersion: '2025-11-25',
    });
    await client.close();
  });

  it('answers twenty calls at once, each with its own answer', async () => {
    const client = await system.connected();
    const titles = Array.from({ length: 20 }, (_, n) => `issue number ${n}`);
    const answers = await Promise.all(
      titles.map((title) =>
        callFor<{ title: string }>(client.client, 'create_issue', {
          owner: 'alice',
          repo: 'garden',
          title,
          body: '',
        }),
      ),
    );
    expect(answers.map(({ title }) => title)).toEqual(titles);
    await client.close();
  });

  it('carries what the program says, its errors included', async () => {
    const demo = await system.connected();
    const { client } = demo;
    await client.ping();
    await client.setLoggingLevel('warning');
    expect(await client.listResources()).toEqual({ resources: [] });
    expect(await rejection(client.listPrompts())).toMatchObject({ code: ErrorCode.MethodNotFound });
    expect(await rejection(client.callTool({ name: 'no_such_tool' }))).toMatchObject({
      code: ErrorCode.InvalidParams,
    });
    const incomplete = client.callTool({ name: 'create_issue', arguments: { owner: 'alice' } });
    expect(await rejection(incomplete)).toMatchObject({ code: ErrorCode.InternalError });
    await demo.close();
  });

  it('waits for a slow answer on an event stream', async () => {
    const clock = new SkippingClock();
    const slow = await startSystem({ clock });
    try {
      const { memory } = await slow.connected();
      const transport = new RefereeTransport(slow.mcpUrl, memory);
      const client = await connect(transport);
      const held = slow.forge.faults.set({ kind: 'hold' }, { on: USER_API });
      const answer = whoIs(client);
      await held.reached;
      clock.skip(1000);
      held.release();
      expect(await answer).toBe('alice');
      expect(transport.exchanges.at(-1)).toMatchObject({
        method: 'POST',
        status: 200,
        contentType: 'text/event-stream',
      });
      await client.close();
    } finally {
      await slow.stop();
    }
  });

  it('is told when its person cancels a call, and goes on', async () => {
    const client = await system.connected();
    const held = system.forge.faults.set({ kind: 'hold' }, { on: USER_API, times: 1 });
    const abort = new AbortController();
    const cancelled = rejection(
      client.client.callTool({ name: 'get_my_user_info' }, undefined, { signal: abort.signal }),
    );
    await held.reached;
    abort.abort('the person has lost patience');
    expect(String(await cancelled)).toContain('lost patience');
    expect(await whoIs(client.client)).toBe('alice');
    held.release();
    await client.close();
  });

  it('ends with DELETE: its next call is a 404, and a new connection works', async () => {
    const client = await system.connected();
    const headers = rawHeaders(client.memory, client.sessionId ?? '');
    const deleted = await fetch(system.mcpUrl, { method: 'DELETE', headers });
    expect(deleted.status).toBe(204);
    expect(await httpStatus(whoIs(client.client))).toBe(404);
    expect(await whoIs(await client.connect())).toBe('alice');
    await client.close();
  });

  it('ends with terminateSession of the SDK, and its program with it', async () => {
    const { memory } = await system.connected();
    const transport = new RefereeTransport(system.mcpUrl, memory);
    const client = await connect(transport);
    const pid = newestChild(system);
    const sessionId = transport.sessionId ?? '';
    await transport.terminateSession();
    expect(transport.sessionId).toBeUndefined();
    await untilGone(pid);
    // That it leaves by itself when it has the time for it is a test of the supervisor.
    const exited = () => eventsOf(system, 'child.exited').find((line) => line.pid === pid);
    while (exited() === undefined) await Bun.sleep(5);
    expect(exited()).toMatchObject({ reason: 'closed' });
    const again = await connect(new RefereeTransport(system.mcpUrl, memory, sessionId));
    expect(await httpStatus(again.ping())).toBe(404);
    await Promise.all([client.close(), again.close()]);
  });

  it('whose program dies in the middle of a call gives a JSON-RPC error', async () => {
    const client = await system.connected();
    const pid = newestChild(system);
    const held = system.forge.faults.set({ kind: 'hold' }, { on: USER_API, times: 1 });
    const failed = rejection(whoIs(client.client));
    await held.reached;
    process.kill(pid, 'SIGKILL');
    const error = await failed;
    held.release();
    expect(error).toBeInstanceOf(McpError);
    expect(error).toMatchObject({ code: ErrorCode.ConnectionClosed });
    expect(String(error)).toContain('the program of this session ended');

    const { sessionId } = client;
    expect(await whoIs(client.client)).toBe('alice');
    expect(client.sessionId).toBe(sessionId);
    await client.close();
  });

  it('goes on after a restart of the broker under its id, and so does the sign-in', async () => {
    const own = await startSystem();
    try {
      const client = await own.connected();
      const tokens = client.memory.current;
      const { sessionId } = client;
      await own.restart();
      expect(await whoIs(client.client)).toBe('alice');
      expect(client.sessionId).toBe(sessionId);
      expect(client.memory.current === tokens).toBe(true);
      await client.close();
    } finally {
      await own.stop();
    }
  });
});

describe('the official client, when time passes', () => {
  const MINUTE_MS = 60_000;
  let clock: SkippingClock;
  let system: TestSystem;
  beforeAll(async () => {
    clock = new SkippingClock();
    const config = { accessTokenTtlMs: MINUTE_MS, sessionIdleTimeoutMs: 10 * MINUTE_MS };
    system = await startSystem({ clock, config, forge: { clock } });
  });
  afterAll(() => system.stop());

  it('refreshes an expired access token by itself and goes on in its session', async () => {
    const client = await system.connected();
    const { sessionId } = client;
    for (let time = 1; time <= 3; time += 1) {
      const before = client.memory.current;
      clock.skip(MINUTE_MS);
      expect(await whoIs(client.client)).toBe('alice');
      expect(client.memory.current?.access_token).not.toBe(before?.access_token ?? '');
      expect(client.memory.current?.refresh_token).not.toBe(before?.refresh_token ?? '');
      expect(client.memory.current?.scope).toBe(EVERYTHING);
      expect(client.sessionId).toBe(sessionId ?? '');
    }
    await client.close();
  });

  it('takes up its refresh token for a new connection after a long time', async () => {
    const client = await system.connected();
    await client.close();
    clock.skip(24 * 60 * MINUTE_MS);
    // The forge's own token has expired too, and was renewed before the program started.
    expect(await whoIs(await client.connect())).toBe('alice');
    await client.close();
  });

  it('goes on in a session whose program was stopped because nobody used it', async () => {
    const client = await system.connected();
    const { sessionId } = client;
    clock.skip(10 * MINUTE_MS);
    expect(await whoIs(client.client)).toBe('alice');
    expect(client.sessionId).toBe(sessionId);
    expect(eventsOf(system, 'session.detached').at(-1)).toMatchObject({ reason: 'idle' });
    await client.close();
  });

  it('B7: asks its person at the next try when the forge had refused the account', async () => {
    const client = await system.connected();
    await client.close();
    system.forge.revokeGrant('alice');
    clock.skip(60 * MINUTE_MS);
    // It has just refreshed its own expired token, and the SDK does not ask twice in one call.
    expect(await httpStatus(client.connect())).toBe(401);
    expect(await rejection(client.connect())).toBeInstanceOf(UnauthorizedError);
    await client.authorize(system.person());
    expect(await whoIs(await client.connect())).toBe('alice');
    await client.close();
  });

  it('B7: is told to come later, and keeps its sign-in, while the forge is away', async () => {
    const client = await system.connected();
    await client.close();
    const tokens = client.memory.current;
    system.forge.faults.set({ kind: 'refuse' });
    const error = await rejection(client.connect());
    system.forge.faults.clear();
    expect(error).toMatchObject({ code: 503 });
    expect(String(error)).toContain('Forgejo cannot be reached now');
    expect(client.memory.current === tokens).toBe(true);
    expect(await whoIs(await client.connect())).toBe('alice');
    await client.close();
  });
});

describe('the official client that is turned away', () => {
  it('B7: sends its person to sign in at once when only the forge refuses', async () => {
    const clock = new SkippingClock();
    const system = await startSystem({ clock, forge: { clock } });
    try {
      const client = await system.connected();
      await client.close();
      system.forge.revokeGrant('alice');
      clock.skip(60 * 60_000);
      expect(await rejection(client.connect())).toBeInstanceOf(UnauthorizedError);
      expect(client.memory.current).toBeUndefined();
      await client.authorize(system.person());
      expect(await whoIs(await client.connect())).toBe('alice');
      await client.close();
    } finally {
      await system.stop();
    }
  });

  it('is told nothing of a limit while one of its programs is idle: that one makes room', async () => {
    const system = await startSystem({ config: { maxSessionsPerUser: 2 } });
    try {
      const { memory, client } = await system.connected();
      const second = await connect(new RefereeTransport(system.mcpUrl, memory));
      const third = await connect(new RefereeTransport(system.mcpUrl, memory));
      for (const each of [client, second, third, client]) expect(await whoIs(each)).toBe('alice');
      await Promise.all([client.close(), second.close(), third.close()]);
    } finally {
      await system.stop();
    }
  });
});
