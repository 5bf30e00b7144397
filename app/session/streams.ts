import type { Clock } from '../base/clock.ts';
import { errorText, type RequestId, RPC_ERROR } from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import type { EventId, EventIds } from './event-id.ts';
import { EventRing } from './event-ring.ts';
import { type EventSource, fixedSource } from './event-source.ts';
import { LISTENING, Stream } from './stream.ts';

/**
 * What a GET gets. `nothing`: the stream had ended and was read to its end. `unknown`: the event id
 * is none of this session.
 */
export type Listening =
  | { readonly kind: 'events'; readonly source: EventSource }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'unknown' };

export interface StreamsParts {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly streamBufferBytesMax: number;
  readonly streamAgeMsMax: number;
  readonly eventIds: EventIds;
}

/** The first revision that wants a stream to begin with an event that tells an id. */
const PRIMED_SINCE = '2025-11-25';

/** All streams of one session: the one that listens, and one for each POST that needed one. */
export class Streams {
  readonly listening: Stream;
  /** What was agreed in `initialize`. */
  protocolVersion = '';
  readonly #parts: StreamsParts;
  readonly #ring: EventRing;
  readonly #streams = new Map<number, Stream>();
  #lastNumber = LISTENING;

  constructor(parts: StreamsParts) {
    this.#parts = parts;
    this.#ring = new EventRing(parts);
    this.listening = this.#create(LISTENING, []);
  }

  /** A stream for the answers to these requests. */
  open(requestIds: readonly RequestId[]): Stream {
    this.#lastNumber += 1;
    return this.#create(this.#lastNumber, requestIds);
  }

  /** The listening stream, or the rest of the one that the client lost behind `lastEventId`. */
  listen(lastEventId: string | undefined): Listening {
    if (lastEventId === undefined) return { kind: 'events', source: this.listening.read() };
    const listening = this.#resume(lastEventId);
    this.#parts.metrics.streamsResumed.inc({ outcome: listening.kind });
    return listening;
  }

  /** Whether nobody reads any of them and nothing is kept for anyone. */
  get empty(): boolean {
    return !this.listening.attached && this.#ring.bytes === 0;
  }

  /** Ends the connection of whoever listens. */
  hangUp(): void {
    this.listening.hangUp();
  }

  /** The session has ended: what nobody waits for is dropped, and nobody listens any more. */
  end(): void {
    this.listening.finish();
    this.#ring.end();
  }

  #resume(lastEventId: string): Listening {
    const id = this.#parts.eventIds.parse(lastEventId);
    if (id === undefined) return { kind: 'unknown' };
    if (id.last) return { kind: 'nothing' };
    const stream = id.ownRun ? this.#streams.get(id.stream) : undefined;
    if (stream !== undefined) {
      const source = stream.readAfter(id.sequence);
      return source === undefined ? { kind: 'nothing' } : { kind: 'events', source };
    }
    // An earlier run of the broker listened under the same number.
    if (id.stream === LISTENING) return { kind: 'events', source: this.listening.read() };
    return id.requestIds.length === 0 ? { kind: 'unknown' } : this.#lost(id);
  }

  /** Answers are not kept for ever, and no client should wait for ever. */
  #lost(id: EventId): Listening {
    const { eventIds } = this.#parts;
    const { connectionClosed } = RPC_ERROR;
    const seal = eventIds.seal(id.stream, id.requestIds);
    const events = id.requestIds.map((requestId, index) => ({
      id: eventIds.format(id.stream, id.sequence, index === id.requestIds.length - 1, seal),
      data: errorText(requestId, connectionClosed, 'the answer is not kept any more'),
    }));
    return { kind: 'events', source: fixedSource(events) };
  }

  #create(number: number, requestIds: readonly RequestId[]): Stream {
    const stream = new Stream({
      ...{ number, requestIds, ring: this.#ring, eventIds: this.#parts.eventIds },
      primes: () => this.protocolVersion >= PRIMED_SINCE,
      onForgotten: () => this.#streams.delete(number),
    });
    this.#streams.set(number, stream);
    return stream;
  }
}
