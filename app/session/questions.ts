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
import type { Address, Outbound } from './outbound.ts';
import {
  progressOf,
  progressTokenOf,
  withProgressToken,
  withRequestToken,
} from './progress-token.ts';
import type { SessionIds } from './router.ts';

/** Questions of one child that may wait for the client at once. */
export const QUESTIONS_MAX = 64;

interface Question {
  readonly childId: RequestId;
  /** Id and progress token as the child wrote them. */
  readonly childIdText: string;
  readonly tokenText: string | undefined;
  readonly address: Address;
  readonly forget: () => void;
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
  readonly #timeoutMs: number;
  readonly #toChild: (text: string) => Result<void, 'gone' | 'full'>;
  readonly #ids: SessionIds;
  readonly #questions = new Map<string, Question>();
  #onDrained: (() => void)[] = [];

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
    this.#timeoutMs = parts.timeoutMs;
    this.#toChild = parts.toChild;
  }

  /** Questions that wait for the client. */
  get waiting(): number {
    return this.#questions.size;
  }

  /** Resolves when none waits. */
  drained(): Promise<void> {
    if (this.#questions.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDrained.push(resolve);
    });
  }

  /** Whether a question waits under this id, which is its progress token too. */
  has(id: unknown): boolean {
    return typeof id === 'string' && this.#questions.has(id);
  }

  /** Passes a request of the child on, or refuses it at once. */
  ask(request: RequestMessage): void {
    const refusal = refusalToAsk(request, this.capabilities);
    if (refusal !== undefined) this.#refuse(request.id, refusal.code, refusal.message, 'refused');
    else if (this.#questions.size < QUESTIONS_MAX) this.#pass(request);
    else {
      this.#metrics.limitsReached.inc({ limit: 'QUESTIONS_PER_SESSION' });
      this.#refuse(request.id, RPC_ERROR.connectionClosed, 'too many questions wait', 'refused');
    }
  }

  /** Passes the client's answer on; a late or unknown one is dropped (MCP cancellation). */
  answer(message: ResponseMessage): Result<void, 'gone' | 'full'> {
    const question = typeof message.id === 'string' ? this.#questions.get(message.id) : undefined;
    const span = spanAtPath(message.text, ['id']);
    if (question === undefined || span === undefined || span === 'ambiguous') return ok(undefined);
    const sent = this.#toChild(spliceSpan(message.text, span, question.childIdText));
    if (!sent.ok) return sent;
    question.forget();
    this.#metrics.questions.inc({ outcome: message.failed ? 'failed' : 'answered' });
    if (question.address.group !== undefined) this.#calls.alive(question.address.group);
    return ok(undefined);
  }

  /** The child takes a question of its own back; false when there is none. */
  cancel(message: NotificationMessage): boolean {
    const params = message.params as { readonly requestId?: unknown } | undefined;
    for (const [id, question] of this.#questions) {
      if (question.childId !== params?.requestId) continue;
      question.forget();
      this.#metrics.questions.inc({ outcome: 'cancelled' });
      this.#outbound.send(cancelledText({ ...params, requestId: id }), question.address);
      return true;
    }
    return false;
  }

  /** Passes on what the client tells of its progress with a question; unknown tokens are dropped. */
  progress(message: NotificationMessage): Result<void, 'gone' | 'full'> {
    const token = progressOf(message.params);
    const question = typeof token === 'string' ? this.#questions.get(token) : undefined;
    if (question?.tokenText === undefined) return ok(undefined);
    const told = withProgressToken(message.text, question.tokenText);
    return told === undefined ? ok(undefined) : this.#toChild(told.text);
  }

  /** The child is gone. */
  forgetAll(): void {
    for (const question of [...this.#questions.values()]) question.forget();
  }

  #pass(request: RequestMessage): void {
    const id = this.#ids.question();
    const span = spanAtPath(request.text, ['id']);
    const hasToken = progressTokenOf(request.params) !== undefined;
    if (span === undefined || span === 'ambiguous') {
      this.#refuseAmbiguous(request);
      return;
    }
    const withId = spliceSpan(request.text, span, JSON.stringify(id));
    const retokened = hasToken ? withRequestToken(withId, JSON.stringify(id)) : undefined;
    if (hasToken && retokened === undefined) {
      this.#refuseAmbiguous(request);
      return;
    }

    const address: Address = {};
    const stopTimer = this.#clock.after(this.#timeoutMs, () => this.#timeOut(id));
    this.#questions.set(id, {
      childId: request.id,
      childIdText: request.text.slice(span.start, span.end),
      tokenText: retokened?.was,
      address,
      forget: () => {
        this.#questions.delete(id);
        stopTimer();
        if (this.#questions.size === 0) for (const tell of this.#onDrained.splice(0)) tell();
      },
    });
    if (!this.#outbound.send(retokened?.text ?? withId, address)) {
      this.#questions.get(id)?.forget();
      this.#refuse(request.id, RPC_ERROR.connectionClosed, 'the client is not ready', 'refused');
    } else if (address.group !== undefined) this.#calls.alive(address.group);
  }

  #timeOut(id: string): void {
    const question = this.#questions.get(id);
    if (question === undefined) return;
    question.forget();
    const reason = 'the request timed out';
    this.#refuse(question.childId, RPC_ERROR.requestTimeout, reason, 'timed_out');
    this.#outbound.send(cancelledText({ requestId: id, reason }), question.address);
  }

  #refuseAmbiguous(request: RequestMessage): void {
    this.#refuse(request.id, RPC_ERROR.invalidRequest, 'a member stands twice', 'refused');
  }

  /** A child that does not read its answers loses them: it is its own question. */
  #refuse(childId: RequestId, code: number, message: string, outcome: string): void {
    this.#metrics.questions.inc({ outcome });
    this.#toChild(errorText(childId, code, message));
  }
}
