import type { Cancel } from './clock.ts';

/** What the runtime gives: one timer, that can be taken back. */
export type StartTimer = (delayMs: number, run: () => void) => Cancel;

interface Planned {
  readonly dueMs: number;
  readonly run: () => void;
}

/**
 * Plans with one timer of the runtime for all waits of one length. Every request waits for a few
 * things that nearly never happen, and a timer of its own for each of them was a sixth of the cost
 * of a call. What is planned with the same delay is due in the order of planning, so only the first
 * needs a timer, and taking one back is a deletion.
 */
export class SharedTimers {
  readonly #startTimer: StartTimer;
  readonly #nowMs: () => number;
  readonly #lines = new Map<number, Line>();

  /** `nowMs` must never go back; a clock that people set does. */
  constructor(parts: { readonly startTimer: StartTimer; readonly nowMs: () => number }) {
    this.#startTimer = parts.startTimer;
    this.#nowMs = parts.nowMs;
  }

  /** Runs `run` once, `delayMs` from now. */
  after(delayMs: number, run: () => void): Cancel {
    let line = this.#lines.get(delayMs);
    if (line === undefined) {
      line = new Line(this.#startTimer, this.#nowMs, () => this.#lines.delete(delayMs));
      this.#lines.set(delayMs, line);
    }
    return line.add(delayMs, run);
  }
}

/** The waits of one length, the first to be due first. */
class Line {
  readonly #startTimer: StartTimer;
  readonly #nowMs: () => number;
  readonly #onEmpty: () => void;
  readonly #planned = new Set<Planned>();
  #timed = false;

  constructor(startTimer: StartTimer, nowMs: () => number, onEmpty: () => void) {
    this.#startTimer = startTimer;
    this.#nowMs = nowMs;
    this.#onEmpty = onEmpty;
  }

  add(delayMs: number, run: () => void): Cancel {
    const planned = { dueMs: this.#nowMs() + delayMs, run };
    this.#planned.add(planned);
    if (!this.#timed) this.#time(delayMs);
    return () => {
      this.#planned.delete(planned);
    };
  }

  #time(delayMs: number): void {
    this.#timed = true;
    // Not taken back when the first is: those behind it need it, and it runs into nothing else.
    this.#startTimer(delayMs, () => {
      this.#timed = false;
      this.#runDue();
    });
  }

  #runDue(): void {
    const nowMs = this.#nowMs();
    try {
      for (const planned of this.#planned) {
        // A timer of the runtime may be early by the part of a millisecond.
        if (planned.dueMs - nowMs >= 1) break;
        this.#planned.delete(planned);
        planned.run();
      }
    } finally {
      // Also when one of them threw: the others are not to wait for ever.
      const [next] = this.#planned;
      if (next === undefined) this.#onEmpty();
      else if (!this.#timed) this.#time(Math.max(0, next.dueMs - this.#nowMs()));
    }
  }
}
