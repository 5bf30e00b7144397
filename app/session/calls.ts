import type { Cancel, Clock } from '../base/clock.ts';
import type {
  NotificationMessage,
  RequestId,
  RequestMessage,
  ResponseMessage,
} from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Result } from '../base/result.ts';
import { spliceSpan, topLevelMembers } from '../base/splice.ts';
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

/** Calls of one session that may wait for answers at once. */
export const CALLS_MAX = 256;

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

interface Call {
  readonly clientId: RequestId;
  /** Id and progress token as the client wrote them. */
  readonly clientIdText: string;
  readonly tokenText: string | undefined;
  readonly group: CallGroup | undefined;
  readonly settle: (answer: Answer) => void;
  lastSignAt: number;
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
  readonly #calls = new Map<number, Call>();
  #onDrained: (() => void)[] = [];

  constructor(parts: {
    readonly clock: Clock;
    readonly metrics: Metrics;
    readonly ids: SessionIds;
    readonly outbound: Outbound;
    readonly toChild: (text: string) => Result<void, 'gone' | 'full'>;
  }) {
    this.#clock = parts.clock;
    this.#metrics = parts.metrics;
    this.#ids = parts.ids;
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
    return new Promise((resolve) => {
      const answered = (answer: Answer): void => {
        const outcome = answer.kind === 'answered' && answer.failed ? 'failed' : answer.kind;
        this.#metrics.calls.inc({ outcome });
        this.#metrics.callSeconds.observe((this.#clock.now() - startedAt) / 1000);
        resolve(answer);
      };
      if (this.#calls.size >= CALLS_MAX) {
        this.#metrics.limitsReached.inc({ limit: 'CALLS_PER_SESSION' });
        answered({ kind: 'too_many' });
        return;
      }
      this.#start(request, limits, group, answered);
    });
  }

  /** Takes an answer of the child; false when nobody waits for it. */
  answer(message: ResponseMessage): boolean {
    const call = typeof message.id === 'number' ? this.#calls.get(message.id) : undefined;
    if (call === undefined) return false;
    const span = idSpan(message.text);
    // Of two ids in one answer, the parser took the last and the splice would change the first.
    if (span === undefined || Number(message.text.slice(span.start, span.end)) !== message.id) {
      return false;
    }
    const text = withoutLineEnds(spliceSpan(message.text, span, call.clientIdText));
    call.settle({ kind: 'answered', text, failed: message.failed });
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
      if (call.clientId !== params?.requestId) continue;
      // Whoever cancels ignores the answer (MCP cancellation), and the child may send none.
      call.settle({ kind: 'cancelled' });
      return this.#toChild(cancelledText({ ...params, requestId: id }));
    }
    return { ok: true, value: undefined };
  }

  /** Whether a cancellation is about one of them. */
  knows(message: NotificationMessage): boolean {
    const params = message.params as { readonly requestId?: unknown } | undefined;
    return this.#calls.values().some(({ clientId }) => clientId === params?.requestId);
  }

  /** Tells every caller that the child is gone. */
  failAll(): void {
    for (const call of [...this.#calls.values()]) call.settle({ kind: 'gone' });
  }

  #start(
    request: RequestMessage,
    limits: CallLimits,
    group: CallGroup | undefined,
    answered: (answer: Answer) => void,
  ): void {
    const id = this.#ids.call();
    const span = idSpan(request.text);
    if (span === undefined) throw new Error('a request has an id');
    const withId = spliceSpan(request.text, span, String(id));
    const hasToken = progressTokenOf(request.params) !== undefined;
    const retokened = hasToken ? withRequestToken(withId, String(id)) : undefined;
    if (hasToken && retokened === undefined) {
      answered({ kind: 'ambiguous' });
      return;
    }
    const sent = this.#toChild(retokened?.text ?? withId);
    if (!sent.ok) {
      answered({ kind: sent.error });
      return;
    }
    const settle = (answer: Answer): void => {
      this.#calls.delete(id);
      stopTimer();
      answered(answer);
      if (this.#calls.size === 0) for (const tell of this.#onDrained.splice(0)) tell();
    };
    const call: Call = {
      clientId: request.id,
      clientIdText: request.text.slice(span.start, span.end),
      tokenText: retokened?.was,
      group,
      settle,
      lastSignAt: this.#clock.now(),
    };
    this.#calls.set(id, call);
    const stopTimer = this.#watch(call, limits, () => {
      settle({ kind: 'timed_out' });
      if (request.method === 'initialize') return;
      this.#toChild(cancelledText({ requestId: id, reason: 'the request timed out' }));
    });
  }

  /** One timer a call: a sign of life costs no new one. */
  #watch(call: Call, limits: CallLimits, onDue: () => void): Cancel {
    const endsAt = call.lastSignAt + limits.totalMs;
    let cancel: Cancel = () => undefined;
    const plan = (): void => {
      const leftMs = Math.min(call.lastSignAt + limits.idleMs, endsAt) - this.#clock.now();
      if (leftMs > 0) cancel = this.#clock.after(leftMs, plan);
      else onDue();
    };
    cancel = this.#clock.after(Math.min(limits.idleMs, limits.totalMs), plan);
    return () => cancel();
  }
}

function idSpan(text: string) {
  return topLevelMembers(text, ['id'], 'id').spans.get('id');
}

/** A carriage return is space in JSON and the end of a line in an event stream. */
function withoutLineEnds(text: string): string {
  return text.includes('\r') ? text.replaceAll('\r', ' ') : text;
}
