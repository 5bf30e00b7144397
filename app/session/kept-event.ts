/** The stream that an event belongs to, as its events see it. */
export interface KeepingStream {
  /** Whether some connection has taken the event with that number. */
  hasTaken(sequence: number): boolean;
  /** Whether nothing but its client's own pace keeps it from being delivered. */
  awaits(sequence: number): boolean;
  /** It is not kept any more; called once. */
  forget(sequence: number): void;
}

/** An event that a client may still ask for. There are many, so it carries no functions of its own. */
export class KeptEvent {
  readonly stream: KeepingStream;
  readonly sequence: number;
  /** undefined marks the end of a stream that ended without a word. */
  readonly text: string | undefined;
  readonly last: boolean;
  /** What it costs, and until when it is kept (epoch milliseconds): the ring's notes on it. */
  bytes = 0;
  expiresAt = 0;

  constructor(stream: KeepingStream, sequence: number, text: string | undefined, last: boolean) {
    this.stream = stream;
    this.sequence = sequence;
    this.text = text;
    this.last = last;
  }
}
