import { within } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Message, RequestMessage } from '../base/message.ts';
import { oneAtATime } from '../base/one-at-a-time.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { Digest } from '../base/secret.ts';
import type { SessionRow } from '../store/sessions.ts';
import type { PostedCalls } from './call-group.ts';
import { carryOn } from './carry-on.ts';
import { Conversation } from './conversation.ts';
import { KeptRow } from './kept-row.ts';
import { Life } from './life.ts';
import type { Links } from './links.ts';
import type { OpenFailure } from './open-failure.ts';
import { openSession } from './opening.ts';
import type { CallRules, OwnedSession, PostedRequests, SessionOwner } from './owned-session.ts';
import { openFailureOf, type SessionEnd } from './session-end.ts';
import { createLinks, type SessionHooks, type SessionParts } from './session-parts.ts';
import { type Listening, Streams } from './streams.ts';
import { Uses } from './uses.ts';

/**
 * One session, from the first `initialize` to its end: a row in the store, and a child while one is
 * needed. Children come and go, the client sees nothing of it.
 */
export class Session implements OwnedSession {
  readonly shortId: string;
  readonly #parts: SessionParts;
  readonly #hooks: SessionHooks;
  readonly #row: KeptRow;
  readonly #streams: Streams;
  readonly #links: Links;
  readonly #log: Log;
  #owner: SessionOwner;
  readonly #life: Life;
  readonly #conversation: Conversation;
  #handshake = '{}';
  /** One start at a time, however many need it. */
  readonly #next = oneAtATime(() => this.#startNext());
  readonly #uses: Uses;

  /** With `row`, it was opened before, and has no child now. */
  constructor(
    parts: SessionParts,
    hooks: SessionHooks,
    owned: { readonly idDigest: Digest; readonly owner: SessionOwner },
    row?: SessionRow,
  ) {
    const { idDigest, owner } = owned;
    this.#owner = owner;
    this.shortId = idDigest.slice(0, 8);
    this.#parts = parts;
    this.#hooks = hooks;
    this.#log = parts.log.with({ session: this.shortId });
    const { clock, store } = parts;
    this.#life = new Life(row === undefined ? 'opening' : 'ready');
    this.#row = new KeptRow({ sessions: store.sessions, clock, idDigest, log: this.#log }, row);
    this.#streams = new Streams({ ...parts, eventIds: parts.eventIds(idDigest) });
    const uses = new Uses(clock, row?.lastUsedAt ?? clock.now(), () => this.#row.used());
    this.#uses = uses;
    this.#links = createLinks(parts, hooks, {
      ...{ session: this, accountId: owner.accountId, shortId: this.shortId },
      ...{ streams: this.#streams, log: this.#log, lastUsedAt: () => uses.usedAt },
    });
    this.#conversation = new Conversation({
      ...{ ...parts, links: this.#links, row: this.#row, streams: this.#streams, uses },
      ...{ log: this.#log, closedBy: () => this.#life.closedBy },
      onSuspicion: hooks.onSuspicion,
    });
    if (row === undefined) return;
    this.#handshake = row.handshake;
    this.#streams.protocolVersion = row.protocolVersion;
  }

  get owner(): SessionOwner {
    return this.#owner;
  }

  get protocolVersion(): string {
    return this.#streams.protocolVersion;
  }

  /** Whether a request may find it: opened, and not ended but with the broker. */
  get usable(): boolean {
    return this.#life.usable;
  }

  get occupied(): boolean {
    return this.#links.occupied;
  }

  /** Its last use; undefined while its child is needed, -Infinity when that only leaves. */
  get unusedSince(): number | undefined {
    if (this.#life.hasEnded) return Number.NEGATIVE_INFINITY;
    if (!this.#life.ready || this.#links.starting) return undefined;
    if (this.#links.current === undefined) return Number.NEGATIVE_INFINITY;
    return this.#links.waiting === 0 ? this.#uses.usedAt : undefined;
  }

  get activity(): { readonly pid: number | undefined; readonly callsWaiting: number } {
    return { pid: this.#links.current?.child.pid, callsWaiting: this.#links.waiting };
  }

  /** When the token of its child expires (epoch milliseconds); undefined without a child. */
  get tokenExpiresAt(): number | undefined {
    return this.#links.current?.token.expiresAt;
  }

  /** Whether nobody used it for `ttlMs`. */
  unusedFor(ttlMs: number): boolean {
    return !this.occupied && this.#parts.clock.now() - this.#uses.seenAt >= ttlMs;
  }

  /** Whether all that there is of it is its row. */
  get dormant(): boolean {
    return this.#life.ready && !this.occupied && this.#streams.empty;
  }

  /**
   * Starts the child, opens the protocol and writes the row; resolves with the child's answer. To
   * be called once. After a failure, and when it rejects with a `StoreError`, nothing is left.
   */
  async open(initialize: RequestMessage): Promise<Result<string, OpenFailure>> {
    const [links, row, streams] = [this.#links, this.#row, this.#streams];
    try {
      const opened = await openSession(initialize, {
        ...{ links, row, streams, owner: this.#owner, log: this.#log },
        storedPerUserMax: this.#parts.storedPerUserMax,
        onRemoved: this.#hooks.onRemoved,
        ended: () => this.#life.ended(),
      });
      if (opened.ok) {
        this.#handshake = opened.value.handshake;
        this.#life.opened();
        return ok(opened.value.answer);
      }
      await this.#failed(opened.error, 'not_opened');
      return opened;
    } catch (error) {
      await this.finish('not_opened');
      throw error;
    }
  }

  get attached(): boolean {
    return this.#life.ready && this.#links.current !== undefined;
  }

  attach(): Promise<Result<void, OpenFailure>> {
    const { closedBy } = this.#life;
    if (closedBy !== undefined) return Promise.resolve(err(openFailureOf(closedBy)));
    if (this.attached) return Promise.resolve(ok(undefined));
    this.#uses.use();
    return this.#next();
  }

  /** Starts a child with the account's newest token beside the one it has, and then instead of it. */
  async renew(): Promise<void> {
    if (this.#life.ready && this.#links.current !== undefined) await this.#next();
  }

  /** Ends the child; the session goes on with the next one. */
  detach(why: 'evicted' | 'signed_out' | 'grant_ended'): Promise<void> {
    if (why !== 'evicted') this.#streams.hangUp();
    return this.#links.stop(why);
  }

  /** A newer grant of the same account and client carries it on. */
  adopt(grantId: string, permission?: string): void {
    if (permission !== undefined) this.#conversation.permit(permission);
    if (this.#owner.grantId === grantId || this.#life.hasEnded) return;
    this.#owner = { ...this.#owner, grantId };
    this.#row.setGrant(grantId);
    this.#log.info('session.taken_over', { login: this.#owner.login, grant: grantId });
  }

  call(posted: PostedRequests, streams?: boolean, rules?: CallRules): PostedCalls {
    return this.#conversation.call(posted, streams, rules);
  }

  notify(message: Exclude<Message, RequestMessage>): Result<void, 'gone' | 'full'> {
    return this.#conversation.notify(message);
  }

  listen(lastEventId?: string): Listening {
    this.#uses.see();
    return this.#streams.listen(lastEventId);
  }

  async end(reason: string): Promise<void> {
    const isLeft = this.#life.hasEnded && this.usable;
    await this.finish('closed', reason);
    // The next broker, which has not heard of this, would go on with it.
    if (isLeft) await this.#row.delete();
  }

  /** Takes no more calls, lets those under way be answered for `drainMs`, and ends. */
  async drain(drainMs: number): Promise<void> {
    if (this.#life.drain()) await within(this.#parts.clock, drainMs, this.#links.drained());
    await this.finish('stopping');
  }

  /** Ends the session, whatever it does; `detail` is for the log. The first reason is kept. */
  finish(why: SessionEnd, detail?: string): Promise<void> {
    // With the broker only the child ends: the next one finds the row.
    const kept = why === 'stopping' && this.usable;
    return this.#life.end(why, async () => {
      this.#streams.end();
      this.#parts.metrics.sessionsEnded.inc({ reason: why });
      if (why !== 'not_opened') this.#log.info('session.ended', { reason: why, detail });
      const deleted = kept ? true : this.#row.delete();
      await this.#links.stop(why);
      this.#hooks.onGone(!(await deleted));
    });
  }

  /** Another child than the one that was opened with; after a failure all is as it was before. */
  async #startNext(): Promise<Result<void, OpenFailure>> {
    const [links, row, streams] = [this.#links, this.#row, this.#streams];
    const { login } = this.#owner;
    const handshake = this.#handshake;
    const next = await carryOn({ links, row, streams, handshake, login, log: this.#log });
    if (!next.ok) await this.#failed(next.error, 'version_changed');
    return next;
  }

  async #failed({ kind }: OpenFailure, end: 'not_opened' | 'version_changed'): Promise<void> {
    if (kind === 'sign_in_again') this.#hooks.onSignedOut();
    if (kind === 'session_gone' || end === 'not_opened') await this.finish(end);
  }
}
