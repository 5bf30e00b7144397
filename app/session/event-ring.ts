import type { Cancel, Clock } from '../base/clock.ts';
import type { Metrics } from '../base/metrics.ts';
import type { KeptEvent } from './kept-event.ts';

/** What an event costs beside its text, so that many small ones are bounded too. */
export const EVENT_OVERHEAD_BYTES = 256;

/**
 * The events of all streams of one session, oldest first, bounded in bytes and time. The newest
 * is kept whatever its size while its client waits for it, so the bound is `bytesMax` and one
 * message.
 */
export class EventRing {
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #bytesMax: number;
  readonly #ageMsMax: number;
  readonly #events = new Set<KeptEvent>();
  #bytes = 0;
  #cancelExpiry: Cancel | undefined;
  #ended = false;

  constructor(parts: {
    readonly clock: Clock;
    readonly metrics: Metrics;
    readonly streamBufferBytesMax: number;
    /** How long a client that lost its connection may take to come back for what it missed. */
    readonly streamAgeMsMax: number;
  }) {
    this.#clock = parts.clock;
    this.#metrics = parts.metrics;
    this.#bytesMax = parts.streamBufferBytesMax;
    this.#ageMsMax = parts.streamAgeMsMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(event: KeptEvent): void {
    event.bytes = EVENT_OVERHEAD_BYTES + Buffer.byteLength(event.text ?? '');
    event.expiresAt = this.#clock.now() + this.#ageMsMax;
    this.#events.add(event);
    this.#bytes += event.bytes;
    this.trim();
    if (this.#cancelExpiry === undefined && !this.#ended) this.#planExpiry();
  }

  /** Drops the oldest until the rest fits; to be called too when an awaited event was taken. */
  trim(): void {
    if (this.#bytes <= this.#bytesMax) return;
    for (const event of this.#events) {
      if (this.#bytes <= this.#bytesMax) return;
      if (this.#events.size === 1 && isAwaited(event)) return;
      // What was delivered leaves as a matter of course.
      if (!event.stream.hasTaken(event.sequence))
        this.#metrics.limitsReached.inc({ limit: 'MAX_STREAM_BUFFER' });
      this.#drop(event);
    }
  }

  /** The session has ended: only what a connection is about to take stays. */
  end(): void {
    this.#ended = true;
    for (const event of this.#events) if (!isAwaited(event)) this.#drop(event);
    this.#cancelExpiry?.();
    this.#cancelExpiry = undefined;
  }

  #drop(event: KeptEvent): void {
    this.#events.delete(event);
    this.#bytes -= event.bytes;
    event.stream.forget(event.sequence);
  }

  #planExpiry(): void {
    this.#cancelExpiry = undefined;
    const [oldest] = this.#events;
    if (oldest === undefined) return;
    const delayMs = Math.max(0, oldest.expiresAt - this.#clock.now());
    this.#cancelExpiry = this.#clock.after(delayMs, () => this.#expire());
  }

  #expire(): void {
    const now = this.#clock.now();
    for (const event of this.#events) {
      if (event.expiresAt > now) break;
      this.#drop(event);
    }
    this.#planExpiry();
  }
}

function isAwaited({ stream, sequence }: KeptEvent): boolean {
  return stream.awaits(sequence);
}
