import type { RequestId } from '../base/message.ts';
import type { EventIds } from './event-id.ts';
import type { EventRing } from './event-ring.ts';
import { type EventSource, Reader } from './event-source.ts';
import { type KeepingStream, KeptEvent } from './kept-event.ts';

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
