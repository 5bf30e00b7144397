import { type Cancel, type Clock, within } from '../base/clock.ts';
import type { RequestId } from '../base/message.ts';
import { err, type Result } from '../base/result.ts';
import type { Child } from '../child/supervisor.ts';
import type { FreshToken } from '../forge/account-tokens.ts';
import type { Attached, AttachingSession } from './attach.ts';
import type { OpenFailure } from './open-failure.ts';
import { watchSession } from './reaper.ts';
import type { Router } from './router.ts';
import { openFailureOf, type StopReason } from './session-end.ts';

/** How long the calls of a child with an old token may go on beside its successor. */
export const DRAIN_MS = 5 * 60_000;

/** A child of a session, from its answer to `initialize` on. */
export interface Link {
  readonly router: Router;
  readonly child: Child;
  readonly token: FreshToken;
  /** Why it was stopped or is gone. */
  readonly why: StopReason | undefined;
}

type OwnLink = { -readonly [Key in keyof Link]: Link[Key] } & { readonly cancels: Cancel[] };

/** A child that is about to be there. */
interface Attempt {
  /** Whether it has a place: one that is refused never had. */
  placed: boolean;
  child: Child | undefined;
  stopped: StopReason | undefined;
  readonly end: AbortController;
}

/** What a start needs, all but what the links know themselves. */
export type Start = Pick<AttachingSession, 'id' | 'params' | 'replay'>;

export interface LinksParts {
  readonly clock: Clock;
  readonly idleTimeoutMs: number;
  /** Starts a child (`attach`). */
  readonly attach: (
    how: Start & Pick<AttachingSession, 'router' | 'end' | 'onChild'>,
  ) => Promise<Result<Attached, OpenFailure>>;
  readonly createRouter: () => Router;
  /** Makes room for one more child, at somebody's cost; `take` is called as soon as it is sure of it. */
  readonly makeRoom: (take: () => void) => Promise<Result<void, OpenFailure>>;
  readonly lastUsedAt: () => number;
  /** Whether a child is there, begins or leaves may have changed. */
  readonly onChange: () => void;
  readonly onStopped: (why: StopReason) => void;
}

/** The children of one session: one that takes calls, and those that end what they have begun. */
export class Links {
  readonly #parts: LinksParts;
  readonly #attempts = new Set<Attempt>();
  readonly #retired = new Set<OwnLink>();
  readonly #leaving = new Set<Promise<unknown>>();
  #current: OwnLink | undefined;

  constructor(parts: LinksParts) {
    this.#parts = parts;
  }

  /** The child that takes calls. */
  get current(): Link | undefined {
    return this.#current;
  }

  get starting(): boolean {
    return this.#attempts.size > 0;
  }

  /** Whether it takes a place: a child is there, about to be, or not gone yet. */
  get occupied(): boolean {
    if (this.#current !== undefined || this.#leaving.size > 0) return true;
    return this.#attempts.size > 0 && this.#attempts.values().some(({ placed }) => placed);
  }

  /** The routers of all children, the one that takes calls first. */
  get routers(): Router[] {
    return [this.#current, ...this.#retired].flatMap((link) => (link ? [link.router] : []));
  }

  /** Calls that wait, over all children. */
  get waiting(): number {
    return this.routers.reduce((sum, { waiting }) => sum + waiting, 0);
  }

  /**
   * Starts a child that takes all further calls; one that did so before ends what it has begun. As
   * long as that is there, it is its place that is used. Rejects with a `StoreError`.
   */
  async start(how: Start): Promise<Result<Attached, OpenFailure>> {
    const placed = this.#current !== undefined;
    const end = new AbortController();
    const attempt: Attempt = { placed, child: undefined, stopped: undefined, end };
    this.#attempts.add(attempt);
    try {
      const room = placed ? undefined : await this.#parts.makeRoom(() => this.#take(attempt));
      if (attempt.stopped !== undefined) return err(openFailureOf(attempt.stopped));
      if (room?.ok === false) return room;
      const router = this.#parts.createRouter();
      const attached = await this.#parts.attach({
        ...{ ...how, router },
        end: end.signal,
        onChild: (child) => {
          attempt.child = child;
          void child.exited.then(() => router.failAll());
        },
      });
      if (attempt.stopped !== undefined) {
        if (attached.ok) await attached.value.child.stop(attempt.stopped);
        return err(openFailureOf(attempt.stopped));
      }
      if (attached.ok) this.#link(router, attached.value);
      return attached;
    } catch (error) {
      // Nobody else knows of it yet.
      await attempt.child?.stop('handshake_failed');
      throw error;
    } finally {
      this.#attempts.delete(attempt);
      this.#parts.onChange();
    }
  }

  /** Stops all children, also one that only begins; resolves when those that are there are gone. */
  async stop(why: StopReason): Promise<void> {
    const begun = [...this.#attempts].map((attempt) => {
      attempt.stopped ??= why;
      attempt.end.abort();
      return attempt.child?.stop(why);
    });
    if (this.#current !== undefined) this.#end(this.#current, why);
    for (const link of this.#retired) this.#end(link, why);
    await Promise.all([...begun, ...this.#leaving]);
  }

  /** Runs something for the child that takes calls now, unless it is gone by then. */
  later(delayMs: number, run: () => void): void {
    const link = this.#current;
    if (link === undefined) return;
    link.cancels.push(this.#parts.clock.after(delayMs, run));
  }

  /** Resolves when no call waits. */
  async drained(): Promise<void> {
    await Promise.all(this.routers.map((router) => router.drained()));
  }

  #link(router: Router, { child, token }: Attached): void {
    const before = this.#current;
    const { clock, idleTimeoutMs, lastUsedAt } = this.#parts;
    const link: OwnLink = { router, child, token, why: undefined, cancels: [] };
    this.#current = link;
    link.cancels.push(
      watchSession({
        ...{ clock, idleTimeoutMs, lastUsedAt },
        tokenExpiresAt: token.expiresAt,
        busy: () => router.waiting > 0,
        onDue: (why) => this.#end(link, why),
      }),
    );
    void child.exited.then(() => this.#end(link, 'child_exited'));
    if (before !== undefined) void this.#retire(before);
  }

  #take(attempt: Attempt): void {
    attempt.placed = true;
    this.#parts.onChange();
  }

  async #retire(link: OwnLink): Promise<void> {
    const { clock } = this.#parts;
    this.#retired.add(link);
    for (const cancel of link.cancels) cancel();
    link.router.mute();
    const leftMs = Math.max(0, Math.min(DRAIN_MS, link.token.expiresAt - clock.now()));
    await within(clock, leftMs, Promise.race([link.router.quiet(), link.child.exited]));
    this.#end(link, 'renewed');
  }

  /** The child is to go, or has gone. The first reason is kept. */
  #end(link: OwnLink, why: StopReason): void {
    if (link.why !== undefined) return;
    link.why = why;
    for (const cancel of link.cancels) cancel();
    if (this.#current === link) this.#current = undefined;
    this.#retired.delete(link);
    const gone = link.child.stop(why).then(() => {
      this.#leaving.delete(gone);
      this.#parts.onChange();
    });
    this.#leaving.add(gone);
    link.router.failAll();
    this.#parts.onStopped(why);
  }
}

/** The id that a child sees in an `initialize` that its client did not send. */
export const REPLAY_ID: RequestId = 0;
