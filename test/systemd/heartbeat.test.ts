import { describe, expect, it } from 'bun:test';
import { keepHeartbeat } from '../../app/systemd/heartbeat.ts';
import { FakeClock } from '../support/fake-clock.ts';

function heart(watchdogMs: number | undefined) {
  const clock = new FakeClock();
  const told: string[] = [];
  const state = { answers: true, status: '1 session' };
  const stop = keepHeartbeat({
    manager: {
      watchdogMs,
      alive: () => told.push('alive'),
      status: (text) => told.push(text),
    },
    clock,
    storeAnswers: async () => state.answers,
    status: () => state.status,
  });
  const pass = async (ms: number) => {
    told.length = 0;
    clock.advance(ms);
    await Promise.resolve();
    await Promise.resolve();
    return [...told];
  };
  return { clock, state, stop, pass };
}

describe('the heartbeat', () => {
  it('beats three times within what the manager waits', async () => {
    const { pass } = heart(30_000);
    await pass(0);
    expect((await pass(30_000)).filter((text) => text === 'alive')).toHaveLength(3);
  });

  it('stops while the store does not answer, and goes on when it does again', async () => {
    const { pass, state } = heart(30_000);
    await pass(0);
    state.answers = false;
    expect(await pass(60_000)).not.toContain('alive');
    state.answers = true;
    expect(await pass(10_000)).toContain('alive');
  });

  it('does not beat for a manager that does not look', async () => {
    expect(await heart(undefined).pass(60_000)).toEqual(['1 session']);
  });

  it('tells what the broker does when that has changed', async () => {
    const { pass, state } = heart(undefined);
    expect(await pass(10_000)).toEqual(['1 session']);
    expect(await pass(60_000)).toEqual([]);
    state.status = '2 sessions';
    expect(await pass(10_000)).toEqual(['2 sessions']);
  });

  it('leaves no timer behind', () => {
    const { clock, stop } = heart(30_000);
    expect(clock.pending).toBe(2);
    stop();
    expect(clock.pending).toBe(0);
  });
});
