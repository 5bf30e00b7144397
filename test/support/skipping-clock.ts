import { type Cancel, type Clock, systemClock } from '../../app/base/clock.ts';

interface Timer {
  /** What was asked for, by one that fires once. */
  readonly delayMs: number | undefined;
  readonly periodMs: number | undefined;
  readonly run: () => void;
  dueAt: number;
  cancelReal: Cancel;
}

/**
 * The real clock, with a way to skip ahead: time passes and timers fire as ever, so a whole system
 * can run and stop by it, and a test need not wait for an hour to pass.
 */
export class SkippingClock implements Clock {
  readonly #timers = new Set<Timer>();
  #skippedMs = 0;

  now(): number {
    return systemClock.now() + this.#skippedMs;
  }

  after(delayMs: number, run: () => void): Cancel {
    return this.#plan({ delayMs, periodMs: undefined, run });
  }

  every(periodMs: number, run: () => void): Cancel {
    return this.#plan({ delayMs: undefined, periodMs, run });
  }

  /**
   * Whether a limit of that length runs for something: the one sign from outside that a call, or a
   * start, is under way, which a skip would end.
   */
  limits(delayMs: number): boolean {
    return this.#timers.values().some((timer) => timer.delayMs === delayMs);
  }

  /** Moves the time on by `ms` at once; what has fallen due runs now, each timer once. */
  skip(ms: number): void {
    this.#skippedMs += ms;
    const now = this.now();
    const due = [...this.#timers].filter(({ dueAt }) => dueAt <= now);
    for (const timer of due.sort((a, b) => a.dueAt - b.dueAt)) this.#fire(timer);
    // What waits on has less to wait for in real time.
    for (const timer of this.#timers) this.#arm(timer);
  }

  #plan(planned: Pick<Timer, 'delayMs' | 'periodMs' | 'run'>): Cancel {
    const dueAt = this.now() + Math.max(0, planned.delayMs ?? planned.periodMs ?? 0);
    const timer: Timer = { ...planned, dueAt, cancelReal: () => undefined };
    this.#timers.add(timer);
    this.#arm(timer);
    return () => this.#remove(timer);
  }

  #arm(timer: Timer): void {
    timer.cancelReal();
    const waitMs = Math.max(0, timer.dueAt - this.now());
    timer.cancelReal = systemClock.after(waitMs, () => this.#fire(timer));
  }

  #fire(timer: Timer): void {
    // Another timer that fell due with it may have cancelled it.
    if (!this.#timers.has(timer)) return;
    if (timer.periodMs === undefined) {
      this.#remove(timer);
    } else {
      timer.dueAt = this.now() + timer.periodMs;
      this.#arm(timer);
    }
    timer.run();
  }

  #remove(timer: Timer): void {
    timer.cancelReal();
    this.#timers.delete(timer);
  }
}
