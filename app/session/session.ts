import { type Cancel, within } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { type Message, RPC_ERROR } from '../base/message.ts';
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
import { watchSession } from './reaper.ts';
import { type RequestMessage, Router } from './router.ts';
import {
  endSentence,
  openFailureOf,
  refusal,
  type SessionEnd,
  unansweredText,
} from './session-end.ts';

/** Whom a session belongs to: account and client; `grantId` is the grant it was opened with. */
export interface SessionOwner {
  readonly grantId: string;
  readonly accountId: number;
  readonly clientId: string;
  readonly login: string;
}

/** A session that was looked up for its owner. */
export interface OwnedSession {
  /** The first 8 characters of the id's digest: how logs name the session. */
  readonly shortId: string;
  readonly protocolVersion: string;
  /** Always resolves, with JSON-RPC text on one line that carries the client's id. */
  call(request: RequestMessage): { readonly answer: Promise<string> };
  /** Passes on a notification; a response is dropped, since no child's request reaches a client. */
  notify(message: Message): Result<void, 'gone' | 'full'>;
  /** Ends session and child; resolves when both are gone. Harmless when repeated. */
  end(reason: string): Promise<void>;
}

export interface SessionParts extends AttachParts {
  readonly store: Pick<Store, 'sessions'>;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
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
  readonly #idDigest: Digest;
  readonly #onGone: () => void;
  readonly #router: Router;
  readonly #log: Log;
  #state: State = { kind: 'opening' };
  #child: Child | undefined;
  #row: Promise<void> | undefined;
  #protocolVersion = '';
  #lastUsedAt: number;
  #stopWatching: Cancel = () => undefined;

  /** `onGone` is called once, when the session, its child and its row are gone. */
  constructor(parts: SessionParts, idDigest: Digest, owner: SessionOwner, onGone: () => void) {
    this.owner = owner;
    this.shortId = idDigest.slice(0, 8);
    this.#parts = parts;
    this.#idDigest = idDigest;
    this.#onGone = onGone;
    this.#router = new Router(parts);
    this.#lastUsedAt = parts.clock.now();
    this.#log = parts.log.with({ session: this.shortId });
  }

  get protocolVersion(): string {
    return this.#protocolVersion;
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

  call(request: RequestMessage): { readonly answer: Promise<string> } {
    // A second one would promise the child capabilities of the client that are not passed on.
    if (request.method === 'initialize') {
      return refusal(request, RPC_ERROR.invalidRequest, 'the session is initialized already');
    }
    if (this.#state.kind !== 'ready') {
      const why = this.#state.kind === 'ended' ? this.#state.why : 'stopping';
      return refusal(request, RPC_ERROR.connectionClosed, endSentence(why));
    }
    this.#use();
    const asked = this.#router.ask(request, this.#parts.requestTimeoutMs);
    const answer = asked.then((outcome) => {
      this.#lastUsedAt = this.#parts.clock.now();
      if (outcome.kind === 'answered') return outcome.text;
      const ended = this.#state.kind === 'ended' ? this.#state.why : undefined;
      return unansweredText(request, outcome, ended);
    });
    return { answer };
  }

  notify(message: Message): Result<void, 'gone' | 'full'> {
    if (this.#state.kind !== 'ready') return err('gone');
    this.#use();
    return message.kind === 'notification' ? this.#router.notify(message) : ok(undefined);
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
    this.#parts.metrics.sessionsEnded.inc({ reason: why });
    if (why !== 'not_opened') this.#log.info('session.ended', { reason: why, detail });
    return gone;
  }

  async #tearDown(why: SessionEnd): Promise<void> {
    this.#stopWatching();
    await Promise.all([this.#child?.stop(why), this.#deleteRow()]);
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
    this.#row = this.#insertRow(protocolVersion, handshake);
    await this.#row;
    if (this.#state.kind !== 'opening') return this.#notOpened({ kind: 'stopping' });
    this.#protocolVersion = protocolVersion;
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

  #use(): void {
    this.#lastUsedAt = this.#parts.clock.now();
    this.#parts.store.sessions.used(this.#idDigest);
  }

  #insertRow(protocolVersion: string, handshake: string): Promise<void> {
    const { accountId, clientId, grantId } = this.owner;
    const now = this.#parts.clock.now();
    return this.#parts.store.sessions.insert({
      ...{ idDigest: this.#idDigest, accountId, clientId, grantId },
      ...{ protocolVersion, handshake, createdAt: now, lastUsedAt: now },
    });
  }

  /** A row that cannot be deleted now only lies there: without a child it opens nothing. */
  async #deleteRow(): Promise<void> {
    const written = await this.#row?.then(
      () => true,
      () => false,
    );
    if (written !== true) return;
    try {
      await this.#parts.store.sessions.delete(this.#idDigest);
    } catch (error) {
      this.#log.warn('session.row_left', { err: error });
    }
  }
}
