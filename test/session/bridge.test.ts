import { afterEach, describe, expect, it } from 'bun:test';
import { systemClock } from '../../app/base/clock.ts';
import { createMetrics } from '../../app/base/metrics.ts';
import { ok } from '../../app/base/result.ts';
import { Secret, systemRandom } from '../../app/base/secret.ts';
import {
  createSessionRegistry,
  type OwnedSession,
  type SessionLimits,
  type SessionRegistry,
} from '../../app/session/registry.ts';
import { CANARY, fixtureSupervisor } from '../support/fixture-supervisor.ts';
import { isAlive, untilGone } from '../support/processes.ts';
import {
  HOUR_MS,
  initialize,
  MemorySessions,
  notification,
  opened,
  owner,
  request,
  STREAM_LIMITS,
  startGates,
  testKeyring,
  VERSIONS,
} from '../support/session-registry.ts';

const registries: SessionRegistry[] = [];

/** A registry with real processes. */
function setUp(flags: readonly string[] = [], limits: Partial<SessionLimits> = {}) {
  const { supervisor, memory } = fixtureSupervisor(flags);
  const metrics = createMetrics();
  const registry = createSessionRegistry({
    ...startGates({ clock: systemClock, log: memory.log, metrics }),
    keyring: testKeyring(),
    store: { sessions: new MemorySessions() },
    tokens: {
      fresh: async () =>
        ok({ token: new Secret(CANARY), expiresAt: Date.now() + HOUR_MS, generation: 1 }),
      verify: async () => 'good',
      renewAbsent: async () => undefined,
    },
    supervisor,
    probeForge: async () => 'up',
    limits: {
      sessionsMax: 20,
      sessionsPerUserMax: 10,
      requestTimeoutMs: HOUR_MS,
      ...STREAM_LIMITS,
      idleTimeoutMs: HOUR_MS,
      handshakeTimeoutMs: 30_000,
      stopGraceMs: 1500,
      ...limits,
    },
    stillAllowed: () => true,
    serverVersions: VERSIONS,
    clock: systemClock,
    random: systemRandom,
    log: memory.log,
    metrics,
  });
  registries.push(registry);
  const pids = () => memory.of('child.started').map((entry) => Number(entry.pid));
  return { registry, supervisor, memory, pids };
}

afterEach(async () => {
  await Promise.all(registries.splice(0).map((registry) => registry.endAccount(1, 'test over')));
});

let lastId = 0;

async function tool(session: OwnedSession, name: string, args: object = {}): Promise<unknown> {
  lastId += 1;
  const id = `call-${lastId}`;
  const call = request('tools/call', id, { name, arguments: args });
  const answer = JSON.parse(await session.call(call).answer);
  expect(answer.id).toBe(id);
  return answer.error ?? answer.result.structuredContent;
}

describe('a session with a real process', () => {
  it('carries a call to the child and its answer back', async () => {
    const { registry } = setUp();
    const { session } = await opened(registry);
    session.notify(notification('notifications/initialized'));
    expect(await tool(session, 'echo', { text: 'žluť 🐎' })).toEqual({ text: 'žluť 🐎' });
  });

  it('answers several calls at once as each is done', async () => {
    const { registry } = setUp();
    const { session } = await opened(registry);
    const finished: string[] = [];
    const slow = tool(session, 'slow', { ms: 200 }).then(() => finished.push('slow'));
    const quick = tool(session, 'echo').then(() => finished.push('quick'));
    await Promise.all([slow, quick]);
    expect(finished).toEqual(['quick', 'slow']);
  });

  it('gives every waiting call a JSON-RPC error when the child dies in the middle', async () => {
    const { registry, pids } = setUp();
    const { session, sessionId } = await opened(registry);
    const waiting = [tool(session, 'hang'), tool(session, 'hang'), tool(session, 'die')];
    for (const answer of await Promise.all(waiting)) expect(answer).toMatchObject({ code: -32000 });
    expect(await registry.find(sessionId, owner())).toBe(session);
    expect(pids().some(isAlive)).toBe(false);
  });

  it("P9: answers the child's ping with {}, and what no client declared with -32601", async () => {
    const { registry } = setUp();
    const bare = request('initialize', 0, { protocolVersion: '2025-11-25', capabilities: {} });
    const result = await registry.open(owner(), bare);
    if (!result.ok) throw new Error('no session');
    const { session } = result.value;
    expect(await tool(session, 'ask', { method: 'ping' })).toMatchObject({ result: {} });
    for (const method of ['sampling/createMessage', 'elicitation/create', 'roots/list']) {
      expect(await tool(session, 'ask', { method })).toMatchObject({ error: { code: -32601 } });
    }
  });

  it('P11: lives on through lines that are no messages', async () => {
    const { registry } = setUp();
    const { session } = await opened(registry);
    await tool(session, 'garbage');
    expect(await tool(session, 'echo', { still: 'here' })).toEqual({ still: 'here' });
  });

  it('P2: sends the child initialize, then initialized, and only MCP messages', async () => {
    const { registry } = setUp();
    const { session } = await opened(registry);
    session.notify(notification('notifications/initialized'));
    const received = (await tool(session, 'received')) as string[];
    expect(received.map((line) => JSON.parse(line).method)).toEqual([
      'initialize',
      'notifications/initialized',
      'tools/call',
    ]);
  });

  it('loses its child when a line is longer than MAX_MESSAGE', async () => {
    const { registry, memory } = setUp();
    const { session, sessionId } = await opened(registry);
    const waiting = tool(session, 'hang');
    await tool(session, 'line', { bytes: 1024 * 1024 + 1 });
    expect(await waiting).toMatchObject({ code: -32000 });
    expect(await registry.find(sessionId, owner())).toBe(session);
    expect(memory.of('child.exited')).toMatchObject([{ reason: 'line_too_long' }]);
  });
});

describe('the end of a grant, with real processes', () => {
  it('ends children that want to live on, and what they have started', async () => {
    const { registry, pids } = setUp(['--ignore-stdin-end', '--ignore-sigterm']);
    const { session } = await opened(registry);
    await opened(registry);
    const grandchild = (await tool(session, 'grandchild', { holdsPipes: true })) as number;
    await registry.endGrant('grant-1', 'revoked');
    expect(pids()).toHaveLength(2);
    expect(pids().some(isAlive)).toBe(false);
    await untilGone(grandchild);
    expect(registry.count).toBe(0);
  });

  it('does not touch the children of others', async () => {
    const { registry, pids } = setUp();
    await opened(registry, owner(1, 'client-1', 'grant-1'));
    const { session } = await opened(registry, owner(1, 'client-2', 'grant-2'));
    await registry.endGrant('grant-1', 'revoked');
    expect(pids().map(isAlive)).toEqual([false, true]);
    expect(await tool(session, 'echo', { fine: true })).toEqual({ fine: true });
  });
});

describe('a real process that does not become a server', () => {
  it('says nothing of its environment when it leaves at once', async () => {
    const { registry, memory, pids } = setUp(['--exit-at-start']);
    const result = await registry.open(owner(), initialize());
    expect(result).toMatchObject({ error: { kind: 'child_failed' } });
    expect(JSON.stringify(result)).not.toContain(CANARY);
    expect(memory.text()).not.toContain(CANARY);
    expect(pids().some(isAlive)).toBe(false);
  });

  it('T28: is stopped when it does not answer initialize in time', async () => {
    const { registry, pids } = setUp(['--hang-on-initialize', '--ignore-stdin-end'], {
      handshakeTimeoutMs: 100,
    });
    expect(await registry.open(owner(), initialize())).toMatchObject({
      error: { kind: 'child_failed' },
    });
    expect(pids()).toHaveLength(1);
    expect(pids().some(isAlive)).toBe(false);
  });

  it('P3: is stopped when it speaks another version', async () => {
    const { registry, pids } = setUp(['--other-version']);
    expect(await registry.open(owner(), initialize())).toMatchObject({
      error: { kind: 'child_failed' },
    });
    expect(pids().some(isAlive)).toBe(false);
  });

  it('gives its own refusal to the client', async () => {
    const { registry, pids } = setUp(['--refuse-initialize']);
    const result = await registry.open(owner(), initialize('2025-11-25', 'mine'));
    if (result.ok || result.error.kind !== 'refused') throw new Error('it opened');
    expect(JSON.parse(result.error.answer)).toMatchObject({ id: 'mine', error: { code: -32602 } });
    expect(pids().some(isAlive)).toBe(false);
  });
});

describe('the stop of all sessions, with real processes', () => {
  it('ends busy children that ignore everything and answers their calls', async () => {
    const { registry, supervisor, pids } = setUp(['--ignore-stdin-end', '--ignore-sigterm']);
    const sessions = await Promise.all([opened(registry), opened(registry)]);
    const calls = sessions.map(({ session }) => tool(session, 'hang'));
    await registry.stop();
    for (const answer of await Promise.all(calls)) {
      expect(answer).toMatchObject({ code: -32000, message: 'the broker is stopping' });
    }
    expect(pids().some(isAlive)).toBe(false);
    expect(supervisor.running).toBe(0);
  });
});
