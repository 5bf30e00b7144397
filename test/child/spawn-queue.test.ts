import { describe, expect, it } from 'bun:test';
import { createMetrics } from '../../app/base/metrics.ts';
import { createSpawnQueue, type EndTurn, SPAWN_WAIT_MS_MAX } from '../../app/child/spawn-queue.ts';
import { FakeClock } from '../support/fake-clock.ts';

const WAITING_MAX = 20;
/** A quarter of it. */
const WAITING_PER_USER_MAX = 5;

function setUp(concurrency = 1) {
  const clock = new FakeClock();
  const metrics = createMetrics();
  const queue = createSpawnQueue({ concurrency, waitingMax: WAITING_MAX, clock, metrics });
  const order: string[] = [];
  const turns: EndTurn[] = [];
  /** Asks, and notes when it was answered and how. */
  const ask = (accountId: number, name = String(accountId)) =>
    queue.turn(accountId).then((turn) => {
      order.push(turn.ok ? name : `${name} busy`);
      if (turn.ok) turns.push(turn.value);
    });
  /** Ends the turns one after the other, in the order in which they came. */
  const endAll = async () => {
    for (let end = turns.shift(); end !== undefined; end = turns.shift()) {
      end();
      await Bun.sleep(0);
    }
  };
  const limit = () => metrics.registry.getSingleMetricAsString('fjmcp_limits_reached_total');
  const waiting = async () =>
    Number(
      (await metrics.registry.getSingleMetricAsString('fjmcp_spawns_waiting')).split(' ').at(-1),
    );
  return { clock, order, turns, ask, endAll, limit, waiting };
}

describe('starts at once (SPAWN_CONCURRENCY)', () => {
  it('refuses the one beyond what may wait for one account, and not another account', async () => {
    const { ask, order, limit, endAll } = setUp();
    const asked = Array.from({ length: 1 + WAITING_PER_USER_MAX }, () => ask(1, 'one'));
    await Bun.sleep(0);
    expect(order).toEqual(['one']);
    await ask(1, 'one beyond');
    expect(order).toEqual(['one', 'one beyond busy']);
    const other = ask(2, 'other');
    expect(await limit()).toContain('{limit="SPAWN_CONCURRENCY"} 1');
    await endAll();
    await Promise.all([...asked, other]);
    expect(order).toHaveLength(3 + WAITING_PER_USER_MAX);
  });

  it('refuses the one beyond what may wait at all', async () => {
    const { ask, order } = setUp();
    for (let n = 0; n < 1 + WAITING_MAX; n += 1) void ask(n);
    await Bun.sleep(0);
    expect(order).toEqual(['0']);
    await ask(-1, 'beyond');
    expect(order).toEqual(['0', 'beyond busy']);
  });

  it('refuses one that waited too long, and nobody waits behind it any more', async () => {
    const { ask, order, clock, endAll, waiting } = setUp();
    void ask(1, 'first');
    void ask(2, 'late');
    await Bun.sleep(0);
    clock.advance(SPAWN_WAIT_MS_MAX - 1);
    void ask(2, 'later');
    await Bun.sleep(0);
    expect(await waiting()).toBe(2);
    clock.advance(1);
    await Bun.sleep(0);
    expect(order).toEqual(['first', 'late busy']);
    await endAll();
    expect(order).toEqual(['first', 'late busy', 'later']);
    expect(clock.pending).toBe(0);
    expect(await waiting()).toBe(0);
  });

  it('lets as many start as it may, and the next one when a turn ends', async () => {
    const { ask, order, turns } = setUp(2);
    for (const name of ['a', 'b', 'c', 'd']) void ask(1, name);
    await Bun.sleep(0);
    expect(order).toEqual(['a', 'b']);
    turns[1]?.();
    turns[1]?.();
    await Bun.sleep(0);
    expect(order).toEqual(['a', 'b', 'c']);
  });

  it('gives turns to accounts in rotation, and within an account in order', async () => {
    const { ask, order, endAll } = setUp();
    for (const name of ['1a', '1b', '1c', '1d']) void ask(1, name);
    for (const name of ['2a', '2b']) void ask(2, name);
    void ask(3, '3a');
    await Bun.sleep(0);
    await endAll();
    expect(order).toEqual(['1a', '1b', '2a', '3a', '1c', '2b', '1d']);
  });
});
