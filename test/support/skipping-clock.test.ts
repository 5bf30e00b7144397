import { describe, expect, it } from 'bun:test';
import { SkippingClock } from './skipping-clock.ts';

const HOUR_MS = 3_600_000;

describe('the clock that skips', () => {
  it('runs nothing that is not due, and what is due at once', () => {
    const clock = new SkippingClock();
    const startMs = clock.now();
    const ran: string[] = [];
    clock.after(2 * HOUR_MS, () => ran.push('second'));
    clock.after(HOUR_MS, () => ran.push('first'));
    clock.after(24 * HOUR_MS, () => ran.push('never'));
    clock.skip(HOUR_MS / 2);
    expect(ran).toEqual([]);
    clock.skip(2 * HOUR_MS);
    expect(ran).toEqual(['first', 'second']);
    expect(clock.now() - startMs).toBeGreaterThanOrEqual(2.5 * HOUR_MS);
  });

  it('runs no timer that was taken back, not even by one that is due with it', () => {
    const clock = new SkippingClock();
    const ran: string[] = [];
    clock.after(HOUR_MS, () => ran.push('cancelled'))();
    const cancel = clock.after(2 * HOUR_MS, () => ran.push('cancelled by another'));
    clock.after(HOUR_MS, cancel);
    const stop = clock.every(HOUR_MS, () => ran.push('tick'));
    clock.skip(3 * HOUR_MS);
    stop();
    clock.skip(3 * HOUR_MS);
    expect(ran).toEqual(['tick']);
  });

  it('lets real time pass as well', async () => {
    const clock = new SkippingClock();
    await new Promise<void>((resolve) => {
      clock.after(1, resolve);
    });
    const almost = new Promise<void>((resolve) => {
      clock.after(HOUR_MS, resolve);
    });
    clock.skip(HOUR_MS - 1);
    await almost;
  });
});
