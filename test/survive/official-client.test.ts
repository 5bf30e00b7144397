import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { DemoClient } from '../../app/demo/client.ts';
import {
  callFor,
  connect,
  eventsOf,
  newestChild,
  RefereeTransport,
  rawHeaders,
  revoke,
  whoIs,
} from '../referee/sdk-client.ts';
import { untilGone } from '../support/processes.ts';
import { SkippingClock } from '../support/skipping-clock.ts';
import { startSystem, type TestSystem } from '../support/system.ts';
import { letMinutesPass } from './minutes.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** No idleness and no time-out of a call where hours are skipped. */
const PATIENT = {
  sessionIdleTimeoutMs: 20 * DAY_MS,
  requestTimeoutMs: 20 * DAY_MS,
  requestTimeoutTotalMs: 20 * DAY_MS,
};

async function until(found: () => boolean): Promise<void> {
  while (!found()) await Bun.sleep(5);
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('the promise was not rejected');
}

let issues = 0;

/** Calls a tool that counts: the demo forge keeps each issue that was made. */
async function countedCall(client: Client): Promise<string> {
  issues += 1;
  const title = `issue ${issues}`;
  const args = { owner: 'alice', repo: 'garden', title, body: '' };
  await callFor(client, 'create_issue', args);
  return title;
}

/** The next call of a client that knows nothing: it succeeds, in the same session, once. */
async function goesOn(system: TestSystem, client: DemoClient, sessionId: string | undefined) {
  const title = await countedCall(client.client);
  expect(client.sessionId).toBe(sessionId);
  const titles = system.forge.issueTitles('alice', 'garden');
  expect(titles.filter((each) => each === title)).toHaveLength(1);
  expect(new Set(titles).size).toBe(titles.length);
}

describe('the official client, which knows nothing of it, goes on in its session', () => {
  let clock: SkippingClock;
  let system: TestSystem;
  beforeAll(async () => {
    clock = new SkippingClock();
    system = await startSystem({ clock, config: PATIENT, forge: { clock, rotation: true } });
  });
  afterAll(() => system.stop());

  it('P7: after its program was killed while nobody called', async () => {
    const client = await system.connected();
    const { sessionId } = client;
    const pid = newestChild(system);
    process.kill(pid, 'SIGKILL');
    await until(() => eventsOf(system, 'session.detached').length > 0);
    await goesOn(system, client, sessionId);
    await client.close();
  });

  it('P7: after its program was killed in the middle of a call, which is not run twice', async () => {
    const client = await system.connected();
    const { sessionId } = client;
    const pid = newestChild(system);
    const path = '/api/v1/repos/alice/garden/issues';
    const held = system.forge.faults.set({ kind: 'hold' }, { on: path, times: 1 });
    const failed = rejection(countedCall(client.client));
    await held.reached;
    process.kill(pid, 'SIGKILL');
    expect(await failed).toMatchObject({ code: -32000 });
    held.release();
    await goesOn(system, client, sessionId);
    await client.close();
  });

  it('after a renewal between its calls, and in the middle of one', async () => {
    const client = await system.connected();
    const { sessionId } = client;
    await goesOn(system, client, sessionId);
    const attached = () => eventsOf(system, 'session.attached').length;
    const before = attached();
    clock.skip(56 * MINUTE_MS);
    await letMinutesPass(clock, () => attached() > before);
    await goesOn(system, client, sessionId);

    const held = system.forge.faults.set(
      { kind: 'hold' },
      { on: '/api/v1/repos/alice/garden/issues', times: 1 },
    );
    const slow = countedCall(client.client);
    await held.reached;
    clock.skip(56 * MINUTE_MS);
    await until(() => attached() > before + 1);
    await goesOn(system, client, sessionId);
    held.release();
    await slow;
    await goesOn(system, client, sessionId);
    await client.close();
  });

  it('after the broker was stopped and started', async () => {
    const client = await system.connected();
    const { sessionId } = client;
    await system.restart();
    await goesOn(system, client, sessionId);
    await client.close();
  });

  it('T17: with an error for the call whose stream an earlier run of the broker carried', async () => {
    const client = await system.connected();
    const path = '/api/v1/repos/alice/garden/issues';
    const held = system.forge.faults.set({ kind: 'hold' }, { on: path, times: 1 });
    const headers = rawHeaders(client.memory, client.sessionId ?? '');
    const streams = { ...headers, accept: 'application/json, text/event-stream' };
    const params = { owner: 'alice', repo: 'garden', title: 'on a stream', body: '' };
    const posted = await fetch(system.mcpUrl, {
      method: 'POST',
      headers: streams,
      body: JSON.stringify({
        ...{ jsonrpc: '2.0', id: 'lost', method: 'tools/call' },
        params: { name: 'create_issue', arguments: params },
      }),
    });
    const reader = posted.body?.getReader();
    const first = new TextDecoder().decode((await reader?.read())?.value);
    const [, lastEventId = ''] = /^id: ?(.+)$/m.exec(first) ?? [];
    expect(lastEventId).not.toBe('');
    await reader?.cancel();
    await system.restart();
    held.release();
    const resumed = await fetch(system.mcpUrl, {
      headers: { ...streams, 'last-event-id': lastEventId },
    });
    expect(resumed.status).toBe(200);
    const text = await resumed.text();
    expect(text).toContain('"id":"lost"');
    expect(text).toContain('"code":-32000');
    await client.close();
  });

  it('B6: after its person signed in anew, and the old grant was given back', async () => {
    const client = await system.connected();
    const { sessionId } = client;
    const old = { ...client.memory.current };
    client.memory.invalidateCredentials('tokens');
    await client.authorize(system.person());
    await revoke(system, Object.assign(Object.create(client.memory), { current: old }));
    await goesOn(system, client, sessionId);
    await client.close();
  });

  it('with ten requests at once on a dead session, which start one program', async () => {
    const client = await system.connected();
    const pid = newestChild(system);
    const detached = eventsOf(system, 'session.detached').length;
    process.kill(pid, 'SIGKILL');
    // Who asks before the broker knows of the death gets an error, as a call under way does.
    await until(() => eventsOf(system, 'session.detached').length > detached);
    const started = eventsOf(system, 'child.started').length;
    await Promise.all(Array.from({ length: 10 }, () => whoIs(client.client)));
    expect(eventsOf(system, 'child.started').length).toBe(started + 1);
    await client.close();
  });

  it('B9: with a stream that outlives its access token, and a 401 at the next request', async () => {
    const client = await system.connected();
    const headers = rawHeaders(client.memory, client.sessionId ?? '');
    const accept = 'application/json, text/event-stream';
    const stream = await fetch(system.mcpUrl, { headers: { ...headers, accept } });
    expect(stream.status).toBe(200);
    const reader = stream.body?.getReader();
    await reader?.read();
    clock.skip(8 * HOUR_MS + MINUTE_MS);
    const next = await fetch(system.mcpUrl, { headers: { ...headers, accept } });
    expect(next.status).toBe(401);
    // Open still: nothing has ended it.
    const ended = reader?.read().then(({ done }) => done);
    expect(await Promise.race([ended, Bun.sleep(100).then(() => 'open')])).not.toBe(true);
    await reader?.cancel();
    expect(await whoIs(client.client)).toBe('alice');
    await client.close();
  });

  it('over twenty renewals of two clients of one person, with rotation on', async () => {
    const first = await system.connected();
    const second = await system.connected();
    const sessions = [first.sessionId, second.sessionId];
    for (let time = 0; time < 20; time += 1) {
      const attached = eventsOf(system, 'session.attached').length;
      clock.skip(56 * MINUTE_MS);
      await letMinutesPass(
        clock,
        () => eventsOf(system, 'session.attached').length >= attached + 2,
      );
      expect(await whoIs(first.client)).toBe('alice');
      expect(await whoIs(second.client)).toBe('alice');
    }
    expect([first.sessionId, second.sessionId]).toEqual(sessions);
    expect(eventsOf(system, 'account.needs_sign_in')).toEqual([]);
    await first.close();
    await second.close();
  });

  it('29 days after its last use, and not beyond SESSION_TTL, when a new one opens', async () => {
    const client = await system.connected();
    const { sessionId } = client;
    clock.skip(29 * DAY_MS);
    // The upstream refresh token lives 730 hours: it was renewed when half of that was over.
    expect(await whoIs(client.client)).toBe('alice');
    expect(client.sessionId).toBe(sessionId);
    const pid = newestChild(system);
    process.kill(pid, 'SIGKILL');
    await untilGone(pid);
    const renewed = eventsOf(system, 'account.renewed').length;
    clock.skip(16 * DAY_MS);
    // A sweep that was under way is not begun again: the next one is a minute later.
    await letMinutesPass(clock, () => eventsOf(system, 'account.renewed').length > renewed);
    clock.skip(15 * DAY_MS);
    expect(await rejection(whoIs(client.client))).toMatchObject({ code: 404 });
    await client.connect();
    expect(await whoIs(client.client)).toBe('alice');
    await client.close();
  });
});

describe('the official client, while the forge fails', () => {
  let clock: SkippingClock;
  let system: TestSystem;
  beforeAll(async () => {
    clock = new SkippingClock();
    system = await startSystem({ clock, config: PATIENT, forge: { clock, rotation: true } });
  });
  afterAll(() => system.stop());

  it('is not signed out by a forge that refuses, cuts, answers 429, 500 or HTML', async () => {
    const client = await system.connected();
    const { sessionId } = client;
    const faults = [
      { kind: 'status', status: 500 },
      { kind: 'status', status: 429 },
      { kind: 'html' },
      { kind: 'refuse' },
    ] as const;
    for (const fault of faults) {
      // The token call, not only the question whether the token is good: time must not be skipped
      // while one is under way, for an answer that is given up may have rotated the tokens.
      const failures = () =>
        ['forge.unavailable', 'forge.misconfigured']
          .flatMap((event) => eventsOf(system, event))
          .filter(({ call }) => call === 'refresh').length;
      const before = failures();
      system.forge.faults.set(fault);
      clock.skip(56 * MINUTE_MS);
      await letMinutesPass(clock, () => failures() > before);
      system.forge.faults.clear();
      clock.skip(9 * MINUTE_MS);
      await goesOn(system, client, sessionId);
    }
    expect(eventsOf(system, 'account.needs_sign_in')).toEqual([]);
    await client.close();
  });

  it('signs in anew by itself when its person removed the application, and goes on', async () => {
    const client = await system.connected();
    const { sessionId } = client;
    system.forge.revokeGrant('alice');
    // The sweep asks the forge, and a minute later all know.
    clock.skip(MINUTE_MS + 1);
    await until(() => eventsOf(system, 'account.needs_sign_in').length > 0);
    expect(await rejection(whoIs(client.client))).toBeInstanceOf(UnauthorizedError);
    await client.authorize(system.person());
    await goesOn(system, client, sessionId);
    await client.close();
  });

  it('is turned away when the admin has disabled its person', async () => {
    const own = await startSystem({ clock });
    try {
      const client = await own.connected();
      own.forge.disable('alice');
      clock.skip(MINUTE_MS + 1);
      await until(
        () =>
          eventsOf(own, 'account.disabled').length + eventsOf(own, 'account.needs_sign_in').length >
          0,
      );
      expect(await rejection(whoIs(client.client))).toBeInstanceOf(UnauthorizedError);
      expect(
        await rejection(connect(new RefereeTransport(own.mcpUrl, client.memory))),
      ).toBeDefined();
      await until(() => eventsOf(own, 'child.exited').length > 0);
    } finally {
      await own.stop();
    }
  });
});
