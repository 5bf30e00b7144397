import type { Clock } from '../base/clock.ts';
import {
  errorText,
  type NotificationMessage,
  type RequestId,
  type RequestMessage,
  type ResponseMessage,
  RPC_ERROR,
} from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import { ok, type Result } from '../base/result.ts';
import { spanAtPath, spliceSpan } from '../base/splice.ts';
import type { Calls } from './calls.ts';
import { cancelledText } from './cancelled.ts';
import { type ClientCapabilities, refusalToAsk } from './capabilities.ts';
import { type InFlight, InFlightRequests, type WaitLimits } from './in-flight.ts';
import type { Address, Outbound } from './outbound.ts';
import { renamed } from './renamed.ts';
import type { SessionIds } from './router.ts';

/** Questions of one child that may wait for the client at once. */
export const QUESTIONS_MAX = 64;

/** A request of the child. */
interface Question extends InFlight<string> {
  readonly address: Address;
}

/**
 * What a child asks of its client (sampling, roots, elicitation), under ids of ours that are unique
 * over the session's life and not only over the child's.
 */
export class Questions {
  /** What the client has declared. */
  capabilities: ClientCapabilities = {};
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #outbound: Outbound;
  readonly #calls: Calls;
  readonly #limits: WaitLimits;
  readonly #toChild: (text: string) => Result<void, 'gone' | 'full'>;
  readonly #ids: SessionIds;
  readonly #inFlight: InFlightRequests<string, Question>;

  constructor(parts: {
    readonly clock: Clock;
    readonly metrics: Metrics;
    readonly ids: SessionIds;
    readonly outbound: Outbound;
    readonly calls: Calls;
    /** How long the client may take for an answer. */
    readonly timeoutMs: number;
    readonly toChild: (text: string) => Result<void, 'gone' | 'full'>;
  }) {
    this.#clock = parts.clock;
    this.#metrics = parts.metrics;
    this.#ids = parts.ids;
    this.#outbound = parts.outbound;
    this.#calls = parts.calls;
    this.#limits = { idleMs: parts.timeoutMs, totalMs: parts.timeoutMs };
    this.#toChild = parts.toChild;
    this.#inFlight = new InFlightRequests({
      ...{ clock: parts.clock, metrics: parts.metrics },
      ...{ max: QUESTIONS_MAX, limit: 'QUESTIONS_PER_SESSION' },
      onTimeOut: (question) => this.#timeOut(question),
    });
  }

  /** Questions that wait for the client. */
  get waiting(): number {
    return this.#inFlight.size;
  }

  /** Resolves when none waits. */
  drained(): Promise<void> {
    return this.#inFlight.drained();
  }

  /** Whether a question waits under this id, which is its progress token too. */
  has(id: unknown): boolean {
    return this.#inFlight.get(id) !== undefined;
  }

  /** Passes a request of the child on, or refuses it at once. */
  ask(request: RequestMessage): void {
    const refusal = refusalToAsk(request, this.capabilities);
    if (refusal !== undefined) this.#refuse(request.id, refusal.code, refusal.message, 'refused');
    else if (this.#inFlight.hasRoom()) this.#pass(request);
    else this.#refuse(request.id, RPC_ERROR.connectionClosed, 'too many questions wait', 'refused');
  }

  /** Passes the client's answer on; a late or unknown one is dropped (MCP cancellation). */
  answer(message: ResponseMessage): Result<void, 'gone' | 'full'> {
    const question = this.#inFlight.get(message.id);
    const span = spanAtPath(message.text, ['id']);
    if (question === undefined || span === undefined || span === 'ambiguous') return ok(undefined);
    const sent = this.#toChild(spliceSpan(message.text, span, question.idText));
    if (!sent.ok) return sent;
    this.#inFlight.remove(question);
    this.#metrics.questions.inc({ outcome: message.failed ? 'failed' : 'answered' });
    if (question.address.group !== undefined) this.#calls.alive(question.address.group);
    return ok(undefined);
  }

  /** The child takes a question of its own back; false when there is none. */
  cancel(message: NotificationMessage): boolean {
    const question = this.#inFlight.cancelledBy(message);
    if (question === undefined) return false;
    this.#inFlight.remove(question);
    this.#metrics.questions.inc({ outcome: 'cancelled' });
    this.#outbound.send(cancelledText(question.id, message.params), question.address);
    return true;
  }

  /** Passes on what the client tells of its progress with a question; unknown tokens are dropped. */
  progress(message: NotificationMessage): Result<void, 'gone' | 'full'> {
    const progress = this.#inFlight.progress(message);
    return progress === undefined ? ok(undefined) : this.#toChild(progress.text);
  }

  /** The child is gone. */
  forgetAll(): void {
    for (const question of this.#inFlight.values()) this.#inFlight.remove(question);
  }

  #pass(request: RequestMessage): void {
    const id = this.#ids.question();
    const span = spanAtPath(request.text, ['id']);
    const isPlain = span !== undefined && span !== 'ambiguous';
    const outgoing = isPlain ? renamed(request, span, JSON.stringify(id)) : undefined;
    if (outgoing === undefined) {
      this.#refuse(request.id, RPC_ERROR.invalidRequest, 'a member stands twice', 'refused');
      return;
    }
    const address: Address = {};
    if (!this.#outbound.send(outgoing.text, address)) {
      this.#refuse(request.id, RPC_ERROR.connectionClosed, 'the client is not ready', 'refused');
      return;
    }
    const startedAt = this.#clock.now();
    this.#inFlight.add({
      ...{ id, askerId: request.id, idText: outgoing.idText, tokenText: outgoing.tokenText },
      ...{ limits: this.#limits, startedAt, lastSignAt: startedAt, stopTimer: undefined, address },
    });
    if (address.group !== undefined) this.#calls.alive(address.group);
  }

  #timeOut(question: Question): void {
    this.#inFlight.remove(question);
    const reason = 'the request timed out';
    this.#refuse(question.askerId, RPC_ERROR.requestTimeout, reason, 'timed_out');
    this.#outbound.send(cancelledText(question.id, { reason }), question.address);
  }

  /** A child that does not read its answers loses them: it is its own question. */
  #refuse(childId: RequestId, code: number, message: string, outcome: string): void {
    this.#metrics.questions.inc({ outcome });
    this.#toChild(errorText(childId, code, message));
  }
}
