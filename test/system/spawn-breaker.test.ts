import { afterEach, beforeEach, expect, it } from 'bun:test';
import { BREAKER_PAUSE_MS, FAILURES_TO_OPEN } from '../../app/child/spawn-breaker.ts';
import { RawClient, rpcAnswer } from '../support/raw-client.ts';
import { accessTokenOf, alice, bob } from '../support/sign-in.ts';
import { SkippingClock } from '../support/skipping-clock.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

/** How long `/readyz` takes the forge's last word for its present one. */
const FORGE_CACHED_MS = 10_000;

let clock: SkippingClock;
let system: TestSystem;

beforeEach(async () => {
  clock = new SkippingClock();
  system = await startSystem({ clock });
});

afterEach(() => system.stop());

/** The checks that `/readyz` finds wrong. */
async function wrong(): Promise<string[]> {
  const answer = await fetch(`${system.origin}/readyz`);
  const { reasons = [] } = (await answer.json()) as { reasons?: { check: string }[] };
  expect(answer.status).toBe(reasons.length === 0 ? 200 : 503);
  return reasons.map(({ check }) => check);
}

const started = () => system.logLines.filter((line) => line.includes('child.started')).length;

it('starts no child while the forge is away, says so, and goes on by itself', async () => {
  const tokens = [
    await accessTokenOf(system.mcpUrl, alice()),
    await accessTokenOf(system.mcpUrl, bob()),
  ];
  const open = (token = '') => new RawClient(system.mcpUrl, token).initialize();
  system.forge.faults.set({ kind: 'refuse' });
  for (let n = 0; n < FAILURES_TO_OPEN; n += 1) expect((await open(tokens[0])).status).toBe(503);
  expect(started()).toBe(FAILURES_TO_OPEN);

  const refused = await open(tokens[1]);
  expect(refused.status).toBe(503);
  expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  expect((await rpcAnswer(refused)).error?.message).toContain('Forgejo');
  expect(started()).toBe(FAILURES_TO_OPEN);
  expect(await wrong()).toContain('children');

  // After the pause one of many tries; that it fails is enough for all of them.
  clock.skip(BREAKER_PAUSE_MS);
  const statuses = await Promise.all(
    [...tokens, ...tokens].map(async (token) => (await open(token)).status),
  );
  expect(statuses).toEqual([503, 503, 503, 503]);
  expect(started()).toBe(FAILURES_TO_OPEN + 1);

  system.forge.faults.clear();
  clock.skip(FORGE_CACHED_MS);
  expect(await wrong()).toEqual([]);
  expect((await open(tokens[1])).status).toBe(200);
  expect((await open(tokens[0])).status).toBe(200);
});
