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
import type { CallGroup } from './call-group.ts';
import { type Answer, Calls } from './calls.ts';
import type { ClientCapabilities } from './capabilities.ts';
import type { WaitLimits } from './in-flight.ts';
import { Outbound } from './outbound.ts';
import { progressOf } from './progress-token.ts';
import { Questions } from './questions.ts';
import type { Streams } from './streams.ts';

/** Counts over a session's life: what a child before has used is not used again. */
export interface SessionIds {
  /** Of requests to a child. */
  call(): number;
  /** Of requests to the client; also apart from those of an earlier run of the broker. */
  question(): string;
}

/** The messages between a session's client and one child, in both directions. */
export class Router {
  readonly #metrics: Metrics;
  readonly #outbound: Outbound;
  readonly #calls: Calls;
  readonly #questions: Questions;
  #child: Child | undefined;
  #muted = false;

  constructor(parts: {
    readonly streams: Streams;
    readonly clock: Clock;
    readonly metrics: Metrics;
    readonly ids: SessionIds;
    /** Calls that may wait for answers at once. */
    readonly callsMax: number;
    /** How long a client may take to answer its child. */
    readonly questionTimeoutMs: number;
  }) {
    const { streams, clock, metrics, ids, callsMax, questionTimeoutMs } = parts;
    const toChild = (text: string) => this.#send(text);
    this.#metrics = metrics;
    this.#outbound = new Outbound({ streams, metrics });
    const common = { clock, metrics, ids, outbound: this.#outbound, toChild };
    this.#calls = new Calls({ ...common, callsMax });
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

  /** Resolves when no call waits. */
  drained(): Promise<void> {
    return this.#calls.drained();
  }

  /** Resolves when neither a call nor a question of the child waits. */
  async quiet(): Promise<void> {
    while (this.#calls.waiting > 0 || this.#questions.waiting > 0) {
      await this.#calls.drained();
      await this.#questions.drained();
    }
  }

  /** What the child says while these calls wait may go to their stream. */
  carry(group: CallGroup): void {
    this.#outbound.open(group);
  }

  /** Those calls are done. */
  close(group: CallGroup): void {
    this.#outbound.close(group);
  }

  /** Sends the child a message of the broker's own. */
  tell(text: string): void {
    this.#send(text);
  }

  /** Sends the client a message of the broker's own. */
  announce(text: string): void {
    this.#outbound.send(text);
  }

  /** What was held back from a client that is initialized leaves. Harmless when repeated. */
  release(): void {
    this.#outbound.initialized();
  }

  /** Another child has taken over: this one only ends what it has begun. */
  mute(): void {
    this.#muted = true;
  }

  /** Whether a message of the client is about something that this child has asked or was asked. */
  knows(message: Exclude<Message, RequestMessage>): boolean {
    if (message.kind === 'response') return this.#questions.has(message.id);
    switch (message.method) {
      case 'notifications/cancelled':
        return this.#calls.knows(message);
      case 'notifications/progress':
        return this.#questions.has(progressOf(message.params));
      default:
        return false;
    }
  }

  /** Asks the child; resolves, always, with what became of it. */
  ask(request: RequestMessage, limits: WaitLimits, group?: CallGroup): Promise<Answer> {
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
        if (this.#muted) {
          this.#drop('muted');
          return;
        }
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
