import type { Cancel, Clock } from '../base/clock.ts';

/**
 * How much of something nobody asked for is taken in a second. One child that writes without end
 * would otherwise keep the whole broker busy: measured, a flood of short lines left no time for any
 * other session for 40 seconds. Whoever writes more waits on its own pipe, and loses nothing.
 */
export interface Allowance {
  /** Whether something is left. */
  readonly left: boolean;
  /** Takes `cost`, which may be more than is left: then it is paid off before anything is left. */
  spend(cost: number): void;
  /** Resolves when something is left; for one caller at a time. */
  wait(): Promise<void>;
  /** A second's worth at once. */
  refill(): void;
}

/** Shortest wait: many short ones would cost more than what they hold back. */
const WAIT_MS_MIN = 20;

/** Creates an allowance that holds, at most and at first, one second's worth. */
export function createAllowance(perSecond: number, clock: Clock): Allowance {
  let left = perSecond;
  let countedAt = clock.now();
  let wake: () => void = () => undefined;

  const earn = (): void => {
    const now = clock.now();
    left = Math.min(perSecond, left + (Math.max(0, now - countedAt) * perSecond) / 1000);
    countedAt = now;
  };

  return {
    get left() {
      if (left <= 0) earn();
      return left > 0;
    },
    spend(cost) {
      earn();
      left -= cost;
    },
    wait() {
      const waitMs = Math.max(WAIT_MS_MIN, Math.ceil((-left * 1000) / perSecond));
      return new Promise((resolve) => {
        const cancel: Cancel = clock.after(waitMs, resolve);
        wake = () => {
          cancel();
          resolve();
        };
      });
    },
    refill() {
      left = perSecond;
      countedAt = clock.now();
      wake();
    },
  };
}
