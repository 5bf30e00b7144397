import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { fixtureCommand } from '../support/fixture-supervisor.ts';
import { expectNothingInternal } from '../support/internals.ts';
import { RawClient, rpcAnswer } from '../support/raw-client.ts';
import { accessTokenOf, alice, bob } from '../support/sign-in.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

let system: TestSystem;
let aliceToken: string;
let bobToken: string;

beforeEach(async () => {
  system = await startSystem({
    config: {
      childCommand: fixtureCommand(),
      maxSessions: 3,
      maxSessionsPerUser: 2,
      maxClients: 4,
    },
  });
  aliceToken = await accessTokenOf(system.mcpUrl, alice());
  bobToken = await accessTokenOf(system.mcpUrl, bob());
});

afterEach(async () => {
  await system.stop();
});

async function opened(token: string): Promise<RawClient> {
  const client = new RawClient(system.mcpUrl, token);
  expect((await client.initialize()).status).toBe(200);
  return client;
}

async function expectLimit(token: string, name: string): Promise<void> {
  const answer = await new RawClient(system.mcpUrl, token).initialize();
  expect(answer.status).toBe(503);
  expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  expect(answer.headers.get('mcp-session-id')).toBeNull();
  const { error } = await rpcAnswer(answer);
  expect(expectNothingInternal(error?.message ?? '')).toContain(`(${name})`);
}

const children = async () => (await system.broker.metrics.children.get()).values[0]?.value ?? 0;

/** A session with a call under way, which is answered only by the end of the session. */
async function busy(token: string): Promise<RawClient> {
  const client = await opened(token);
  void client.call('hang').catch(() => undefined);
  // Calls go to the child in order: this answer says that the other one is there.
  expect((await client.call('echo')).status).toBe(200);
  return client;
}

const end = (client: RawClient) =>
  fetch(system.mcpUrl, { method: 'DELETE', headers: client.headers() });

describe('the number of sessions', () => {
  it('of one person ends at MAX_SESSIONS_PER_USER, over all clients; others are free', async () => {
    const first = await busy(aliceToken);
    await busy(await accessTokenOf(system.mcpUrl, alice()));
    await expectLimit(aliceToken, 'MAX_SESSIONS_PER_USER');
    expect(await children()).toBe(2);
    await opened(bobToken);

    await end(first);
    await opened(aliceToken);
  });

  it('of all ends at MAX_SESSIONS, and what is there goes on', async () => {
    const clients = [await busy(aliceToken), await busy(aliceToken), await busy(bobToken)];
    await expectLimit(bobToken, 'MAX_SESSIONS');
    expect(await children()).toBe(3);
    for (const client of clients) expect((await client.call('echo')).status).toBe(200);

    await end(clients[0] as RawClient);
    await opened(bobToken);
  });

  it('has room at its limit where a session is idle: its program ends, no busy one does', async () => {
    const working = await busy(aliceToken);
    const idle = await opened(aliceToken);
    const others = await opened(bobToken);
    const next = await opened(aliceToken);
    for (const client of [working, others, next, idle]) {
      expect((await client.call('echo')).status).toBe(200);
    }
    expect(await children()).toBe(3);
  });

  it('is not exceeded by many at once', async () => {
    const statuses = await Promise.all(
      [aliceToken, bobToken, aliceToken, bobToken, aliceToken, bobToken].map(
        async (token) => (await new RawClient(system.mcpUrl, token).initialize()).status,
      ),
    );
    expect(new Set(statuses)).toEqual(new Set([200, 503]));
    expect(await children()).toBe(3);
  });
});

describe('a request without a good token', () => {
  it('[mcp-proxy #38] starts no child and takes no place', async () => {
    for (const token of ['x', `fjmcp_at_${'x'.repeat(43)}`, `${aliceToken}x`]) {
      expect((await new RawClient(system.mcpUrl, token).initialize()).status).toBe(401);
    }
    const values = await system.broker.metrics.childSpawns.get();
    expect(values.values).toEqual([]);
    expect(await children()).toBe(0);
  });
});

describe('the number of clients', () => {
  it('ends at MAX_CLIENTS, and one beyond is told to come back', async () => {
    const register = (name: string) =>
      fetch(`${system.origin}/oauth/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ client_name: name, redirect_uris: ['https://c.example/cb'] }),
      });
    // Alice's and Bob's clients are the same registration of the same program.
    const statuses: number[] = [];
    for (let n = 0; n < 3; n += 1) statuses.push((await register(`client ${n}`)).status);
    expect(statuses).toEqual([201, 201, 201]);
    const refused = await register('one beyond');
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    expect(await refused.json()).toEqual({
      error: 'temporarily_unavailable',
      error_description: expect.any(String),
    });
  });
});
