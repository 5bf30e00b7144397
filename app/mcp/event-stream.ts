import type { Cancel, Clock } from '../base/clock.ts';
import type { EventSource, StreamEvent } from '../session/registry.ts';

/** Proxies and clients give up on a connection that is silent for a minute, some for half of it. */
export const KEEP_ALIVE_MS = 15_000;

/**
 * How a connection ended: everything was said (or another one took over), the client went away, or
 * it read too slowly.
 */
export type StreamEnd = 'closed' | 'gone' | 'full';

export interface EventStreamOptions {
  readonly clock: Clock;
  /** Aborts with the connection. */
  readonly signal: AbortSignal;
  readonly source: EventSource;
  /** Called with each part that the client had room for: it is still reading. */
  readonly onAlive?: () => void;
  /** Called once. */
  readonly onEnd?: (end: StreamEnd) => void;
}

/**
 * An open `text/event-stream` answer (HTML Living Standard section 9.2). It takes each event from
 * its source when the client has room for it, so nothing piles up here: a stream that is only
 * pushed into is buffered by the runtime without a bound.
 */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #options: EventStreamOptions;
  readonly #stopKeepAlive: Cancel;
  #ended = false;
  /** The client has taken everything and waits for more. */
  #hungry = false;
  #pumping = false;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#stopKeepAlive = options.clock.every(KEEP_ALIVE_MS, () => this.#keepAlive());
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
        // Bun holds the status line and headers back until the first byte of the body.
        controller.enqueue(OPENING);
      },
      pull: () => {
        this.#hungry = true;
        this.#pump();
      },
      cancel: () => this.#end('gone'),
    });
    if (options.signal.aborted) {
      this.#end('gone');
      return;
    }
    options.signal.addEventListener('abort', this.#onAbort);
    options.source.onChange(() => this.#pump());
  }

  #keepAlive(): void {
    // A client that has not taken the last part gets no more parts: its connection may time out.
    if (!this.#hungry || this.#ended) return;
    this.#enqueue(KEEP_ALIVE);
  }

  #pump(): void {
    // A client that waits already asks for more at once: `pull` runs within `enqueue`.
    if (this.#pumping || this.#ended) return;
    this.#pumping = true;
    while (this.#hungry && !this.#ended) {
      const event = this.#options.source.next();
      if (event === undefined) break;
      this.#enqueue(ENCODER.encode(eventText(event)));
    }
    this.#pumping = false;
    this.#endWithSource();
  }

  #endWithSource(): void {
    switch (this.#ended ? 'open' : this.#options.source.state) {
      case 'open':
        return;
      case 'ended':
        this.#end(this.#attempt((controller) => controller.close()) ? 'closed' : 'gone');
        return;
      case 'overrun':
        this.#attempt((controller) => controller.error(new Error('the client reads too slowly')));
        this.#end('full');
        return;
    }
  }

  #enqueue(part: Uint8Array): void {
    this.#hungry = false;
    if (this.#attempt((controller) => controller.enqueue(part))) this.#options.onAlive?.();
    else this.#end('gone');
  }

  #end(how: StreamEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stopKeepAlive();
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#options.source.close();
    this.#options.onEnd?.(how);
  }

  readonly #onAbort = (): void => this.#end('gone');

  /** After a disconnect the runtime's controller throws at whoever touches it first. */
  #attempt(act: (controller: ReadableStreamDefaultController<Uint8Array>) => void): boolean {
    try {
      if (this.#controller !== undefined) act(this.#controller);
      return true;
    } catch {
      return false;
    }
  }
}

/** The headers of an event stream; proxies must neither store, pack nor hold it back. */
export const EVENT_STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
} as const;

/**
 * JSON may hold a line end between its tokens, which would end the field: each line gets its own
 * `data:`, and the client joins them again with a line feed. Without data it names no event either:
 * it only tells the id (MCP transports, Sending Messages 6).
 */
function eventText({ id, data, retryMs }: StreamEvent): string {
  const retry = retryMs === undefined ? '' : `retry: ${retryMs}\n`;
  if (data === '') return `id: ${id}\n${retry}data: \n\n`;
  const lines = /[\r\n]/.test(data) ? data.split(/\r\n|\r|\n/).join('\ndata: ') : data;
  return `id: ${id}\n${retry}event: message\ndata: ${lines}\n\n`;
}

const ENCODER = new TextEncoder();
const OPENING = ENCODER.encode(': open\n\n');
const KEEP_ALIVE = ENCODER.encode(': keep-alive\n\n');
