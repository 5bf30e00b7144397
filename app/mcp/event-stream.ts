import type { Cancel, Clock } from '../base/clock.ts';

/** Proxies and clients give up on a connection that is silent for a minute, some for half of it. */
export const KEEP_ALIVE_MS = 15_000;

/** How a stream ended: we had said everything, the client went away, or it read too slowly. */
export type StreamEnd = 'closed' | 'gone' | 'full';

export interface EventStreamOptions {
  readonly clock: Clock;
  /** Aborts with the connection. */
  readonly signal: AbortSignal;
  /** What may wait for a slow client; a single event is sent whatever its size. */
  readonly bufferBytesMax: number;
  /** Called with each keep-alive that the client had room for: it is still reading. */
  readonly onAlive?: () => void;
  /** Called once. */
  readonly onEnd?: (end: StreamEnd) => void;
}

/**
 * An open `text/event-stream` answer (HTML Living Standard section 9.2). Events wait in a queue here
 * and go out one by one as the client takes them: a stream that is only pushed into is buffered by
 * the runtime without a bound.
 */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #options: EventStreamOptions;
  readonly #stopKeepAlive: Cancel;
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #state: 'open' | 'closing' | 'ended' = 'open';
  /** The client has taken everything and waits for more. */
  #hungry = false;
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
    if (options.signal.aborted) this.#end('gone');
    else options.signal.addEventListener('abort', this.#onAbort);
  }

  /**
   * Sends one `message` event. `gone`: the stream has ended or was closed; nothing was sent and
   * nothing broke. `full`: the client has left too much unread, and the stream has ended over it.
   */
  send(data: string): 'sent' | 'gone' | 'full' {
    if (this.#state !== 'open') return 'gone';
    const event = ENCODER.encode(messageEvent(data));
    const queuedBytes = this.#queuedBytes + event.byteLength;
    if (this.#queue.length > 0 && queuedBytes > this.#options.bufferBytesMax) {
      this.#attempt((controller) => controller.error(new Error('the client reads too slowly')));
      this.#end('full');
      return 'full';
    }
    this.#push(event);
    return 'sent';
  }

  /** Ends the stream once the client has taken what was sent. Harmless when repeated. */
  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#pump();
  }

  #keepAlive(): void {
    // A client that has not taken the last part gets no more parts: its connection may time out.
    if (!this.#hungry || this.#state !== 'open') return;
    this.#push(KEEP_ALIVE);
    this.#options.onAlive?.();
  }

  #push(part: Uint8Array): void {
    this.#queue.push(part);
    this.#queuedBytes += part.byteLength;
    this.#pump();
  }

  #pump(): void {
    while (this.#hungry && this.#state !== 'ended') {
      const part = this.#queue.shift();
      if (part === undefined) break;
      this.#queuedBytes -= part.byteLength;
      this.#hungry = false;
      // A client that waits already asks for more at once: `pull` runs within this call.
      if (!this.#attempt((controller) => controller.enqueue(part))) this.#end('gone');
    }
    if (this.#state !== 'closing' || this.#queue.length > 0) return;
    this.#end(this.#attempt((controller) => controller.close()) ? 'closed' : 'gone');
  }

  #end(how: StreamEnd): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#queue.length = 0;
    this.#stopKeepAlive();
    this.#options.signal.removeEventListener('abort', this.#onAbort);
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
 * `data:`, and the client joins them again with a line feed.
 */
function messageEvent(data: string): string {
  const lines = /[\r\n]/.test(data) ? data.split(/\r\n|\r|\n/).join('\ndata: ') : data;
  return `event: message\ndata: ${lines}\n\n`;
}

const ENCODER = new TextEncoder();
const OPENING = ENCODER.encode(': open\n\n');
const KEEP_ALIVE = ENCODER.encode(': keep-alive\n\n');
