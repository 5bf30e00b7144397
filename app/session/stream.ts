import type { RequestId } from '../base/message.ts';
import type { EventIds } from './event-id.ts';
import type { EventRing } from './event-ring.ts';
import { type KeepingStream, KeptEvent } from './kept-event.ts';

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

export interface StreamParts {
  /** Unique in the session. */
  readonly number: number;
  /** The requests that it answers; none on the listening stream. */
  readonly requestIds: readonly RequestId[];
  readonly ring: EventRing;
  readonly eventIds: EventIds;
  /** Whether a connection begins with an event that only tells an id. */
  readonly primes: () => boolean;
  /** It is finished and none of its events is kept any more. */
  readonly onForgotten: () => void;
}

/**
 * One stream of a session: what the answer to a POST or the listening stream consists of, whatever
 * becomes of the connections that carry it. At most one reads it at a time; another one takes over.
 */
export class Stream implements KeepingStream {
  readonly number: number;
  readonly #parts: StreamParts;
  readonly #events = new Map<number, KeptEvent>();
  #lastSequence = 0;
  /** The last one that any connection has taken. */
  #takenSequence = 0;
  #finished = false;
  #reader: Reader | undefined;
  #seal: string | undefined;

  constructor(parts: StreamParts) {
    this.number = parts.number;
    this.#parts = parts;
  }

  get attached(): boolean {
    return this.#reader !== undefined;
  }

  get finished(): boolean {
    return this.#finished;
  }

  /** Ends the connection that reads it; the stream goes on. */
  hangUp(): void {
    this.#reader?.end('ended');
  }

  /** Adds a message; with `last`, the stream ends with it. */
  push(text: string, last = false): void {
    this.#add(text, last);
  }

  /** Ends it without another message. Harmless when repeated. */
  finish(): void {
    this.#add(undefined, true);
  }

  /** A new connection, from what none has taken before. */
  read(): EventSource {
    return this.#attach(this.#takenSequence, this.#parts.primes());
  }

  /** A connection that goes on behind an event; undefined when nothing is left and none will come. */
  readAfter(sequence: number): EventSource | undefined {
    const from = Math.min(sequence, this.#lastSequence);
    if (this.#finished && !this.#holdsAfter(from)) return undefined;
    return this.#attach(from, false);
  }

  #add(text: string | undefined, last: boolean): void {
    if (this.#finished) return;
    this.#finished = last;
    this.#lastSequence += 1;
    const event = new KeptEvent(this, this.#lastSequence, text, last);
    this.#events.set(event.sequence, event);
    this.#parts.ring.add(event);
    this.#reader?.changed();
  }

  hasTaken(sequence: number): boolean {
    return this.#takenSequence >= sequence;
  }

  /** A stream of a POST that was not read yet will be at once. */
  awaits(sequence: number): boolean {
    if (this.#reader !== undefined) return this.#reader.sequence < sequence;
    return this.number !== LISTENING && this.#takenSequence === 0;
  }

  #holdsAfter(sequence: number): boolean {
    for (const event of this.#events.values()) {
      if (event.sequence > sequence && event.text !== undefined) return true;
    }
    return false;
  }

  forget(sequence: number): void {
    this.#events.delete(sequence);
    if (this.#reader !== undefined && this.#reader.sequence < sequence) this.#reader.end('overrun');
    if (this.#finished && this.#events.size === 0) this.#parts.onForgotten();
  }

  #attach(sequence: number, primes: boolean): EventSource {
    this.#reader?.end('ended');
    const [oldest] = this.#events.keys();
    const reader = new Reader({
      // Behind what was dropped, also when nothing is left: it would wait for that for ever.
      from: Math.max(sequence, (oldest ?? this.#lastSequence + 1) - 1),
      primes,
      after: (taken) => this.#events.get(taken + 1),
      taken: (event) => this.#taken(event),
      exhausted: (taken) => this.#finished && taken >= this.#lastSequence,
      format: (of, last) => this.#idOf(of, last),
      onEnd: () => {
        if (this.#reader === reader) this.#reader = undefined;
      },
    });
    this.#reader = reader;
    return reader;
  }

  #taken(event: KeptEvent): void {
    this.#takenSequence = Math.max(this.#takenSequence, event.sequence);
    this.#parts.ring.trim();
  }

  #idOf(sequence: number, last: boolean): string {
    const { eventIds, requestIds } = this.#parts;
    this.#seal ??= eventIds.seal(this.number, requestIds);
    return eventIds.format(this.number, sequence, last, this.#seal);
  }
}

/** The number of the listening stream. */
export const LISTENING = 0;

interface ReaderParts {
  readonly from: number;
  readonly primes: boolean;
  readonly after: (sequence: number) => KeptEvent | undefined;
  readonly taken: (event: KeptEvent) => void;
  readonly exhausted: (sequence: number) => boolean;
  readonly format: (sequence: number, last: boolean) => string;
  readonly onEnd: () => void;
}

class Reader implements EventSource {
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
