import { describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import { StoreError } from '../../app/store/store-error.ts';
import {
  bench,
  HOUR_MS,
  initialize,
  notification,
  opened,
  owner,
  request,
  settled,
} from '../support/session-registry.ts';

describe('a session that its client ends while the broker stops', () => {
  it('is not there for the next one', async () => {
    const { registry, sessions } = bench();
    const { session } = await opened(registry);
    await registry.stop();
    expect(sessions.rows.size).toBe(1);
    await session.end('the client ended it');
    expect(sessions.rows.size).toBe(0);
  });
});

describe('who finds a session', () => {
  it('[ContextForge #1078/#5043] finds none of another account, whatever else is the same', async () => {
    const { registry } = bench();
    const { sessionId } = await opened(registry, owner(1));
    expect(await registry.find(sessionId, owner(2))).toBeUndefined();
    expect(await registry.find(sessionId, { ...owner(2), login: 'user1' })).toBeUndefined();
  });

  it('[CVE-2026-33946] finds none of another client of the same account', async () => {
    const { registry } = bench();
    const { sessionId } = await opened(registry, owner(1, 'client-1'));
    expect(await registry.find(sessionId, owner(1, 'client-2'))).toBeUndefined();
  });

  it('[CVE-2025-6515] makes ids of 192 random bits that no session shares', async () => {
    const { registry } = bench({ limits: { sessionsPerUserMax: 100 } });
    const ids = new Set<string>();
    for (let i = 0; i < 100; i += 1) ids.add((await opened(registry)).sessionId);
    expect(ids.size).toBe(100);
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{32}$/);
  });

  it('finds none that does not exist, and none by its digest or its short id', async () => {
    const { registry } = bench();
    const { sessionId, session } = await opened(registry);
    for (const id of ['', 'unknown', digestOf(sessionId), session.shortId, `${sessionId} `]) {
      expect(await registry.find(id, owner())).toBeUndefined();
    }
  });

  it('finds none that is only opening', async () => {
    const { registry, supervisor } = bench({ script: () => undefined });
    void registry.open(owner(), initialize());
    await settled();
    expect(supervisor.children).toHaveLength(1);
    expect(registry.count).toBe(1);
    expect(await registry.find('', owner())).toBeUndefined();
  });

  it('finds it for its account and client, also under a new grant of the two', async () => {
    const { registry } = bench();
    const { sessionId, session } = await opened(registry, owner(1, 'client-1', 'grant-1'));
    expect(await registry.find(sessionId, owner(1, 'client-1', 'grant-1'))).toBe(session);
    expect(await registry.find(sessionId, owner(1, 'client-1', 'grant-2'))).toBe(session);
  });
});

describe('the end of a session', () => {
  it('by its client: nobody finds it, its child and its row are gone', async () => {
    const { registry, supervisor, sessions } = bench();
    const { sessionId, session } = await opened(registry);
    const ended = session.end('deleted');
    expect(await registry.find(sessionId, owner())).toBeUndefined();
    await ended;
    expect(supervisor.last.stopReason).toBe('closed');
    expect(sessions.rows.size).toBe(0);
    expect(registry.count).toBe(0);
    await session.end('again');
  });

  it('gives each waiting call a JSON-RPC error', async () => {
    const { registry } = bench();
    const { session } = await opened(registry);
    const calls = [1, 'two'].map((id) => session.call(request('m', id)).answer);
    await registry.endAccount(1, 'disabled');
    const answers = (await Promise.all(calls)).map((text) => JSON.parse(text));
    expect(answers).toMatchObject([
      { id: 1, error: { code: -32000, message: 'the access of this session was ended' } },
      { id: 'two', error: { code: -32000 } },
    ]);
  });

  it('comes with the end of its grant, and not of another grant', async () => {
    const { registry, supervisor, sessions, memory } = bench();
    await opened(registry, owner(1, 'client-1', 'grant-1'));
    await opened(registry, owner(1, 'client-2', 'grant-2'));
    await opened(registry, owner(1, 'client-1', 'grant-1'));
    await registry.endGrant('grant-1', 'refresh_reuse');
    expect(supervisor.children.map((child) => child.stopReason)).toEqual([
      'grant_ended',
      undefined,
      'grant_ended',
    ]);
    expect(registry.count).toBe(1);
    expect(sessions.rows.size).toBe(1);
    expect(memory.of('session.ended')[0]).toMatchObject({
      reason: 'grant_ended',
      detail: 'refresh_reuse',
    });
  });

  it('comes to one that only opens, or begins another child, without a word to the other clients', async () => {
    for (const heir of [undefined, 'grant-3']) {
      const { registry, supervisor, sessions, forge } = bench();
      await opened(registry, owner(1, 'client-2', 'grant-2'));
      const { session } = await opened(registry, owner(1, 'client-1', 'grant-1'));
      supervisor.last.exit(1);
      await settled();
      const gate = Promise.withResolvers<void>();
      forge.gate = gate.promise;
      const attaching = session.attach();
      const opening = registry.open(owner(1, 'client-1', 'grant-1'), initialize());
      await settled();
      sessions.heir = heir;
      await registry.endGrant('grant-1', 'revoked');
      const ended = { ok: false, error: { kind: 'access_ended' } } as const;
      expect(await Promise.all([attaching, opening])).toEqual([ended, ended]);
      gate.resolve();
      await settled();
      expect(supervisor.children[0]?.stopReason).toBeUndefined();
    }
  });

  it('comes with the end of its account, and not of another account', async () => {
    const { registry, supervisor } = bench();
    await opened(registry, owner(1, 'client-1'));
    await opened(registry, owner(2, 'client-1'));
    await opened(registry, owner(1, 'client-2'));
    await registry.endAccount(1, 'needs_sign_in');
    expect(supervisor.children.map((child) => child.stopReason)).toEqual([
      'account_ended',
      undefined,
      'account_ended',
    ]);
  });

  it('P7: does not come with the end of its child', async () => {
    const { registry, supervisor, sessions, metrics } = bench();
    const { sessionId, session } = await opened(registry);
    supervisor.last.exit(2);
    await settled();
    expect(await registry.find(sessionId, owner())).toBe(session);
    expect(sessions.rows.size).toBe(1);
    expect(registry.count).toBe(0);
    expect(await metrics.registry.getSingleMetricAsString('fjmcp_sessions')).toContain(' 0');
  });

  it('is complete although the row cannot be deleted, and the log says so', async () => {
    const { registry, supervisor, sessions, memory } = bench();
    const { session, sessionId } = await opened(registry);
    sessions.failure = new StoreError('busy');
    await session.end('deleted');
    expect(await registry.find(sessionId, owner())).toBeUndefined();
    expect(registry.count).toBe(0);
    expect(supervisor.last.stopReason).toBe('closed');
    expect(memory.of('session.row_left')).toHaveLength(1);
  });

  it('is only that of its child when the token expires, also in the middle of a call', async () => {
    const { registry, supervisor, clock, forge } = bench({
      limits: {
        idleTimeoutMs: 10 * HOUR_MS,
        requestTimeoutMs: 10 * HOUR_MS,
        requestTimeoutTotalMs: 10 * HOUR_MS,
      },
    });
    forge.lifeMs = 2 * HOUR_MS;
    const { session, sessionId } = await opened(registry);
    const { answer } = session.call(request('m', 1));
    clock.advance(2 * HOUR_MS - 1);
    expect(supervisor.last.stopReason).toBeUndefined();
    clock.advance(1);
    expect(supervisor.last.stopReason).toBe('token_expired');
    expect(await registry.find(sessionId, owner())).toBe(session);
    expect(JSON.parse(await answer)).toMatchObject({ id: 1, error: { code: -32000 } });
  });

  it('does not come early when a token lives longer than a timer can wait', async () => {
    const { registry, supervisor, clock, forge } = bench({
      limits: { idleTimeoutMs: 400 * 24 * HOUR_MS },
    });
    forge.lifeMs = 90 * 24 * HOUR_MS;
    await opened(registry);
    clock.advance(90 * 24 * HOUR_MS - 1);
    expect(supervisor.last.stopReason).toBeUndefined();
    clock.advance(1);
    expect(supervisor.last.stopReason).toBe('token_expired');
  });

  it('is only that of its child when it was not used for SESSION_IDLE_TIMEOUT', async () => {
    const { registry, supervisor, clock, sessions } = bench({ limits: { idleTimeoutMs: 60_000 } });
    await opened(registry);
    clock.advance(59_999);
    expect(supervisor.last.stopReason).toBeUndefined();
    clock.advance(1);
    expect(supervisor.last.stopReason).toBe('idle');
    await settled();
    expect(sessions.rows.size).toBe(1);
  });

  it('waits for SESSION_IDLE_TIMEOUT again after each use', async () => {
    const { registry, supervisor, clock, sessions } = bench({ limits: { idleTimeoutMs: 60_000 } });
    const { session } = await opened(registry);
    clock.advance(50_000);
    session.notify(notification('notifications/initialized'));
    clock.advance(50_000);
    const { answer } = session.call(request('m'));
    supervisor.last.answers({}, 'm');
    await answer;
    expect(sessions.uses).toHaveLength(2);
    clock.advance(59_999);
    expect(supervisor.last.stopReason).toBeUndefined();
    clock.advance(1);
    expect(supervisor.last.stopReason).toBe('idle');
  });

  it('does not come while a call waits, and idleness counts from its answer', async () => {
    const { registry, supervisor, clock } = bench({
      limits: { idleTimeoutMs: 60_000, requestTimeoutMs: HOUR_MS },
    });
    const { session } = await opened(registry);
    const { answer } = session.call(request('m'));
    clock.advance(10 * 60_000 + 1);
    expect(supervisor.last.stopReason).toBeUndefined();
    supervisor.last.answers({}, 'm');
    await answer;
    clock.advance(59_999);
    expect(supervisor.last.stopReason).toBeUndefined();
    clock.advance(1);
    expect(supervisor.last.stopReason).toBe('idle');
  });

  it('leaves no timer behind', async () => {
    const { registry, clock } = bench();
    const { session } = await opened(registry);
    session.call(request('m'));
    expect(clock.pending).toBeGreaterThan(0);
    await session.end('test');
    expect(clock.pending).toBe(0);
  });
});

describe('the stop of all sessions', () => {
  it('lets calls under way be answered, and ends each session when it has none', async () => {
    const { registry, supervisor } = bench();
    const { session } = await opened(registry);
    const { session: idle } = await opened(registry, owner(2));
    const { answer } = session.call(request('m', 'mine'));
    const [busyChild, idleChild] = supervisor.children;
    const stopped = registry.stop();
    await settled();
    expect(idleChild?.stopReason).toBe('stopping');
    expect(busyChild?.stopReason).toBeUndefined();
    busyChild?.answers({ done: true }, 'm');
    expect(JSON.parse(await answer)).toMatchObject({ id: 'mine', result: { done: true } });
    await stopped;
    expect(busyChild?.stopReason).toBe('stopping');
    expect(registry.count).toBe(0);
    expect(JSON.parse(await idle.call(request('m', 1)).answer).error.code).toBe(-32000);
  });

  it('takes no new call while those under way are answered', async () => {
    const { registry, supervisor } = bench();
    const { session } = await opened(registry);
    session.call(request('m', 1));
    void registry.stop();
    await settled();
    const sent = supervisor.last.sent.length;
    expect(JSON.parse(await session.call(request('n', 2)).answer)).toMatchObject({
      id: 2,
      error: { code: -32000, message: 'the broker is stopping' },
    });
    expect(supervisor.last.sent).toHaveLength(sent);
  });

  it('gives a call that is not answered in time a JSON-RPC error', async () => {
    const { registry, supervisor, clock } = bench({ limits: { stopGraceMs: 1500 } });
    const { session } = await opened(registry);
    const { answer } = session.call(request('m', 1));
    const stopped = registry.stop();
    await settled();
    clock.advance(1500);
    expect(JSON.parse(await answer)).toMatchObject({
      id: 1,
      error: { code: -32000, message: 'the broker is stopping' },
    });
    expect(supervisor.last.stopReason).toBe('stopping');
    await stopped;
  });

  it('is over after STOP_GRACE although a child cannot be ended', async () => {
    const { registry, supervisor, clock } = bench({ limits: { stopGraceMs: 1500 } });
    await opened(registry);
    supervisor.last.leaves = false;
    const stopped = registry.stop();
    await settled();
    clock.advance(1500);
    await stopped;
  });
});

describe('a registry whose broker another one has succeeded', () => {
  const LOOK_MS = 100;

  it('ends each session as soon as nothing of it is under way', async () => {
    const { registry, supervisor, clock, sessions } = bench();
    const { session: busy } = await opened(registry);
    await opened(registry, owner(2));
    const [busyChild, idleChild] = supervisor.children;
    const { answer } = busy.call(request('m', 'mine'));
    const left = registry.leave(60_000);
    await settled();
    expect(idleChild?.stopReason).toBe('stopping');
    clock.advance(10 * LOOK_MS);
    await settled();
    expect(busyChild?.stopReason).toBeUndefined();
    busyChild?.answers({ done: true }, 'm');
    expect(JSON.parse(await answer)).toMatchObject({ id: 'mine', result: { done: true } });
    for (let look = 0; look < 3; look += 1) {
      clock.advance(LOOK_MS);
      await settled();
    }
    await left;
    expect(busyChild?.stopReason).toBe('stopping');
    expect(registry.count).toBe(0);
    // The rows are the successor's now.
    expect(sessions.rows.size).toBe(2);
  });

  it('is left in time, whatever goes on: then comes the stop', async () => {
    const { registry, clock } = bench();
    const { session } = await opened(registry);
    session.call(request('m', 1));
    const left = registry.leave(1000);
    for (let look = 0; look <= 10; look += 1) {
      await settled();
      clock.advance(LOOK_MS);
    }
    await left;
    expect(registry.count).toBe(1);
  });

  it('ends what is under way in a session that the successor has ended', async () => {
    const { registry, supervisor, clock, sessions } = bench();
    const { session } = await opened(registry);
    const { answer } = session.call(request('m', 1));
    const left = registry.leave(60_000);
    await settled();
    expect(supervisor.last.stopReason).toBeUndefined();
    sessions.rows.clear();
    for (let look = 0; look < 3; look += 1) {
      clock.advance(LOOK_MS);
      await settled();
    }
    await left;
    expect(JSON.parse(await answer)).toMatchObject({ error: { code: -32000 } });
    expect(supervisor.last.stopReason).toBe('stopping');
  });
});
