/** What went wrong with a call, as its client sees it. */
export type ErrorKind =
  /** No connection, or it broke before the answer. */
  | 'network'
  /** Nothing came for longer than any call takes. */
  | 'timeout'
  | `http_${number}`
  | `rpc_${number}`
  /** An answer to another call, of another person or without what was asked for. */
  | 'wrong_answer'
  /** The child's token for Forgejo is dead. */
  | 'dead_token'
  | 'refresh_refused'
  | 'health'
  | 'exit_code';

/** From when to when it happened; epoch milliseconds. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** How long after its cause a fault may still show. */
const AFTER_MS = 1_500;
/** -32000, which the broker answers when a child or its own process ends under a call. */
const CLOSED: ErrorKind = 'rpc_-32000';

/** What was injected, to tell what it explains from what nobody has caused. */
export class Faults {
  readonly #outages: { from: number; to: number }[] = [];
  readonly #deaths = new Map<number, number[]>();

  /** The broker is being killed or stopped; it ends when `back` is called. */
  brokerDown(): { back(): void } {
    const outage = { from: Date.now(), to: Number.POSITIVE_INFINITY };
    this.#outages.push(outage);
    return {
      back() {
        outage.to = Date.now() + AFTER_MS;
      },
    };
  }

  /** The child of session number `session` is being killed. */
  childDied(session: number): void {
    const deaths = this.#deaths.get(session) ?? [];
    deaths.push(Date.now());
    this.#deaths.set(session, deaths);
  }

  get outages(): number {
    return this.#outages.length;
  }

  get deaths(): number {
    return [...this.#deaths.values()].reduce((sum, list) => sum + list.length, 0);
  }

  /** Whether something that was injected explains this error. */
  explain(kind: ErrorKind, session: number, span: Span): boolean {
    if (this.#inOutage(span)) {
      // What a broker that leaves or comes may say; never that it forgot a session or a sign-in.
      return kind === 'network' || kind === 'http_503' || kind === CLOSED || kind === 'health';
    }
    return kind === CLOSED && this.#childDied(session, span);
  }

  #inOutage(span: Span): boolean {
    return this.#outages.some(({ from, to }) => span.from <= to && span.to >= from);
  }

  #childDied(session: number, span: Span): boolean {
    const deaths = this.#deaths.get(session) ?? [];
    return deaths.some((at) => span.from <= at + AFTER_MS && span.to >= at);
  }
}
