import type { Cancel, Clock } from '../base/clock.ts';
import type { NotificationMessage, RequestId } from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import { progressOf, withProgressToken } from './progress-token.ts';

/** How long a request may wait (MCP lifecycle, Timeouts). */
export interface WaitLimits {
  /** Since the last sign of life. */
  readonly idleMs: number;
  /** Whatever the other side tells meanwhile. */
  readonly totalMs: number;
}

/** A request that waits; times are epoch milliseconds. */
export interface InFlight<Id extends RequestId> {
  /** That the other side knows: its progress token too. */
  readonly id: Id;
  /** That its asker knows. */
  readonly askerId: RequestId;
  /** Id and progress token as its asker wrote them. */
  readonly idText: string;
  readonly tokenText: string | undefined;
  readonly limits: WaitLimits;
  readonly startedAt: number;
  lastSignAt: number;
  /** Set while it is in the table. */
  stopTimer: Cancel | undefined;
}

/**
 * The requests of one side that wait for the other one's answer (MCP cancellation: in flight), each
 * under an id of ours: no more than `max`, and none for ever.
 */
export class InFlightRequests<Id extends RequestId, Asked extends InFlight<Id>> {
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #max: number;
  readonly #limit: string;
  readonly #onTimeOut: (asked: Asked) => void;
  readonly #asked = new Map<unknown, Asked>();
  #onDrained: (() => void)[] = [];

  constructor(parts: {
    readonly clock: Clock;
    readonly metrics: Metrics;
    readonly max: number;
    /** The name of `max`. */
    readonly limit: string;
    /** It has waited as long as it may, and is to be removed. */
    readonly onTimeOut: (asked: Asked) => void;
  }) {
    this.#clock = parts.clock;
    this.#metrics = parts.metrics;
    this.#max = parts.max;
    this.#limit = parts.limit;
    this.#onTimeOut = parts.onTimeOut;
  }

  get size(): number {
    return this.#asked.size;
  }

  /** Resolves when none waits. */
  drained(): Promise<void> {
    if (this.#asked.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDrained.push(resolve);
    });
  }

  /** Whether one more may wait; to be asked before it is sent, since a no is counted. */
  hasRoom(): boolean {
    if (this.#asked.size < this.#max) return true;
    this.#metrics.limitsReached.inc({ limit: this.#limit });
    return false;
  }

  add(asked: Asked): void {
    this.#asked.set(asked.id, asked);
    this.#watch(asked, Math.min(asked.limits.idleMs, asked.limits.totalMs));
  }

  /** The one that the other side answers under this id. */
  get(id: unknown): Asked | undefined {
    return this.#asked.get(id);
  }

  /** All of them; each may be removed on the way. */
  values(): Iterable<Asked> {
    return this.#asked.values();
  }

  /** The one that its asker cancels, under the id that the asker gave it. */
  cancelledBy({ params }: NotificationMessage): Asked | undefined {
    const { requestId } = (params ?? {}) as { readonly requestId?: unknown };
    return this.#asked.values().find(({ askerId }) => askerId === requestId);
  }

  /** What the other side tells of its progress, and with which one: under the asker's own token. */
  progress(
    message: NotificationMessage,
  ): { readonly asked: Asked; readonly text: string } | undefined {
    const asked = this.#asked.get(progressOf(message.params));
    if (asked?.tokenText === undefined) return undefined;
    const told = withProgressToken(message.text, asked.tokenText);
    return told === undefined ? undefined : { asked, text: told.text };
  }

  /** It waits no more. */
  remove(asked: Asked): void {
    this.#asked.delete(asked.id);
    asked.stopTimer?.();
    if (this.#asked.size > 0 || this.#onDrained.length === 0) return;
    for (const tell of this.#onDrained.splice(0)) tell();
  }

  /** One timer each: a sign of life costs no new one. */
  #watch(asked: Asked, delayMs: number): void {
    asked.stopTimer = this.#clock.after(delayMs, () => {
      const { limits, startedAt, lastSignAt } = asked;
      const dueAt = Math.min(lastSignAt + limits.idleMs, startedAt + limits.totalMs);
      const leftMs = dueAt - this.#clock.now();
      if (leftMs > 0) this.#watch(asked, leftMs);
      else this.#onTimeOut(asked);
    });
  }
}
