import type { Cancel, Clock } from '../base/clock.ts';
import type { Metrics } from '../base/metrics.ts';

/** How long a client that lost its connection may take to come back for what it missed. */
export const EVENT_KEPT_MS = 5 * 60_000;

/** What an event costs beside its text, so that many small ones are bounded too. */
export const EVENT_OVERHEAD_BYTES = 256;

/** An event that a client may still ask for. */
export interface KeptEvent {
  readonly sequence: number;
  /** undefined marks the end of a stream that ended without a word. */
  readonly text: string | undefined;
  readonly last: boolean;
  /** Whether some connection has taken it. */
  readonly taken: () => boolean;
  /** Takes it out of its stream; called once. */
  readonly drop: () => void;
  /** Whether nothing but its client's own pace keeps it from being delivered. */
  readonly awaited: () => boolean;
}

interface Slot {
  readonly event: KeptEvent;
  readonly bytes: number;
  readonly expiresAt: number;
}

/**
 * The events of all streams of one session, oldest first, bounded in bytes and time. The newest
 * is kept whatever its size while its client waits for it, so the bound is `bytesMax` and one
 * message.
 */
export class EventRing {
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #bytesMax: number;
  readonly #slots = new Set<Slot>();
  #bytes = 0;
  #cancelExpiry: Cancel | undefined;
  #ended = false;

  constructor(parts: {
    readonly clock: Clock;
    readonly metrics: Metrics;
    readonly streamBufferBytesMax: number;
  }) {
    this.#clock = parts.clock;
    this.#metrics = parts.metrics;
    this.#bytesMax = parts.streamBufferBytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(event: KeptEvent): void {
    const bytes = EVENT_OVERHEAD_BYTES + Buffer.byteLength(event.text ?? '');
    this.#slots.add({ event, bytes, expiresAt: this.#clock.now() + EVENT_KEPT_MS });
    this.#bytes += bytes;
    this.trim();
    if (this.#cancelExpiry === undefined && !this.#ended) this.#planExpiry();
  }

  /** Drops the oldest until the rest fits; to be called too when an awaited event was taken. */
  trim(): void {
    if (this.#bytes <= this.#bytesMax) return;
    for (const slot of this.#slots) {
      if (this.#bytes <= this.#bytesMax) return;
      if (this.#slots.size === 1 && slot.event.awaited()) return;
      // What was delivered leaves as a matter of course.
      if (!slot.event.taken()) this.#metrics.limitsReached.inc({ limit: 'MAX_STREAM_BUFFER' });
      this.#drop(slot);
    }
  }

  /** The session has ended: only what a connection is about to take stays. */
  end(): void {
    this.#ended = true;
    for (const slot of this.#slots) if (!slot.event.awaited()) this.#drop(slot);
    this.#cancelExpiry?.();
    this.#cancelExpiry = undefined;
  }

  #drop(slot: Slot): void {
    this.#slots.delete(slot);
    this.#bytes -= slot.bytes;
    slot.event.drop();
  }

  #planExpiry(): void {
    this.#cancelExpiry = undefined;
    const [oldest] = this.#slots;
    if (oldest === undefined) return;
    const delayMs = Math.max(0, oldest.expiresAt - this.#clock.now());
    this.#cancelExpiry = this.#clock.after(delayMs, () => this.#expire());
  }

  #expire(): void {
    const now = this.#clock.now();
    for (const slot of this.#slots) {
      if (slot.expiresAt > now) break;
      this.#drop(slot);
    }
    this.#planExpiry();
  }
}
