import type { Cancel, Clock } from '../base/clock.ts';
import type { NotificationMessage, RequestMessage, ResponseMessage } from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Result } from '../base/result.ts';
import { memberSpan, spliceSpan } from '../base/splice.ts';
import type { CallGroup } from './call-group.ts';
import { cancelledText } from './cancelled.ts';
import type { Outbound } from './outbound.ts';
import {
  progressOf,
  progressTokenOf,
  withProgressToken,
  withRequestToken,
} from './progress-token.ts';
import type { SessionIds } from './router.ts';

/** What became of a request; `text` of an answer carries the client's id. */
export type Answer =
  | { readonly kind: 'answered'; readonly text: string; readonly failed: boolean }
  | { readonly kind: 'timed_out' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'full' }
  | { readonly kind: 'too_many' }
  | { readonly kind: 'ambiguous' };

/** How long a request may wait (MCP lifecycle, Timeouts). */
export interface CallLimits {
  /** Since the last sign of life: progress, or a question that belongs to it. */
  readonly idleMs: number;
  /** Whatever the child tells meanwhile. */
  readonly totalMs: number;
}

/** A request that waits; `startedAt` and `lastSignAt` are epoch milliseconds. */
interface Call {
  /** That the child knows. */
  readonly id: number;
  readonly request: RequestMessage;
  /** Id and progress token as the client wrote them. */
  readonly clientIdText: string;
  readonly tokenText: string | undefined;
  readonly group: CallGroup | undefined;
  readonly limits: CallLimits;
  readonly startedAt: number;
  readonly resolve: (answer: Answer) => void;
  lastSignAt: number;
  stopTimer: Cancel;
}

/**
 * The requests of one session's client that wait for the child. They go out under ids of our own,
 * unique for the session's life (JSON-RPC: an id is never used twice), so clients that share ids,
 * or a client that repeats one, never get each other's answer. The id is the progress token too.
 */
export class Calls {
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #outbound: Outbound;
  readonly #toChild: (text: string) => Result<void, 'gone' | 'full'>;
  readonly #ids: SessionIds;
  readonly #callsMax: number;
  readonly #calls = new Map<number, Call>();
  #onDrained: (() => void)[] = [];

  constructor(parts: {
    readonly clock: Clock;
    readonly metrics: Metrics;
    readonly ids: SessionIds;
    readonly outbound: Outbound;
    /** Calls that may wait for answers at once. */
    readonly callsMax: number;
    readonly toChild: (text: string) => Result<void, 'gone' | 'full'>;
  }) {
    this.#clock = parts.clock;
    this.#metrics = parts.metrics;
    this.#ids = parts.ids;
    this.#callsMax = parts.callsMax;
    this.#outbound = parts.outbound;
    this.#toChild = parts.toChild;
  }

  get waiting(): number {
    return this.#calls.size;
  }

  /** Resolves when no call waits. */
  drained(): Promise<void> {
    if (this.#calls.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDrained.push(resolve);
    });
  }

  /**
   * Sends a request and resolves, always, with what became of it. When it timed out, the child is
   * told that nobody waits any more, except for `initialize`, which must not be cancelled.
   */
  ask(request: RequestMessage, limits: CallLimits, group?: CallGroup): Promise<Answer> {
    const startedAt = this.#clock.now();
    const prepared = this.#send(request);
    if (typeof prepared === 'string') {
      this.#count(prepared, startedAt);
      return Promise.resolve({ kind: prepared });
    }
    return new Promise((resolve) => {
      const call: Call = {
        ...prepared,
        ...{ request, group, limits, startedAt, resolve },
        lastSignAt: startedAt,
        stopTimer: noTimer,
      };
      this.#calls.set(call.id, call);
      this.#watch(call, Math.min(limits.idleMs, limits.totalMs));
    });
  }

  /** Takes an answer of the child; false when nobody waits for it. */
  answer(message: ResponseMessage): boolean {
    const call = typeof message.id === 'number' ? this.#calls.get(message.id) : undefined;
    if (call === undefined) return false;
    const span = memberSpan(message.text, 'id');
    // Of two ids in one answer, the parser took the last and the splice would change the first.
    if (span === undefined || Number(message.text.slice(span.start, span.end)) !== message.id) {
      return false;
    }
    const text = withoutLineEnds(spliceSpan(message.text, span, call.clientIdText));
    this.#settle(call, { kind: 'answered', text, failed: message.failed });
    return true;
  }

  /** Passes on what the child tells of a call's progress; false when that call is not there. */
  progress(message: NotificationMessage): boolean {
    const token = progressOf(message.params);
    const call = typeof token === 'number' ? this.#calls.get(token) : undefined;
    if (call?.tokenText === undefined) return false;
    const told = withProgressToken(message.text, call.tokenText);
    if (told === undefined) return false;
    call.lastSignAt = this.#clock.now();
    this.#outbound.send(told.text, { group: call.group });
    return true;
  }

  /** A question that belongs to these calls was asked or answered. */
  alive(group: CallGroup): void {
    for (const call of this.#calls.values()) {
      if (call.group === group) call.lastSignAt = this.#clock.now();
    }
  }

  /** Cancels a request for the client, under the id that the child knows; unknown ones pass. */
  cancel(message: NotificationMessage): Result<void, 'gone' | 'full'> {
    const params = message.params as { readonly requestId?: unknown } | undefined;
    for (const [id, call] of this.#calls) {
      if (call.request.id !== params?.requestId) continue;
      // Whoever cancels ignores the answer (MCP cancellation), and the child may send none.
      this.#settle(call, { kind: 'cancelled' });
      return this.#toChild(cancelledText({ ...params, requestId: id }));
    }
    return { ok: true, value: undefined };
  }

  /** Whether a cancellation is about one of them. */
  knows(message: NotificationMessage): boolean {
    const params = message.params as { readonly requestId?: unknown } | undefined;
    return this.#calls.values().some(({ request }) => request.id === params?.requestId);
  }

  /** Tells every caller that the child is gone. */
  failAll(): void {
    for (const call of [...this.#calls.values()]) this.#settle(call, { kind: 'gone' });
  }

  /** Sends a request under an id of ours; or why it was not sent. */
  #send(
    request: RequestMessage,
  ): Pick<Call, 'id' | 'clientIdText' | 'tokenText'> | 'too_many' | 'ambiguous' | 'gone' | 'full' {
    if (this.#calls.size >= this.#callsMax) {
      this.#metrics.limitsReached.inc({ limit: 'MAX_CALLS_PER_SESSION' });
      return 'too_many';
    }
    const id = this.#ids.call();
    const span = memberSpan(request.text, 'id');
    if (span === undefined) throw new Error('a request has an id');
    const withId = spliceSpan(request.text, span, String(id));
    const hasToken = progressTokenOf(request.params) !== undefined;
    const retokened = hasToken ? withRequestToken(withId, String(id)) : undefined;
    if (hasToken && retokened === undefined) return 'ambiguous';
    const sent = this.#toChild(retokened?.text ?? withId);
    if (!sent.ok) return sent.error;
    const clientIdText = request.text.slice(span.start, span.end);
    return { id, clientIdText, tokenText: retokened?.was };
  }

  #settle(call: Call, answer: Answer): void {
    this.#calls.delete(call.id);
    call.stopTimer();
    const failed = answer.kind === 'answered' && answer.failed;
    this.#count(failed ? 'failed' : answer.kind, call.startedAt);
    call.resolve(answer);
    if (this.#calls.size === 0 && this.#onDrained.length > 0) {
      for (const tell of this.#onDrained.splice(0)) tell();
    }
  }

  #count(outcome: Answer['kind'] | 'failed', startedAt: number): void {
    this.#metrics.calls.inc({ outcome });
    this.#metrics.callSeconds.observe((this.#clock.now() - startedAt) / 1000);
  }

  /** One timer a call: a sign of life costs no new one. */
  #watch(call: Call, delayMs: number): void {
    call.stopTimer = this.#clock.after(delayMs, () => {
      const { limits, request, startedAt, lastSignAt } = call;
      const dueAt = Math.min(lastSignAt + limits.idleMs, startedAt + limits.totalMs);
      const leftMs = dueAt - this.#clock.now();
      if (leftMs > 0) {
        this.#watch(call, leftMs);
        return;
      }
      this.#settle(call, { kind: 'timed_out' });
      if (request.method === 'initialize') return;
      this.#toChild(cancelledText({ requestId: call.id, reason: 'the request timed out' }));
    });
  }
}

/** Before there is one. */
const noTimer: Cancel = () => undefined;

/** A carriage return is space in JSON and the end of a line in an event stream. */
function withoutLineEnds(text: string): string {
  return text.includes('\r') ? text.replaceAll('\r', ' ') : text;
}
