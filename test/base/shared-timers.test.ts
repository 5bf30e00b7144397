import { describe, expect, it } from 'bun:test';
import { SharedTimers } from '../../app/base/shared-timers.ts';

/** The runtime's timers, driven by hand. */
function runtime() {
  let nowMs = 0;
  const timers: { dueMs: number; run: () => void }[] = [];
  const shared = new SharedTimers({
    nowMs: () => nowMs,
    startTimer(delayMs, run) {
      timers.push({ dueMs: nowMs + delayMs, run });
      return () => undefined;
    },
  });
  const pass = (ms: number): void => {
    const until = nowMs + ms;
    for (;;) {
      timers.sort((one, other) => one.dueMs - other.dueMs);
      const next = timers[0];
      if (next === undefined || next.dueMs > until) break;
      timers.shift();
      nowMs = next.dueMs;
      next.run();
    }
    nowMs = until;
  };
  return { shared, pass, timers };
}

describe('timers that are shared', () => {
  it('runs each at its own time, in the order of planning', () => {
    const { shared, pass } = runtime();
    const ran: string[] = [];
    shared.after(100, () => ran.push('a'));
    pass(60);
    shared.after(100, () => ran.push('b'));
    shared.after(10, () => ran.push('short'));
    pass(39);
    expect(ran).toEqual(['short']);
    pass(1);
    expect(ran).toEqual(['short', 'a']);
    pass(59);
    expect(ran).toEqual(['short', 'a']);
    pass(1);
    expect(ran).toEqual(['short', 'a', 'b']);
  });

  it('runs nothing that was taken back, and what stands behind it in time', () => {
    const { shared, pass } = runtime();
    const ran: string[] = [];
    const cancel = shared.after(100, () => ran.push('first'));
    pass(50);
    shared.after(100, () => ran.push('second'));
    cancel();
    cancel();
    pass(99);
    expect(ran).toEqual([]);
    pass(1);
    expect(ran).toEqual(['second']);
  });

  it('needs one timer for a thousand waits of one length', () => {
    const { shared, pass, timers } = runtime();
    for (let n = 0; n < 1000; n += 1) shared.after(30_000, () => undefined)();
    expect(timers).toHaveLength(1);
    pass(30_000);
    expect(timers).toHaveLength(0);
  });

  it('lets nobody wait for ever because another one threw', () => {
    const { shared, pass } = runtime();
    const ran: string[] = [];
    shared.after(5, () => {
      throw new Error('a bug');
    });
    shared.after(5, () => ran.push('the other'));
    expect(() => pass(5)).toThrow('a bug');
    pass(1);
    expect(ran).toEqual(['the other']);
  });

  it('may be planned again while it runs, also at once', () => {
    const { shared, pass } = runtime();
    let runs = 0;
    const again = (): void => {
      runs += 1;
      if (runs < 3) shared.after(10, again);
    };
    shared.after(10, again);
    pass(30);
    expect(runs).toBe(3);
  });
});
