import { type Cancel, type Clock, systemClock } from '../../app/base/clock.ts';

/**
 * The real clock, which tells what is waited for: a time limit that was planned is the one sign
 * from outside that a request stands in a queue.
 */
export class WatchedClock implements Clock {
  readonly #planned = new Map<number, number>();
  #next = Promise.withResolvers<void>();

  now(): number {
    return systemClock.now();
  }

  after(delayMs: number, run: () => void): Cancel {
    this.#planned.set(delayMs, this.planned(delayMs) + 1);
    this.#next.resolve();
    this.#next = Promise.withResolvers();
    return systemClock.after(delayMs, run);
  }

  every(periodMs: number, run: () => void): Cancel {
    return systemClock.every(periodMs, run);
  }

  /** How often this delay was planned so far. */
  planned(delayMs: number): number {
    return this.#planned.get(delayMs) ?? 0;
  }

  /** Resolves when this delay was planned so often. */
  async untilPlanned(delayMs: number, count: number): Promise<void> {
    while (this.planned(delayMs) < count) await this.#next.promise;
  }
}
