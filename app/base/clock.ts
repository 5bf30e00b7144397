import { SharedTimers } from './shared-timers.ts';

/** Takes back what `after` or `every` has planned; harmless when it has already run. */
export type Cancel = () => void;

/**
 * The only source of time. Logic never calls `Date.now` or `setTimeout` itself, so that tests can
 * let thirty days pass in a millisecond.
 */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Runs `run` once, `delayMs` from now. */
  after(delayMs: number, run: () => void): Cancel;
  /** Runs `run` every `periodMs`, first after one period. */
  every(periodMs: number, run: () => void): Cancel;
}

const timers = new SharedTimers({
  nowMs: () => performance.now(),
  startTimer(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
});

/** The real clock. Its timers do not keep the process alive: the listener does. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after: (delayMs, run) => timers.after(delayMs, run),
  every(periodMs, run) {
    const timer = setInterval(run, periodMs);
    timer.unref();
    return () => clearInterval(timer);
  },
};

/** Resolves after `delayMs` of the clock's time. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}

/** Whether `done`, which must never reject, resolved before `delayMs` of the clock's time. */
export function within(clock: Clock, delayMs: number, done: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = clock.after(delayMs, () => resolve(false));
    void done.then(() => {
      cancel();
      resolve(true);
    });
  });
}
