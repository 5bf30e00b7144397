import type { Clock } from '../base/clock.ts';
import {
  type Message,
  type NotificationMessage,
  parseMessage,
  type RequestMessage,
  resultText,
} from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import { err, type Result } from '../base/result.ts';
import type { Child } from '../child/supervisor.ts';
import { CallGroup } from './call-group.ts';
import { type Answer, type CallLimits, Calls } from './calls.ts';
import type { ClientCapabilities } from './capabilities.ts';
import { Outbound } from './outbound.ts';
import { Questions } from './questions.ts';
import type { Streams } from './streams.ts';

/** The messages between one session's client and its child, in both directions. */
export class Router {
  readonly #metrics: Metrics;
  readonly #streams: Streams;
  readonly #outbound: Outbound;
  readonly #calls: Calls;
  readonly #questions: Questions;
  #child: Child | undefined;

  constructor(parts: {
    readonly streams: Streams;
    readonly clock: Clock;
    readonly metrics: Metrics;
    /** How long a client may take to answer its child. */
    readonly questionTimeoutMs: number;
  }) {
    const { streams, clock, metrics, questionTimeoutMs } = parts;
    const toChild = (text: string) => this.#send(text);
    this.#metrics = metrics;
    this.#streams = streams;
    this.#outbound = new Outbound({ streams, metrics });
    const common = { clock, metrics, outbound: this.#outbound, toChild };
    this.#calls = new Calls(common);
    this.#questions = new Questions({
      ...common,
      calls: this.#calls,
      timeoutMs: questionTimeoutMs,
    });
  }

  /** From now on messages go to this child, which may ask the client for what it has declared. */
  connect(child: Child, capabilities: ClientCapabilities): void {
    this.#child = child;
    this.#questions.capabilities = capabilities;
  }

  /** Calls that wait for the child. */
  get waiting(): number {
    return this.#calls.waiting;
  }

  /** Resolves when no call waits; for one caller at a time. */
  drained(): Promise<void> {
    return this.#calls.drained();
  }

  /** The requests of one POST; `carries`: its client reads more than answers. */
  group(requests: readonly RequestMessage[], batch: boolean, carries: boolean): CallGroup {
    const group = new CallGroup({
      streams: this.#streams,
      ids: requests.map(({ id }) => id),
      ...{ batch, carries },
      onFinished: (finished) => this.#outbound.close(finished),
    });
    this.#outbound.open(group);
    return group;
  }

  /** Asks the child; resolves, always, with what became of it. */
  ask(request: RequestMessage, limits: CallLimits, group?: CallGroup): Promise<Answer> {
    return this.#calls.ask(request, limits, group);
  }

  /** Passes a notification or a response of the client on. */
  notify(message: Exclude<Message, RequestMessage>): Result<void, 'gone' | 'full'> {
    if (message.kind === 'response') return this.#questions.answer(message);
    switch (message.method) {
      case 'notifications/cancelled':
        return this.#calls.cancel(message);
      case 'notifications/progress':
        return this.#questions.progress(message);
      case 'notifications/initialized': {
        const sent = this.#send(message.text);
        if (sent.ok) this.#outbound.initialized();
        return sent;
      }
      default:
        return this.#send(message.text);
    }
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
        if (!this.#calls.answer(message)) this.#drop('nobody_waits');
        return;
      case 'request':
        if (message.method === 'ping') this.#send(resultText(message.id, {}));
        else this.#questions.ask(message);
        return;
      case 'notification':
        this.#told(message);
        return;
    }
  }

  /** The child is gone: every caller is told, and what it asked is forgotten. */
  failAll(): void {
    this.#calls.failAll();
    this.#questions.forgetAll();
  }

  #told(message: NotificationMessage): void {
    switch (message.method) {
      case 'notifications/progress':
        if (!this.#calls.progress(message)) this.#drop('unknown_progress');
        return;
      case 'notifications/cancelled':
        if (!this.#questions.cancel(message)) this.#drop('unknown_cancelled');
        return;
      default: {
        const early = message.method === 'notifications/message';
        if (!this.#outbound.send(message.text, {}, early)) this.#drop('held_too_many');
      }
    }
  }

  #send(text: string): Result<void, 'gone' | 'full'> {
    return this.#child?.send(text) ?? err('gone');
  }

  #drop(reason: string): void {
    this.#metrics.childLinesDropped.inc({ reason });
  }
}
