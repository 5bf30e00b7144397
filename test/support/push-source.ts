import type { EventSource, SourceState, StreamEvent } from '../../app/session/event-source.ts';

/** A source whose events a test pushes. */
export class PushSource implements EventSource {
  state: SourceState = 'open';
  closed = false;
  readonly #events: StreamEvent[] = [];
  #finished = false;
  #listener: () => void = () => undefined;
  #lastId = 0;

  /** Events that nobody has taken yet. */
  get waiting(): number {
    return this.#events.length;
  }

  push(data: string, more: Partial<StreamEvent> = {}): void {
    this.#lastId += 1;
    this.#events.push({ id: `e${this.#lastId}`, data, ...more });
    this.#listener();
  }

  /** Nothing more will come. */
  finish(): void {
    this.#finished = true;
    if (this.#events.length === 0) this.state = 'ended';
    this.#listener();
  }

  /** What was not taken is dropped. */
  overrun(): void {
    this.#events.length = 0;
    this.state = 'overrun';
    this.#listener();
  }

  next(): StreamEvent | undefined {
    const event = this.#events.shift();
    if (this.#finished && this.#events.length === 0) this.state = 'ended';
    return event;
  }

  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.closed = true;
  }
}
