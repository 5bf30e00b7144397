import { describe, expect, it } from 'bun:test';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { ClientMemory, DemoClient } from '../../app/demo/client.ts';
import type { HttpFetch } from '../../app/demo/person.ts';
import { callFor, eventsOf, whoIs } from '../referee/sdk-client.ts';
import { SkippingClock } from '../support/skipping-clock.ts';
import { startSystem, type TestSystem } from '../support/system.ts';
import { letMinutesPass } from './minutes.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const TOKEN_ENDPOINT = '/login/oauth/access_token';

/** What a client may ask before its person is asked: more would be a loop. */
const REQUESTS_MAX = 6;

interface SystemWanted {
  readonly rotation?: boolean;
  readonly sessionTtlMs?: number;
  readonly refreshTtlS?: number;
}

/** Runs `run` with a system of its own, whose time can be skipped. */
async function withSystem(
  wanted: SystemWanted,
  run: (system: TestSystem, clock: SkippingClock) => Promise<void>,
): Promise<void> {
  const clock = new SkippingClock();
  const { rotation = true, sessionTtlMs = 400 * DAY_MS, refreshTtlS } = wanted;
  const system = await startSystem({
    clock,
    config: { sessionTtlMs, sessionIdleTimeoutMs: 20 * DAY_MS, requestTimeoutMs: 20 * DAY_MS },
    forge: { clock, rotation, ...(refreshTtlS === undefined ? {} : { refreshTtlS }) },
  });
  try {
    await run(system, clock);
  } finally {
    await system.stop();
  }
}

/**
 * A client that has signed in and has no listening stream: the SDK takes up one that has ended a
 * second later and asks on its own account then, between what a test counts.
 */
async function connected(system: TestSystem): Promise<DemoClient> {
  const withoutStream: HttpFetch = async (url, init) => {
    const listens = init?.method === 'GET' && String(url) === system.mcpUrl;
    return listens ? new Response(null, { status: 405 }) : fetch(url, init);
  };
  const client = new DemoClient(system.mcpUrl, new ClientMemory('Test client'), withoutStream);
  await client.authorize(system.person());
  await client.connect();
  return client;
}

/** Lets minutes pass until that event was logged. */
function untilLogged(system: TestSystem, clock: SkippingClock, event: string): Promise<void> {
  return letMinutesPass(clock, () => eventsOf(system, event).length > 0);
}

/** Requests of any kind that the broker has answered. */
function requests(system: TestSystem): number {
  return eventsOf(system, 'http.request').length;
}

/** The call fails with a wish to sign in, soon and once. */
async function asksForSignIn(system: TestSystem, client: DemoClient): Promise<void> {
  const before = requests(system);
  const outcome = await whoIs(client.client).then(
    () => 'answered',
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(UnauthorizedError);
  expect(requests(system) - before).toBeLessThanOrEqual(REQUESTS_MAX);
}

describe('a connection that only a sign-in can mend', () => {
  it('is asked for one when it was unused beyond REFRESH_TOKEN_TTL, and opens a new session', async () => {
    await withSystem(
      { sessionTtlMs: 30 * DAY_MS, refreshTtlS: 400 * 86_400 },
      async (system, clock) => {
        const client = await connected(system);
        const { sessionId } = client;
        clock.skip(91 * DAY_MS);
        await asksForSignIn(system, client);
        await client.authorize(system.person());
        // The row has ended too: 404, and the client begins anew (MCP, Session Management 4).
        const gone = await whoIs(client.client).catch((error: unknown) => error);
        expect(gone).toMatchObject({ code: 404 });
        await client.connect();
        expect(client.sessionId).not.toBe(sessionId);
        expect(await whoIs(client.client)).toBe('alice');
        await client.close();
      },
    );
  });

  it('goes on in its session when only the grant was unused beyond REFRESH_TOKEN_TTL', async () => {
    await withSystem({ refreshTtlS: 400 * 86_400 }, async (system, clock) => {
      const client = await connected(system);
      const { sessionId } = client;
      clock.skip(91 * DAY_MS);
      await asksForSignIn(system, client);
      await client.authorize(system.person());
      expect(await whoIs(client.client)).toBe('alice');
      expect(client.sessionId).toBe(sessionId);
      await client.close();
    });
  });

  it('is asked for one when its refresh token at the forge has died, and goes on in its session', async () => {
    await withSystem({ refreshTtlS: 10 * 86_400 }, async (system, clock) => {
      const client = await connected(system);
      const { sessionId } = client;
      // Nobody could renew it meanwhile: the broker was away, as far as the forge knows.
      clock.skip(11 * DAY_MS);
      await untilLogged(system, clock, 'account.needs_sign_in');
      await asksForSignIn(system, client);
      await asksForSignIn(system, client);
      await client.authorize(system.person());
      expect(await whoIs(client.client)).toBe('alice');
      expect(client.sessionId).toBe(sessionId);
      await client.close();
    });
  });

  it('is asked for one, with rotation on, when an answer with new tokens was cut off for good', async () => {
    await withSystem({}, async (system, clock) => {
      const client = await connected(system);
      const { sessionId } = client;
      const cut = system.forge.faults.set({ kind: 'cut' }, { on: TOKEN_ENDPOINT, times: 1 });
      clock.skip(56 * MINUTE_MS);
      await cut.reached;
      await untilLogged(system, clock, 'account.needs_sign_in');
      await asksForSignIn(system, client);
      await client.authorize(system.person());
      expect(await whoIs(client.client)).toBe('alice');
      expect(client.sessionId).toBe(sessionId);
      await client.close();
    });
  });
});

describe('a connection that needs no sign-in', () => {
  it('is not asked for one when an answer was cut off and the forge does not rotate', async () => {
    await withSystem({ rotation: false }, async (system, clock) => {
      const client = await connected(system);
      const cut = system.forge.faults.set({ kind: 'cut' }, { on: TOKEN_ENDPOINT, times: 1 });
      clock.skip(56 * MINUTE_MS);
      await cut.reached;
      await untilLogged(system, clock, 'account.renewed');
      expect(await whoIs(client.client)).toBe('alice');
      expect(eventsOf(system, 'account.needs_sign_in')).toEqual([]);
      await client.close();
    });
  });

  it('is not asked for one when the forge is slow with new tokens, which count when they come', async () => {
    await withSystem({}, async (system, clock) => {
      const client = await connected(system);
      const { sessionId } = client;
      const held = system.forge.faults.set({ kind: 'hold' }, { on: TOKEN_ENDPOINT, times: 1 });
      clock.skip(56 * MINUTE_MS);
      await held.reached;
      // Meanwhile calls go on with the token that is still good.
      expect(await callFor<{ login: string }>(client.client, 'get_my_user_info')).toMatchObject({
        login: 'alice',
      });
      held.release();
      // No time is skipped: an answer that is given up would be lost.
      while (eventsOf(system, 'account.renewed').length === 0) await Bun.sleep(5);
      expect(await whoIs(client.client)).toBe('alice');
      expect(client.sessionId).toBe(sessionId);
      expect(eventsOf(system, 'account.needs_sign_in')).toEqual([]);
      await client.close();
    });
  });
});
