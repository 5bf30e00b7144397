import { describe, expect, it } from 'bun:test';
import { BREAKER_PAUSE_MS, FAILURES_TO_OPEN } from '../../app/child/spawn-breaker.ts';
import { opens } from '../support/fake-child.ts';
import {
  type Bench,
  bench,
  initialize,
  opened,
  owner,
  request,
  settled,
} from '../support/session-registry.ts';

/** Opens a session in which a call waits. */
async function busy({ registry, supervisor }: Bench, by = owner()) {
  const { session, sessionId } = await opened(registry, by);
  const { answer } = session.call(request('m', 1));
  const child = supervisor.last;
  return { session, sessionId, answer, child };
}

const refused = (limit: string) => ({ ok: false, error: { kind: 'limit', limit } });

describe('room at MAX_SESSIONS', () => {
  it('is refused where a call waits in every session, and no child is started', async () => {
    const made = bench({ limits: { sessionsMax: 3 } });
    for (const account of [1, 2, 3]) await busy(made, owner(account));
    expect(await made.registry.open(owner(4), initialize())).toMatchObject(refused('MAX_SESSIONS'));
    expect(made.supervisor.children).toHaveLength(3);
    expect(
      await made.metrics.registry.getSingleMetricAsString('fjmcp_limits_reached_total'),
    ).toContain('{limit="MAX_SESSIONS"} 1');
  });

  it('is refused where all others only open, however many ask at once', async () => {
    const { registry, supervisor } = bench({ limits: { sessionsMax: 3, sessionsPerUserMax: 2 } });
    const results = await Promise.all(
      [1, 1, 1, 2, 2, 2].map((account) => registry.open(owner(account), initialize())),
    );
    expect(results.filter((result) => result.ok)).toHaveLength(3);
    expect(supervisor.children).toHaveLength(3);
  });

  it('is made by the session that was idle for the longest time', async () => {
    const made = bench({ limits: { sessionsMax: 3 } });
    const { registry, supervisor, clock, memory } = made;
    const waiting = await busy(made, owner(1));
    const second = await opened(registry, owner(2));
    clock.advance(1000);
    const third = await opened(registry, owner(3));
    clock.advance(1000);
    // Used again: now the third is the one that was idle the longest.
    const { answer } = second.session.call(request('m', 2));
    supervisor.children[1]?.answers({}, 'm');
    await answer;
    expect((await registry.open(owner(4), initialize())).ok).toBe(true);
    expect(supervisor.children.map((child) => child.stopReason)).toEqual([
      undefined,
      undefined,
      'evicted',
      undefined,
    ]);
    expect(await registry.find(third.sessionId, owner(3))).toBe(third.session);
    expect(await registry.find(second.sessionId, owner(2))).toBeDefined();
    expect(registry.count).toBe(3);
    expect(memory.of('session.ended')).toEqual([]);
    expect(memory.of('session.detached')).toMatchObject([{ reason: 'evicted' }]);
    waiting.child.answers({ still: 'here' }, 'm');
    expect(JSON.parse(await waiting.answer).result).toEqual({ still: 'here' });
  });

  it('is there for the next child only when the one before is gone', async () => {
    const { registry, supervisor } = bench({ limits: { sessionsMax: 1 } });
    await opened(registry);
    const first = supervisor.last;
    first.leaves = false;
    const next = registry.open(owner(2), initialize());
    await settled();
    expect(supervisor.children).toHaveLength(1);
    first.exit(0, 'evicted');
    expect((await next).ok).toBe(true);
    expect(supervisor.children).toHaveLength(2);
  });

  it('is waited for when a session is about to end, and no other is ended for it', async () => {
    const { registry, supervisor } = bench({ limits: { sessionsMax: 2 } });
    const leaving = await opened(registry);
    const child = supervisor.last;
    child.leaves = false;
    await opened(registry, owner(2));
    const ended = leaving.session.end('deleted');
    const next = registry.open(owner(3), initialize());
    // The one place that becomes free is given once.
    const other = registry.open(owner(4), initialize());
    await settled();
    child.exit(0, 'closed');
    await ended;
    expect((await next).ok).toBe(true);
    expect((await other).ok).toBe(true);
    expect(supervisor.children.map((c) => c.stopReason)).toEqual([
      'closed',
      'evicted',
      undefined,
      undefined,
    ]);
    expect(registry.count).toBe(2);
  });

  it('is refused after a while when the child before cannot be ended', async () => {
    const { registry, supervisor, clock } = bench({ limits: { sessionsMax: 1 } });
    await opened(registry);
    const first = supervisor.last;
    first.leaves = false;
    const next = registry.open(owner(2), initialize());
    await settled();
    clock.advance(5000);
    expect(await next).toMatchObject(refused('MAX_SESSIONS'));
    expect(supervisor.children).toHaveLength(1);
    expect(registry.count).toBe(1);
    first.exit(0, 'evicted');
    await settled();
    expect((await registry.open(owner(2), initialize())).ok).toBe(true);
  });

  it('is not needed any more by a session that ends while it waits', async () => {
    const { registry, supervisor } = bench({ limits: { sessionsMax: 1 } });
    await opened(registry);
    const first = supervisor.last;
    first.leaves = false;
    const next = registry.open(owner(2, 'client-1', 'grant-2'), initialize());
    await settled();
    await registry.endGrant('grant-2', 'revoked');
    first.exit(0, 'evicted');
    expect(await next).toMatchObject({ error: { kind: 'access_ended' } });
    expect(supervisor.children).toHaveLength(1);
    expect(registry.count).toBe(0);
  });

  it('is there again after a session that did not open', async () => {
    const { registry, forge } = bench({ limits: { sessionsMax: 1 } });
    forge.failure = { kind: 'sign_in_again', detail: '' };
    for (let i = 0; i < 5; i += 1) await registry.open(owner(), initialize());
    forge.failure = undefined;
    expect((await registry.open(owner(), initialize())).ok).toBe(true);
  });
});

describe('room at MAX_SESSIONS_PER_USER', () => {
  it("is refused where all of that person's sessions are busy, over all clients", async () => {
    const made = bench({ limits: { sessionsPerUserMax: 2 } });
    const { registry, supervisor } = made;
    // Idle, and the longest: but somebody else's.
    await opened(registry, owner(2));
    made.clock.advance(1000);
    await busy(made, owner(1, 'client-1'));
    await busy(made, owner(1, 'client-2'));
    expect(await registry.open(owner(1, 'client-3'), initialize())).toMatchObject(
      refused('MAX_SESSIONS_PER_USER'),
    );
    expect(supervisor.children.every((child) => child.stopReason === undefined)).toBe(true);
    expect((await registry.open(owner(2), initialize())).ok).toBe(true);
  });

  it('is made by the least recently used idle session of that person alone', async () => {
    const made = bench({ limits: { sessionsPerUserMax: 2, sessionsMax: 3 } });
    const { registry, supervisor, clock } = made;
    await opened(registry, owner(2));
    clock.advance(1000);
    await opened(registry, owner(1, 'client-1'));
    clock.advance(1000);
    await opened(registry, owner(1, 'client-2'));
    for (let n = 3; n < 8; n += 1) {
      clock.advance(1000);
      await opened(registry, owner(1, `client-${n}`));
    }
    const [others, ...own] = supervisor.children.map((child) => child.stopReason);
    expect(others).toBeUndefined();
    expect(own.slice(0, -2).every((reason) => reason === 'evicted')).toBe(true);
    expect(own.slice(-2)).toEqual([undefined, undefined]);
    expect(registry.count).toBe(3);
  });
});

describe('the start of children', () => {
  it('goes on for as many at once as SPAWN_CONCURRENCY says', async () => {
    const { registry, supervisor } = bench({ spawnConcurrency: 2, script: () => undefined });
    const opening = [1, 2, 3, 4].map((account) => registry.open(owner(account), initialize()));
    await settled();
    expect(supervisor.children).toHaveLength(2);
    for (const n of [0, 1, 2, 3]) {
      const child = supervisor.children[n];
      if (child === undefined) throw new Error(`child ${n} was not started`);
      opens(child);
      await settled();
      expect(supervisor.children).toHaveLength(Math.min(4, n + 3));
    }
    expect((await Promise.all(opening)).every((result) => result.ok)).toBe(true);
  });

  it('gives the turn back after each way in which a start can fail', async () => {
    const made = bench({ spawnConcurrency: 1, script: (child) => child.exit(1) });
    const { registry, supervisor } = made;
    await registry.open(owner(), initialize());
    supervisor.failure = { kind: 'program_missing', detail: '' };
    await registry.open(owner(), initialize());
    supervisor.failure = { kind: 'system', detail: 'EMFILE' };
    await registry.open(owner(), initialize());
    supervisor.failure = undefined;
    const last = registry.open(owner(), initialize());
    await settled();
    expect(supervisor.children).toHaveLength(2);
    await last;
  });

  it('starts none for a session that ended while it waited for its turn', async () => {
    const { registry, supervisor } = bench({ spawnConcurrency: 1, script: () => undefined });
    void registry.open(owner(1), initialize());
    const waiting = registry.open(owner(2, 'client-1', 'grant-2'), initialize());
    await settled();
    await registry.endGrant('grant-2', 'revoked');
    opens(supervisor.last);
    expect(await waiting).toMatchObject({ error: { kind: 'access_ended' } });
    expect(supervisor.children).toHaveLength(1);
  });

  it('is not tried while the forge is away, and tried by one after a pause', async () => {
    const made = bench({ script: (child) => child.exit(1) });
    const { registry, supervisor, forge, clock } = made;
    forge.probe = 'away';
    for (let n = 0; n < FAILURES_TO_OPEN; n += 1) {
      expect(await registry.open(owner(), initialize())).toMatchObject({
        error: { kind: 'forge_away' },
      });
    }
    expect(await registry.open(owner(2), initialize())).toMatchObject({
      error: { kind: 'forge_away' },
    });
    expect(supervisor.children).toHaveLength(FAILURES_TO_OPEN);
    expect(forge.probes).toBe(FAILURES_TO_OPEN);
    clock.advance(BREAKER_PAUSE_MS);
    await Promise.all([1, 2, 3].map((account) => registry.open(owner(account), initialize())));
    expect(supervisor.children).toHaveLength(FAILURES_TO_OPEN + 1);
  });

  it('goes on when the forge is back', async () => {
    let answers = false;
    const made = bench({ script: (child) => (answers ? opens(child) : child.exit(1)) });
    made.forge.probe = 'away';
    for (let n = 0; n < FAILURES_TO_OPEN; n += 1) await made.registry.open(owner(), initialize());
    made.clock.advance(BREAKER_PAUSE_MS);
    answers = true;
    for (let n = 0; n < 5; n += 1) await opened(made.registry, owner(n));
  });

  it('is no question of one person whose token cannot be renewed', async () => {
    const made = bench();
    made.forge.failure = { kind: 'try_later', detail: 'time-out' };
    for (let n = 0; n < FAILURES_TO_OPEN + 2; n += 1) {
      await made.registry.open(owner(), initialize());
    }
    made.forge.failure = undefined;
    await opened(made.registry, owner(2));
  });

  it('goes on through programs that fail for another reason than the forge', async () => {
    const made = bench({ script: (child) => child.exit(1) });
    for (let n = 0; n < 3 * FAILURES_TO_OPEN; n += 1) {
      expect(await made.registry.open(owner(), initialize())).toMatchObject({
        error: { kind: 'child_failed' },
      });
    }
    expect(made.supervisor.children).toHaveLength(3 * FAILURES_TO_OPEN);
  });
});
