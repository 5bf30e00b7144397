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

/**
 * How long ago the forge may have been asked for tokens when the broker is killed, and its answer
 * still be lost; a busy machine takes its time over both. With rotation on the pair before it is
 * dead too, and nothing but a sign-in helps.
 */
const UNSTORED_MS = 5_000;

/** How soon a person whose pair was lost is asked to sign in: each session refreshes by then. */
const FOUND_OUT_MS = 120_000;

interface Outage {
  readonly from: number;
  to: number;
  /** Whether the kill may have come between an answer of the forge and its row. */
  readonly mayLosePair: boolean;
  /** Whose it was: one token call is under way at a time, so it can be one person's only. */
  loser: string | undefined;
  readonly signedInAgain: Set<number>;
}

/** `to` is in the future while the child is dying. */
interface Death {
  readonly from: number;
  to: number;
}

/** What was injected, to tell what it explains from what nobody has caused. */
export class Faults {
  readonly #outages: Outage[] = [];
  readonly #deaths = new Map<number, Death[]>();
  readonly #personOf: (session: number) => string;

  constructor(personOf: (session: number) => string) {
    this.#personOf = personOf;
  }

  /**
   * The broker is being stopped, or killed, `killedAfter` the forge's last token answer (epoch
   * milliseconds); it ends when `back` is called.
   */
  brokerDown(killedAfter?: number): { back(): void } {
    const from = Date.now();
    const outage: Outage = {
      ...{ from, to: Number.POSITIVE_INFINITY, loser: undefined, signedInAgain: new Set() },
      mayLosePair: killedAfter !== undefined && from - killedAfter <= UNSTORED_MS,
    };
    this.#outages.push(outage);
    return {
      back() {
        outage.to = Date.now() + AFTER_MS;
      },
    };
  }

  /**
   * The child of session number `session` is told to die, by a signal or a call; it is dead when
   * `over` is called. On a busy machine a killed process may be long in dying.
   */
  childDies(session: number): { over(): void } {
    const death: Death = { from: Date.now(), to: Number.POSITIVE_INFINITY };
    this.#deaths.set(session, [...(this.#deaths.get(session) ?? []), death]);
    return {
      over() {
        death.to = Date.now() + AFTER_MS;
      },
    };
  }

  get outages(): number {
    return this.#outages.length;
  }

  get deaths(): number {
    return [...this.#deaths.values()].reduce((sum, list) => sum + list.length, 0);
  }

  /** Whether something that was injected explains this error. */
  explain(kind: ErrorKind, session: number, span: Span): boolean {
    if (kind === 'refresh_refused') return this.#lostPair(session, span);
    if (within(span, this.#outages)) {
      // What a broker that leaves or comes may say; never that it forgot a session or a sign-in.
      return kind === 'network' || kind === 'http_503' || kind === CLOSED || kind === 'health';
    }
    return kind === CLOSED && within(span, this.#deaths.get(session) ?? []);
  }

  /** Each session of the one person once. */
  #lostPair(session: number, span: Span): boolean {
    const person = this.#personOf(session);
    const outage = this.#outages.find(
      ({ from, mayLosePair, loser, signedInAgain }) =>
        mayLosePair &&
        span.to >= from &&
        span.to <= from + FOUND_OUT_MS &&
        (loser ?? person) === person &&
        !signedInAgain.has(session),
    );
    if (outage === undefined) return false;
    outage.loser = person;
    outage.signedInAgain.add(session);
    return true;
  }
}

function within(span: Span, faults: readonly Span[]): boolean {
  return faults.some(({ from, to }) => span.from <= to && span.to >= from);
}
