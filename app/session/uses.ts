import type { Clock } from '../base/clock.ts';

/** When a session was used last; times are epoch milliseconds. */
export class Uses {
  /** Of its child: a stream that only listens needs none. */
  usedAt: number;
  /** By its client at all. */
  seenAt: number;
  readonly #clock: Clock;
  readonly #onSeen: () => void;

  constructor(clock: Clock, lastUsedAt: number, onSeen: () => void) {
    this.#clock = clock;
    this.#onSeen = onSeen;
    this.usedAt = lastUsedAt;
    this.seenAt = lastUsedAt;
  }

  see(): void {
    this.seenAt = this.#clock.now();
    this.#onSeen();
  }

  use(): void {
    this.usedAt = this.#clock.now();
    this.see();
  }

  /** A call is done: idleness counts from here. */
  answered(): void {
    this.usedAt = this.#clock.now();
  }
}
