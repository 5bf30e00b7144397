import { describe, expect, it } from 'bun:test';
import { sleep, systemClock, within } from '../../app/base/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('the real clock', () => {
  it('tells milliseconds since the epoch', () => {
    const before = Date.now();
    const now = systemClock.now();
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(Date.now());
    expect(Number.isSafeInteger(now)).toBe(true);
  });

  it('runs what was planned, in its order, and not what was taken back', async () => {
    const ran: string[] = [];
    const cancel = systemClock.after(1, () => ran.push('taken back'));
    systemClock.after(1, () => ran.push('first'));
    cancel();
    cancel();
    await sleep(systemClock, 2);
    await new Promise<void>((resolve) => {
      const stop = systemClock.every(1, () => {
        ran.push('again');
        if (ran.filter((word) => word === 'again').length < 3) return;
        stop();
        resolve();
      });
    });
    await sleep(systemClock, 3);
    expect(ran).toEqual(['first', 'again', 'again', 'again']);
  });

  it('keeps no process alive by a timer that waits', async () => {
    const clock = new URL('../../app/base/clock.ts', import.meta.url).href;
    const script = `const { systemClock } = await import('${clock}');
      systemClock.after(600_000, () => {}); systemClock.every(600_000, () => {});`;
    const child = Bun.spawn([process.execPath, '-e', script], {
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    expect(await child.exited).toBe(0);
  });
});

describe('waiting', () => {
  it('sleeps on the clock that it is given', async () => {
    const clock = new FakeClock();
    const slept = sleep(clock, 30 * 86_400_000);
    clock.advance(30 * 86_400_000);
    await slept;
    expect(clock.pending).toBe(0);
  });

  it('says whether something was done in time, at the limit too late, and leaves no timer', async () => {
    const clock = new FakeClock();
    const done = Promise.withResolvers<void>();
    const late = within(clock, 1000, done.promise);
    const early = within(clock, 1001, done.promise);
    clock.advance(1000);
    expect(await late).toBe(false);
    done.resolve();
    expect(await early).toBe(true);
    expect(clock.pending).toBe(0);
  });
});
