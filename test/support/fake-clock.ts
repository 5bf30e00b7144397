import type { Cancel, Clock } from '../../app/base/clock.ts';

interface Timer {
  readonly order: number;
  readonly periodMs: number | undefined;
  readonly run: () => void;
  dueAt: number;
}

/** A clock that stands still until a test lets time pass; no real timer is ever set. */
export class FakeClock implements Clock {
  readonly #timers = new Set<Timer>();
  #nowMs: number;
  #planned = 0;

  /** Starts at noon of a day in 2026, in milliseconds since the epoch. */
  constructor(startMs = Date.UTC(2026, 0, 5, 12)) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Cancel {
    return this.#plan(delayMs, undefined, run);
  }

  every(periodMs: number, run: () => void): Cancel {
    if (periodMs <= 0) throw new RangeError('a period is longer than nothing');
    return this.#plan(periodMs, periodMs, run);
  }

  /** How many timers wait; zero after an orderly stop. */
  get pending(): number {
    return this.#timers.size;
  }

  /**
   * Lets `ms` pass: runs what falls due, each at its own moment and in the order of time (timers of
   * one moment in the order they were planned), also what these plan within the same span.
   * Promises that a timer settles run their reactions after the caller's next `await`.
   */
  advance(ms: number): void {
    const end = this.#nowMs + ms;
    for (let next = this.#nextDue(end); next !== undefined; next = this.#nextDue(end)) {
      this.#nowMs = Math.max(this.#nowMs, next.dueAt);
      if (next.periodMs === undefined) this.#timers.delete(next);
      else next.dueAt += next.periodMs;
      next.run();
    }
    this.#nowMs = end;
  }

  #plan(delayMs: number, periodMs: number | undefined, run: () => void): Cancel {
    this.#planned += 1;
    const dueAt = this.#nowMs + Math.max(0, delayMs);
    const timer: Timer = { order: this.#planned, periodMs, run, dueAt };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  #nextDue(end: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueAt > end) continue;
      const sooner = next === undefined || timer.dueAt < next.dueAt;
      const earlier = next?.dueAt === timer.dueAt && timer.order < next.order;
      if (sooner || earlier) next = timer;
    }
    return next;
  }
}
