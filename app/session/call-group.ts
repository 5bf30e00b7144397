import type { RequestId } from '../base/message.ts';
import type { EventSource } from './event-source.ts';
import type { Stream } from './stream.ts';
import type { Streams } from './streams.ts';

/** What became of one request of a POST. */
export interface Settled {
  /** The JSON-RPC answer, with the client's id. */
  readonly text: string;
  /** Whoever cancelled a request gets no answer to it, where a stream can end without one. */
  readonly silent: boolean;
}

/** What a POST with requests gets, as its transport sees it. */
export interface PostedCalls {
  /**
   * Resolves, always, with all answers as one JSON text: one answer, or the array of a batch. This
   * is what a client gets that reads no streams.
   */
  readonly answer: Promise<string>;
  /** Resolves once the form is decided: all is answered, or something else is to be said first. */
  readonly decided: Promise<void>;
  /** Whether `answer` alone says it all. */
  readonly plain: boolean;
  /** From here on everything goes to a stream; what there is already comes first. Call it once. */
  read(): EventSource;
}

/** The requests of one POST, and where their answers and what belongs to them go. */
export class CallGroup implements PostedCalls {
  readonly decided: Promise<void>;
  /** Whether its client takes anything but answers. */
  readonly carries: boolean;
  readonly #streams: Streams;
  readonly #ids: readonly RequestId[];
  readonly #batch: boolean;
  readonly #settled: Settled[] = [];
  readonly #resolveDecided: () => void;
  readonly #onFinished: (group: CallGroup) => void;
  #stream: Stream | undefined;
  /** Made when somebody waits: most answers are there before anybody does. */
  #awaited: PromiseWithResolvers<string> | undefined;

  constructor(parts: {
    readonly streams: Streams;
    readonly ids: readonly RequestId[];
    readonly batch: boolean;
    readonly carries: boolean;
    readonly onFinished: (group: CallGroup) => void;
  }) {
    this.#streams = parts.streams;
    this.#ids = parts.ids;
    this.#batch = parts.batch;
    this.carries = parts.carries;
    this.#onFinished = parts.onFinished;
    const decided = Promise.withResolvers<void>();
    this.decided = decided.promise;
    this.#resolveDecided = decided.resolve;
  }

  get answer(): Promise<string> {
    if (this.finished) return Promise.resolve(this.#text);
    this.#awaited ??= Promise.withResolvers<string>();
    return this.#awaited.promise;
  }

  get finished(): boolean {
    return this.#settled.length === this.#ids.length;
  }

  get plain(): boolean {
    return this.finished && this.#stream === undefined && !this.#settled.some(isSilent);
  }

  read(): EventSource {
    return this.#open().read();
  }

  /** Says something that belongs to its calls, before they are answered; false when too late. */
  say(text: string): boolean {
    if (this.finished || !this.carries) return false;
    this.#open().push(text);
    this.#resolveDecided();
    return true;
  }

  /** One of its requests is done; each once. */
  settle(settled: Settled): void {
    this.#settled.push(settled);
    if (this.#stream !== undefined) this.#send(this.#stream, settled);
    if (!this.finished) return;
    this.#awaited?.resolve(this.#text);
    this.#resolveDecided();
    this.#onFinished(this);
  }

  get #text(): string {
    if (!this.#batch) return this.#settled[0]?.text ?? '';
    return `[${this.#settled.map(({ text }) => text).join(',')}]`;
  }

  #open(): Stream {
    if (this.#stream !== undefined) return this.#stream;
    const stream = this.#streams.open(this.#ids);
    this.#stream = stream;
    const settled = [...this.#settled];
    settled.forEach((one, index) => {
      this.#send(stream, one, this.finished && index === settled.length - 1);
    });
    return stream;
  }

  #send(stream: Stream, { text, silent }: Settled, last = this.finished): void {
    if (!silent) stream.push(text, last);
    else if (last) stream.finish();
  }
}

function isSilent({ silent }: Settled): boolean {
  return silent;
}
