import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { expectNothingInternal } from '../support/internals.ts';
import { SkippingClock } from '../support/skipping-clock.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

/** How long the word of the forge is taken for the present one. */
const FORGE_CACHED_MS = 10_000;
/** The longest that a question to the forge takes. */
const FORGE_CALL_MS = 10_000;

let clock: SkippingClock;
let system: TestSystem;

beforeEach(async () => {
  clock = new SkippingClock();
  system = await startSystem({ clock });
});

afterEach(async () => {
  await system.stop();
});

async function readiness(): Promise<{ status: number; body: unknown; retryAfter: string | null }> {
  const answer = await fetch(`${system.origin}/readyz`);
  expect(answer.headers.get('cache-control')).toBe('no-store');
  return {
    status: answer.status,
    body: JSON.parse(expectNothingInternal(await answer.text())),
    retryAfter: answer.headers.get('retry-after'),
  };
}

const READY = { status: 200, body: { status: 'ready' }, retryAfter: null };
const FORGE_AWAY = {
  status: 503,
  body: {
    status: 'not_ready',
    reasons: [{ check: 'forge', reason: 'Forgejo does not answer' }],
  },
  retryAfter: '5',
};

async function expectHealthy(): Promise<void> {
  const answer = await fetch(`${system.origin}/healthz`);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({
    status: 'ok',
    version: expect.any(String),
    git: expect.any(String),
  });
}

describe('/readyz', () => {
  it('says whether the forge is there, as it goes and comes, and /healthz stays green', async () => {
    expect(await readiness()).toEqual(READY);
    for (const fault of [{ kind: 'refuse' }, { kind: 'status', status: 502 }] as const) {
      system.forge.faults.set(fault);
      clock.skip(FORGE_CACHED_MS);
      expect(await readiness()).toEqual(FORGE_AWAY);
      await expectHealthy();
      system.forge.faults.clear();
      clock.skip(FORGE_CACHED_MS);
      expect(await readiness()).toEqual(READY);
    }
  });

  it('says so within a bound when the forge takes questions and does not answer', async () => {
    const held = system.forge.faults.set({ kind: 'hold' });
    const asked = readiness();
    await held.reached;
    await expectHealthy();
    clock.skip(FORGE_CALL_MS);
    expect(await asked).toEqual(FORGE_AWAY);
  });

  it('asks the forge once for a crowd', async () => {
    const before = system.forge.count('/api/v1/version');
    await Promise.all(Array.from({ length: 20 }, readiness));
    expect(system.forge.count('/api/v1/version') - before).toBe(1);
  });
});
