import type { Clock } from '../base/clock.ts';
import type { NotificationMessage, RequestMessage, ResponseMessage } from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import { ok, type Result } from '../base/result.ts';
import { memberSpan, spliceSpan } from '../base/splice.ts';
import type { CallGroup } from './call-group.ts';
import { cancelledText } from './cancelled.ts';
import { type InFlight, InFlightRequests, type WaitLimits } from './in-flight.ts';
import type { Outbound } from './outbound.ts';
import { type Renamed, renamed } from './renamed.ts';
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

/** A request of the client. */
interface Call extends InFlight<number> {
  readonly request: RequestMessage;
  readonly group: CallGroup | undefined;
  readonly resolve: (answer: Answer) => void;
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
  readonly #inFlight: InFlightRequests<number, Call>;

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
    this.#outbound = parts.outbound;
    this.#toChild = parts.toChild;
    this.#inFlight = new InFlightRequests({
      ...{ clock: parts.clock, metrics: parts.metrics },
      ...{ max: parts.callsMax, limit: 'MAX_CALLS_PER_SESSION' },
      onTimeOut: (call) => this.#timeOut(call),
    });
  }

  get waiting(): number {
    return this.#inFlight.size;
  }

  /** Resolves when no call waits. */
  drained(): Promise<void> {
    return this.#inFlight.drained();
  }

  /**
   * Sends a request and resolves, always, with what became of it. When it timed out, the child is
   * told that nobody waits any more, except for `initialize`, which must not be cancelled.
   */
  ask(request: RequestMessage, limits: WaitLimits, group?: CallGroup): Promise<Answer> {
    const startedAt = this.#clock.now();
    const id = this.#ids.call();
    const sent = this.#send(request, id);
    if (typeof sent === 'string') {
      this.#count(sent, startedAt);
      return Promise.resolve({ kind: sent });
    }
    return new Promise((resolve) => {
      this.#inFlight.add({
        id,
        askerId: request.id,
        idText: sent.idText,
        tokenText: sent.tokenText,
        limits,
        startedAt,
        lastSignAt: startedAt,
        stopTimer: undefined,
        request,
        group,
        resolve,
      });
    });
  }

  /** Takes an answer of the child; false when nobody waits for it. */
  answer(message: ResponseMessage): boolean {
    const call = this.#inFlight.get(message.id);
    if (call === undefined) return false;
    const span = memberSpan(message.text, 'id');
    // Of two ids in one answer, the parser took the last and the splice would change the first.
    if (span === undefined || Number(message.text.slice(span.start, span.end)) !== message.id) {
      return false;
    }
    const text = withoutLineEnds(spliceSpan(message.text, span, call.idText));
    this.#settle(call, { kind: 'answered', text, failed: message.failed });
    return true;
  }

  /** Passes on what the child tells of a call's progress; false when that call is not there. */
  progress(message: NotificationMessage): boolean {
    const progress = this.#inFlight.progress(message);
    if (progress === undefined) return false;
    const { asked: call, text } = progress;
    call.lastSignAt = this.#clock.now();
    this.#outbound.send(text, { group: call.group });
    return true;
  }

  /** A question that belongs to these calls was asked or answered. */
  alive(group: CallGroup): void {
    for (const call of this.#inFlight.values()) {
      if (call.group === group) call.lastSignAt = this.#clock.now();
    }
  }

  /** Cancels a request for the client, under the id that the child knows; unknown ones pass. */
  cancel(message: NotificationMessage): Result<void, 'gone' | 'full'> {
    const call = this.#inFlight.cancelledBy(message);
    if (call === undefined) return ok(undefined);
    // Whoever cancels ignores the answer (MCP cancellation), and the child may send none.
    this.#settle(call, { kind: 'cancelled' });
    return this.#toChild(cancelledText(call.id, message.params));
  }

  /** Whether a cancellation is about one of them. */
  knows(message: NotificationMessage): boolean {
    return this.#inFlight.cancelledBy(message) !== undefined;
  }

  /** Tells every caller that the child is gone. */
  failAll(): void {
    for (const call of this.#inFlight.values()) this.#settle(call, { kind: 'gone' });
  }

  /** Sends a request under an id of ours; or why it was not sent. */
  #send(request: RequestMessage, id: number): Renamed | 'too_many' | 'ambiguous' | 'gone' | 'full' {
    if (!this.#inFlight.hasRoom()) return 'too_many';
    const span = memberSpan(request.text, 'id');
    if (span === undefined) throw new Error('a request has an id');
    const outgoing = renamed(request, span, String(id));
    if (outgoing === undefined) return 'ambiguous';
    const sent = this.#toChild(outgoing.text);
    return sent.ok ? outgoing : sent.error;
  }

  #settle(call: Call, answer: Answer): void {
    const failed = answer.kind === 'answered' && answer.failed;
    this.#count(failed ? 'failed' : answer.kind, call.startedAt);
    call.resolve(answer);
    this.#inFlight.remove(call);
  }

  #timeOut(call: Call): void {
    this.#settle(call, { kind: 'timed_out' });
    if (call.request.method === 'initialize') return;
    this.#toChild(cancelledText(call.id, { reason: 'the request timed out' }));
  }

  #count(outcome: Answer['kind'] | 'failed', startedAt: number): void {
    this.#metrics.calls.inc({ outcome });
    this.#metrics.callSeconds.observe((this.#clock.now() - startedAt) / 1000);
  }
}

/** A carriage return is space in JSON and the end of a line in an event stream. */
function withoutLineEnds(text: string): string {
  return text.includes('\r') ? text.replaceAll('\r', ' ') : text;
}
