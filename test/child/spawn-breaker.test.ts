import { describe, expect, it } from 'bun:test';
import { createMetrics } from '../../app/base/metrics.ts';
import {
  BREAKER_PAUSE_MS,
  createSpawnBreaker,
  FAILURES_TO_OPEN,
  type SpawnBreaker,
} from '../../app/child/spawn-breaker.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { createMemoryLog } from '../support/memory-log.ts';

function setUp() {
  const clock = new FakeClock();
  const memory = createMemoryLog();
  const metrics = createMetrics();
  const breaker = createSpawnBreaker({ clock, log: memory.log, metrics });
  return { clock, memory, metrics, breaker };
}

function fail(breaker: SpawnBreaker, times: number): void {
  for (let n = 0; n < times; n += 1) breaker.pass()?.forgeAway();
}

describe('the breaker of starts', () => {
  it('stays closed below its number of failures in a row', () => {
    const { breaker } = setUp();
    fail(breaker, FAILURES_TO_OPEN - 1);
    breaker.pass()?.forgeUp();
    fail(breaker, FAILURES_TO_OPEN - 1);
    expect(breaker.open).toBe(false);
    expect(breaker.pass()).toBeDefined();
  });

  it('opens at that number, and takes what started before for no failure of its own', async () => {
    const { breaker, memory, metrics, clock } = setUp();
    const passes = Array.from({ length: FAILURES_TO_OPEN + 5 }, () => breaker.pass());
    for (const pass of passes) pass?.forgeAway();
    expect(breaker.open).toBe(true);
    expect(breaker.pass()).toBeUndefined();
    expect(memory.of('child.breaker_opened')).toHaveLength(1);
    const changes = await metrics.registry.getSingleMetricAsString(
      'fjmcp_spawn_breaker_changes_total',
    );
    expect(changes).toContain('{to="open"} 1');
    clock.advance(BREAKER_PAUSE_MS - 1);
    expect(breaker.pass()).toBeUndefined();
  });

  it('tells those who wait with a pass that it is worth nothing any more', () => {
    const { breaker } = setUp();
    const waiting = breaker.pass();
    expect(waiting?.good).toBe(true);
    fail(breaker, FAILURES_TO_OPEN);
    expect(waiting?.good).toBe(false);
    waiting?.giveBack();
    expect(breaker.open).toBe(true);
  });

  it('lets one try after the pause, and pauses again when that one fails', () => {
    const { breaker, clock, memory } = setUp();
    fail(breaker, FAILURES_TO_OPEN);
    clock.advance(BREAKER_PAUSE_MS);
    expect(breaker.open).toBe(false);
    const probe = breaker.pass();
    expect(probe?.good).toBe(true);
    expect(breaker.pass()).toBeUndefined();
    expect(breaker.open).toBe(true);
    probe?.forgeAway();
    clock.advance(BREAKER_PAUSE_MS - 1);
    expect(breaker.pass()).toBeUndefined();
    clock.advance(1);
    expect(breaker.pass()).toBeDefined();
    expect(memory.of('child.breaker_opened')).toHaveLength(1);
  });

  it('closes with the first success, and counts failures from none', () => {
    const { breaker, clock, memory } = setUp();
    fail(breaker, FAILURES_TO_OPEN);
    clock.advance(BREAKER_PAUSE_MS);
    breaker.pass()?.forgeUp();
    fail(breaker, FAILURES_TO_OPEN - 1);
    expect(breaker.open).toBe(false);
    expect(memory.of('child.breaker_closed')).toHaveLength(1);
  });

  it('closes also when a start of earlier finds the forge up after all', () => {
    const { breaker } = setUp();
    const slow = breaker.pass();
    fail(breaker, FAILURES_TO_OPEN);
    slow?.forgeUp();
    expect(breaker.open).toBe(false);
  });

  it('lets the next one try when the one that tried says nothing', () => {
    const { breaker, clock } = setUp();
    fail(breaker, FAILURES_TO_OPEN);
    clock.advance(BREAKER_PAUSE_MS);
    const probe = breaker.pass();
    probe?.giveBack();
    probe?.forgeAway();
    expect(breaker.pass()).toBeDefined();
  });
});
