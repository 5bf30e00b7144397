import { type Cancel, within } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import {
  errorText,
  type Message,
  type RequestMessage,
  RPC_ERROR,
  resultText,
} from '../base/message.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { Digest } from '../base/secret.ts';
import type { Child } from '../child/supervisor.ts';
import type { Store } from '../store/store.ts';
import {
  type Attached,
  type AttachParts,
  attach,
  handshakeOf,
  type OpenFailure,
} from './attach.ts';
import type { CallGroup, PostedCalls } from './call-group.ts';
import type { EventIds } from './event-id.ts';
import { KeptRow } from './kept-row.ts';
import type { OwnedSession, SessionOwner } from './owned-session.ts';
import { watchSession } from './reaper.ts';
import { Router } from './router.ts';
import { endSentence, openFailureOf, type SessionEnd, settledBy } from './session-end.ts';
import { type Listening, Streams } from './streams.ts';

export interface SessionParts extends AttachParts {
  readonly store: Pick<Store, 'sessions'>;
  readonly eventIds: (session: Digest) => EventIds;
  readonly requestTimeoutMs: number;
  readonly requestTimeoutTotalMs: number;
  readonly idleTimeoutMs: number;
  readonly streamBufferBytesMax: number;
  readonly log: Log;
}

type State =
  | { readonly kind: 'opening' }
  | { readonly kind: 'ready' }
  /** No new calls; those under way may still be answered. */
  | { readonly kind: 'draining' }
  | { readonly kind: 'ended'; readonly why: SessionEnd; readonly gone: Promise<void> };

/** One session with its child, from the first `initialize` to its end. */
export class Session implements OwnedSession {
  readonly owner: SessionOwner;
  readonly shortId: string;
  readonly #parts: SessionParts;
  readonly #row: KeptRow;
  readonly #onGone: () => void;
  readonly #streams: Streams;
  readonly #router: Router;
  readonly #log: Log;
  #state: State = { kind: 'opening' };
  #child: Child | undefined;
  #lastUsedAt: number;
  #stopWatching: Cancel = () => undefined;

  /** `onGone` is called once, when the session, its child and its row are gone. */
  constructor(parts: SessionParts, idDigest: Digest, owner: SessionOwner, onGone: () => void) {
    this.owner = owner;
    this.shortId = idDigest.slice(0, 8);
    this.#parts = parts;
    this.#row = new KeptRow(parts.store.sessions, parts.clock, idDigest);
    this.#onGone = onGone;
    this.#streams = new Streams({ ...parts, eventIds: parts.eventIds(idDigest) });
    const questionTimeoutMs = parts.requestTimeoutMs;
    this.#router = new Router({ ...parts, streams: this.#streams, questionTimeoutMs });
    this.#lastUsedAt = parts.clock.now();
    this.#log = parts.log.with({ session: this.shortId });
  }

  get protocolVersion(): string {
    return this.#streams.protocolVersion;
  }

  /** Whether a request may find it: opened, and not ended. */
  get usable(): boolean {
    return this.#state.kind === 'ready' || this.#state.kind === 'draining';
  }

  /** Its last use; undefined while a call waits, -Infinity when it has ended and only leaves. */
  get unusedSince(): number | undefined {
    if (this.#state.kind === 'ended') return Number.NEGATIVE_INFINITY;
    return this.usable && this.#router.waiting === 0 ? this.#lastUsedAt : undefined;
  }

  get activity(): { readonly pid: number | undefined; readonly callsWaiting: number } {
    return { pid: this.#child?.pid, callsWaiting: this.#router.waiting };
  }

  /**
   * Starts the child, opens the protocol and writes the row; resolves with the child's answer. To
   * be called once. After a failure, and when it rejects with a `StoreError`, nothing is left.
   */
  async open(initialize: RequestMessage): Promise<Result<string, OpenFailure>> {
    const handshake = handshakeOf(initialize);
    if (!handshake.ok) return this.#notOpened(handshake.error);
    try {
      const attached = await attach(this.#parts, {
        accountId: this.owner.accountId,
        shortId: this.shortId,
        router: this.#router,
        initialize,
        ended: () => this.#state.kind === 'ended',
        onChild: (child) => this.#own(child),
      });
      if (!attached.ok) return await this.#notOpened(attached.error);
      return await this.#settle(attached.value, handshake.value);
    } catch (error) {
      await this.finish('not_opened');
      throw error;
    }
  }

  call(requests: RequestMessage | readonly RequestMessage[], streams = true): PostedCalls {
    const batch = Array.isArray(requests);
    const list: readonly RequestMessage[] = batch ? requests : [requests as RequestMessage];
    const group = this.#router.group(list, batch, streams);
    for (const request of list) this.#ask(request, group);
    return group;
  }

  notify(message: Exclude<Message, RequestMessage>): Result<void, 'gone' | 'full'> {
    if (this.#state.kind !== 'ready') return err('gone');
    this.#use();
    return this.#router.notify(message);
  }

  listen(lastEventId?: string): Listening {
    return this.#streams.listen(lastEventId);
  }

  end(reason: string): Promise<void> {
    return this.finish('closed', reason);
  }

  /** Takes no more calls, lets those under way be answered for `drainMs`, and ends. */
  async drain(drainMs: number): Promise<void> {
    if (this.#state.kind === 'ready') {
      this.#state = { kind: 'draining' };
      await within(this.#parts.clock, drainMs, this.#router.drained());
    }
    await this.finish('stopping');
  }

  /** Ends the session, whatever it does; `detail` is for the log. The first reason is kept. */
  finish(why: SessionEnd, detail?: string): Promise<void> {
    if (this.#state.kind === 'ended') return this.#state.gone;
    const gone = this.#tearDown(why);
    this.#state = { kind: 'ended', why, gone };
    this.#router.failAll();
    this.#streams.end();
    this.#parts.metrics.sessionsEnded.inc({ reason: why });
    if (why !== 'not_opened') this.#log.info('session.ended', { reason: why, detail });
    return gone;
  }

  async #tearDown(why: SessionEnd): Promise<void> {
    this.#stopWatching();
    await Promise.all([this.#child?.stop(why), this.#row.delete(this.#log)]);
    this.#onGone();
  }

  #own(child: Child): void {
    this.#child = child;
    void child.exited.then(() => {
      if (this.usable) void this.finish('child_exited');
      else this.#router.failAll();
    });
  }

  /** From the child's answer to a session that requests find. */
  async #settle(attached: Attached, handshake: string): Promise<Result<string, OpenFailure>> {
    const { protocolVersion, tokenExpiresAt, child } = attached;
    if (this.#state.kind === 'ended') return this.#notOpened({ kind: 'stopping' });
    await this.#row.insert(this.owner, protocolVersion, handshake);
    if (this.#state.kind !== 'opening') return this.#notOpened({ kind: 'stopping' });
    this.#streams.protocolVersion = protocolVersion;
    this.#state = { kind: 'ready' };
    const { login, clientId, grantId } = this.owner;
    this.#log.info('session.opened', { login, client: clientId, grant: grantId, protocolVersion });
    this.#stopWatching = watchSession({
      clock: this.#parts.clock,
      idleTimeoutMs: this.#parts.idleTimeoutMs,
      tokenExpiresAt,
      lastUsedAt: () => this.#lastUsedAt,
      busy: () => this.#router.waiting > 0,
      onDue: (reason) => void this.finish(reason),
    });
    // It may have ended while the row was written.
    void child.exited.then(() => this.finish('child_exited'));
    return ok(attached.answer);
  }

  async #notOpened(failure: OpenFailure): Promise<Result<never, OpenFailure>> {
    if (this.#state.kind === 'ended') {
      await this.#state.gone;
      return err(openFailureOf(this.#state.why));
    }
    const detail = 'detail' in failure ? failure.detail : undefined;
    this.#log.warn('session.not_opened', { login: this.owner.login, reason: failure.kind, detail });
    await this.finish('not_opened');
    return err(failure);
  }

  #ask(request: RequestMessage, group: CallGroup): void {
    const now = this.#answerOf(request);
    if (now !== undefined) {
      group.settle({ text: now, silent: false });
      return;
    }
    this.#use();
    const { requestTimeoutMs: idleMs, requestTimeoutTotalMs: totalMs } = this.#parts;
    this.#router.ask(request, { idleMs, totalMs }, group).then(
      (outcome) => {
        this.#lastUsedAt = this.#parts.clock.now();
        const ended = this.#state.kind === 'ended' ? this.#state.why : undefined;
        group.settle(settledBy(outcome, request, ended));
      },
      (error: unknown) => {
        this.#log.error('session.call_failed', { err: error });
        const text = errorText(request.id, RPC_ERROR.internalError, 'internal error');
        group.settle({ text, silent: false });
      },
    );
  }

  /** What needs no child to be answered. */
  #answerOf(request: RequestMessage): string | undefined {
    const { invalidRequest, connectionClosed } = RPC_ERROR;
    // A second one would promise the child capabilities that the first one has not declared.
    if (request.method === 'initialize') {
      return errorText(request.id, invalidRequest, 'the session is initialized already');
    }
    if (this.#state.kind !== 'ready') {
      const why = this.#state.kind === 'ended' ? this.#state.why : 'stopping';
      return errorText(request.id, connectionClosed, endSentence(why));
    }
    if (request.method !== 'ping') return undefined;
    // MCP ping: at once, whatever the child does meanwhile.
    this.#use();
    return resultText(request.id, {});
  }

  #use(): void {
    this.#lastUsedAt = this.#parts.clock.now();
    this.#row.used();
  }
}
