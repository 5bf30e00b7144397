import type { KeptEvent } from './kept-event.ts';

/** How long a client should wait before it comes back to a stream that ended early. */
export const RETRY_MS = 1_000;

/** One event of a stream as a client gets it. */
export interface StreamEvent {
  readonly id: string;
  /** JSON-RPC text; empty in the event that only tells a first id (MCP transports, Sending 6). */
  readonly data: string;
  readonly retryMs?: number;
}

/**
 * `ended`: nothing more will come. `overrun`: the reader was too slow, and what it had not taken was
 * dropped.
 */
export type SourceState = 'open' | 'ended' | 'overrun';

/** What one connection reads: it takes each event when its client has room for it. */
export interface EventSource {
  /** The next event, if there is one now. */
  next(): StreamEvent | undefined;
  readonly state: SourceState;
  /** Sets who is called when there may be a next event or another state; for one listener. */
  onChange(listener: () => void): void;
  /** The connection is gone; the stream goes on without it. */
  close(): void;
}

/** A source of what is known already: for a stream of which nothing is kept any more. */
export function fixedSource(events: readonly StreamEvent[]): EventSource {
  const left = [...events];
  return {
    next: () => left.shift(),
    get state() {
      return left.length === 0 ? 'ended' : 'open';
    },
    onChange: () => undefined,
    close: () => {
      left.length = 0;
    },
  };
}

/** What a connection needs of its stream. */
export interface ReaderParts {
  readonly from: number;
  readonly primes: boolean;
  readonly after: (sequence: number) => KeptEvent | undefined;
  readonly taken: (event: KeptEvent) => void;
  readonly exhausted: (sequence: number) => boolean;
  readonly format: (sequence: number, last: boolean) => string;
  readonly onEnd: () => void;
}

/** A connection that reads a stream, event by event. */
export class Reader implements EventSource {
  readonly #parts: ReaderParts;
  /** The event that was taken last. */
  sequence: number;
  state: SourceState = 'open';
  #primes: boolean;
  #listener: () => void = () => undefined;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
    this.sequence = parts.from;
    this.#primes = parts.primes;
  }

  next(): StreamEvent | undefined {
    if (this.state !== 'open') return undefined;
    if (this.#primes) {
      this.#primes = false;
      const id = this.#parts.format(this.sequence, false);
      return { id, data: '', retryMs: RETRY_MS };
    }
    const event = this.#parts.after(this.sequence);
    if (event !== undefined) {
      this.sequence = event.sequence;
      this.#parts.taken(event);
    }
    if (this.#parts.exhausted(this.sequence)) this.end('ended');
    if (event?.text === undefined) return undefined;
    return { id: this.#parts.format(event.sequence, event.last), data: event.text };
  }

  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.end('ended');
  }

  changed(): void {
    this.#listener();
  }

  end(state: 'ended' | 'overrun'): void {
    if (this.state !== 'open') return;
    this.state = state;
    this.#parts.onEnd();
    this.changed();
  }
}
