import type { Cancel, Clock } from '../base/clock.ts';
import { errorText, type Message, parseMessage, RPC_ERROR, resultText } from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import { err, type Result } from '../base/result.ts';
import { spliceSpan, topLevelMembers } from '../base/splice.ts';
import type { Child } from '../child/supervisor.ts';
import { progressTokenOf, withProgressToken } from './progress-token.ts';

export type RequestMessage = Extract<Message, { kind: 'request' }>;

/** Calls of one session that may wait for answers at once. */
export const CALLS_MAX = 256;

/** What became of a request; `text` of an answer carries the client's id. */
export type Answer =
  | { readonly kind: 'answered'; readonly text: string; readonly failed: boolean }
  | { readonly kind: 'timed_out' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'full' }
  | { readonly kind: 'too_many' };

interface Waiting {
  readonly clientId: RequestMessage['id'];
  /** The id as the client wrote it. */
  readonly clientIdText: string;
  readonly settle: (answer: Answer) => void;
}

/**
 * The messages between one session and its child. Requests go out under ids of our own, unique for
 * the session's life (JSON-RPC: an id is never used twice), so clients that share ids, or a client
 * that repeats one, never get each other's answer.
 */
export class Router {
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #waiting = new Map<number, Waiting>();
  #child: Child | undefined;
  #lastId = 0;
  #onDrained: (() => void) | undefined;

  constructor(parts: { readonly clock: Clock; readonly metrics: Metrics }) {
    this.#clock = parts.clock;
    this.#metrics = parts.metrics;
  }

  /** From now on messages go to this child. */
  connect(child: Child): void {
    this.#child = child;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Resolves when no call waits; for one caller at a time. */
  drained(): Promise<void> {
    if (this.#waiting.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDrained = resolve;
    });
  }

  /**
   * Sends a request and resolves, always, with what became of it. After `timeoutMs` the child is
   * told that nobody waits any more (MCP lifecycle, Timeouts), except for `initialize`, which must
   * not be cancelled.
   */
  ask(request: RequestMessage, timeoutMs: number): Promise<Answer> {
    const startedAt = this.#clock.now();
    return new Promise((resolve) => {
      const answered = (answer: Answer): void => {
        const outcome = answer.kind === 'answered' && answer.failed ? 'failed' : answer.kind;
        this.#metrics.calls.inc({ outcome });
        this.#metrics.callSeconds.observe((this.#clock.now() - startedAt) / 1000);
        resolve(answer);
      };
      if (this.#waiting.size >= CALLS_MAX) {
        this.#metrics.limitsReached.inc({ limit: 'CALLS_PER_SESSION' });
        answered({ kind: 'too_many' });
        return;
      }
      this.#start(request, timeoutMs, answered);
    });
  }

  /** Passes a client's notification on; a cancellation gets the id that the child knows. */
  notify(message: Message): Result<void, 'gone' | 'full'> {
    if (message.kind !== 'notification' || message.method !== 'notifications/cancelled') {
      return this.#send(message.text);
    }
    const params = message.params as { readonly requestId?: unknown } | undefined;
    for (const [id, waiting] of this.#waiting) {
      if (waiting.clientId !== params?.requestId) continue;
      // Whoever cancels ignores the answer (MCP cancellation), and the child may send none.
      waiting.settle({ kind: 'cancelled' });
      return this.#send(cancelledText({ ...params, requestId: id }));
    }
    return { ok: true, value: undefined };
  }

  /** Takes a line of the child. Nothing that stands in it ends the session. */
  receive(line: string): void {
    const parsed = parseMessage(line);
    if (!parsed.ok) {
      // Also an error with the id null: it belongs to no request, so nobody waits for it.
      this.#drop(parsed.error.kind === 'parse' ? 'not_json' : 'not_a_message');
      return;
    }
    const message = parsed.value;
    switch (message.kind) {
      case 'response':
        this.#answer(message);
        return;
      case 'request':
        // A child that does not read its answers loses them: it is its own question.
        this.#send(answerToChild(message));
        return;
      case 'notification':
        this.#drop('notification');
        return;
    }
  }

  /** Tells every caller that the child is gone. */
  failAll(): void {
    for (const waiting of [...this.#waiting.values()]) waiting.settle({ kind: 'gone' });
  }

  #start(request: RequestMessage, timeoutMs: number, answered: (answer: Answer) => void): void {
    this.#lastId += 1;
    const id = this.#lastId;
    const span = idSpan(request.text);
    if (span === undefined) throw new Error('a request has an id');
    const text = spliceSpan(request.text, span, String(id));
    const hasProgress = progressTokenOf(request.params) !== undefined;
    const sent = this.#send(hasProgress ? withProgressToken(text, id) : text);
    if (!sent.ok) {
      answered({ kind: sent.error });
      return;
    }
    const stopTimer: Cancel = this.#clock.after(timeoutMs, () => {
      settle({ kind: 'timed_out' });
      if (request.method !== 'initialize') {
        this.#send(cancelledText({ requestId: id, reason: 'the request timed out' }));
      }
    });
    const settle = (answer: Answer): void => {
      this.#waiting.delete(id);
      stopTimer();
      answered(answer);
      if (this.#waiting.size === 0) this.#onDrained?.();
    };
    const clientIdText = request.text.slice(span.start, span.end);
    this.#waiting.set(id, { clientId: request.id, clientIdText, settle });
  }

  #answer(message: Extract<Message, { kind: 'response' }>): void {
    const waiting = typeof message.id === 'number' ? this.#waiting.get(message.id) : undefined;
    if (waiting === undefined) {
      this.#drop('nobody_waits');
      return;
    }
    const span = idSpan(message.text);
    // Of two ids in one answer, the parser took the last and the splice would change the first.
    if (span === undefined || Number(message.text.slice(span.start, span.end)) !== message.id) {
      this.#drop('not_a_message');
      return;
    }
    const text = spliceSpan(message.text, span, waiting.clientIdText);
    waiting.settle({ kind: 'answered', text: withoutLineEnds(text), failed: message.failed });
  }

  #send(text: string): Result<void, 'gone' | 'full'> {
    return this.#child?.send(text) ?? err('gone');
  }

  #drop(reason: string): void {
    this.#metrics.childLinesDropped.inc({ reason });
  }
}

function idSpan(text: string) {
  return topLevelMembers(text, ['id'], 'id').spans.get('id');
}

/**
 * What a child asks of its client is answered here: `initialize` has declared no capability to it
 * (MCP ping; JSON-RPC 2.0 section 5.1 for all else).
 */
function answerToChild(request: RequestMessage): string {
  if (request.method === 'ping') return resultText(request.id, {});
  return errorText(request.id, RPC_ERROR.methodNotFound, 'the client offers no such method');
}

function cancelledText(params: { readonly requestId: number; readonly reason?: string }): string {
  return JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params });
}

/** A carriage return is space in JSON and the end of a line in an event stream. */
function withoutLineEnds(text: string): string {
  return text.includes('\r') ? text.replaceAll('\r', ' ') : text;
}
