import type { Cancel } from '../base/clock.ts';
import type { Keyring } from '../base/keyring.ts';
import type { RequestMessage } from '../base/message.ts';
import { err, ok, type Result } from '../base/result.ts';
import { type Digest, digestOf, newToken } from '../base/secret.ts';
import { STOP_LADDER_MS } from '../child/stop-ladder.ts';
import { createEventIds } from './event-id.ts';
import type { OpenFailure } from './open-failure.ts';
import type { OwnedSession, SessionOwner } from './owned-session.ts';
import { createRenewal, type RenewalParts } from './renewal.ts';
import type { Session } from './session.ts';
import { createSessionMap } from './session-map.ts';
import type { SessionParts } from './session-parts.ts';

export type { RequestMessage } from '../base/message.ts';
export type { PostedCalls } from './call-group.ts';
export type { EventSource, StreamEvent } from './event-source.ts';
export type { ForgeProbe, OpenFailure } from './open-failure.ts';
export type { CallRules, OwnedSession, SessionOwner } from './owned-session.ts';
export type { Listening } from './streams.ts';

/** A session that was opened just now. */
export interface OpenedSession {
  /** The `Mcp-Session-Id`: 192 random bits, 32 characters of base64url. Only its digest is kept. */
  readonly sessionId: string;
  /** The child's answer to `initialize`, with the client's id. */
  readonly answer: string;
  readonly session: OwnedSession;
}

/** What a session does, for a person who looks. */
export interface SessionActivity {
  /** Of its child; undefined while it has none. */
  readonly pid: number | undefined;
  readonly callsWaiting: number;
}

/** All sessions of the broker; each has a child of its own, and nobody shares one. */
export interface SessionRegistry {
  /**
   * Opens a session for a client whose token was checked; at a limit, the child that was idle for
   * the longest time makes room for it. Rejects with a `StoreError` when the row cannot be
   * written; after any failure no child is left.
   */
  open(
    owner: SessionOwner,
    initialize: RequestMessage,
  ): Promise<Result<OpenedSession, OpenFailure>>;
  /**
   * The session with that id, of this run or an earlier one; the grant of `owner` carries it from
   * now on. Unknown, ended, or of another account or client: undefined, which is a 404. Rejects
   * with a `StoreError`.
   */
  find(sessionId: string, owner: SessionOwner): Promise<OwnedSession | undefined>;
  /**
   * What connections may do has changed by itself: the client of each session in memory is told when
   * it may do something else than before. `permissionOf` gives that of a grant, undefined for none.
   */
  permit(permissionOf: (grantId: string) => Promise<string | undefined>): Promise<void>;
  /**
   * After the end of a grant: the children of its sessions are gone within a second. Another live
   * one of the same account and client may go on with them; without one they end.
   */
  endGrant(grantId: string, reason: string): Promise<void>;
  /** Ends the sessions of an account; their children are gone within a second. */
  endAccount(accountId: number, reason: string): Promise<void>;
  /** Ends one session, as its client does with DELETE; false when there is none. */
  endSession(idDigest: Digest, reason: string): Promise<boolean>;
  /** What each session in memory does now, by the digest of its id. */
  activity(): ReadonlyMap<Digest, SessionActivity>;
  /** Sessions that have a child or are about to; those that end count until it is gone. */
  readonly count: number;
  /** Begins to renew tokens and to forget sessions, now and then, until it is cancelled. */
  sweep(): Cancel;
  /**
   * Another broker has taken over: each session ends here as soon as nothing of it is under way, and
   * what is under way may go on for `graceMs`. What was ended over there ends here too. Resolves
   * when nothing is left, or the time is up; then comes `stop`.
   */
  leave(graceMs: number): Promise<void>;
  /**
   * Opens no more and ends all children: calls under way may be answered for a while, then get a
   * JSON-RPC error, all within `stopGraceMs`. The sessions go on with the next run.
   */
  stop(): Promise<void>;
}

export interface SessionLimits {
  readonly sessionsMax: number;
  readonly sessionsPerUserMax: number;
  readonly storedPerUserMax: number;
  /** After the last use. */
  readonly ttlMs: number;
  /** Since the last sign of life. */
  readonly requestTimeoutMs: number;
  /** Whatever the child tells meanwhile. */
  readonly requestTimeoutTotalMs: number;
  /** Bytes of events that a session keeps for clients that come back. */
  readonly streamBufferBytesMax: number;
  /** How long it keeps them. */
  readonly streamAgeMsMax: number;
  /** Calls of one session that may wait for answers at once. */
  readonly callsMax: number;
  readonly idleTimeoutMs: number;
  /** From the spawn to the answer of `initialize`. */
  readonly handshakeTimeoutMs: number;
  readonly stopGraceMs: number;
}

export interface SessionRegistryOptions
  extends Omit<SessionParts, 'eventIds' | Exclude<keyof SessionLimits, 'ttlMs' | 'stopGraceMs'>> {
  readonly tokens: SessionParts['tokens'] & RenewalParts['tokens'];
  readonly limits: SessionLimits;
  readonly keyring: Pick<Keyring, 'sealEventText' | 'openEventText'>;
}

const SESSION_ID_BYTES = 24;

/** What a killed process and the last bytes of its pipes take, at the end of a stop. */
const EXIT_MS = 200;

/** Creates the registry; sessions of earlier runs are found in the store. */
export function createSessionRegistry(options: SessionRegistryOptions): SessionRegistry {
  const { limits, random, store } = options;
  const eventIds = createEventIds(options.keyring, random);
  const parts = { ...options, ...limits, eventIds };
  const renewal = createRenewal({ ...parts, sessions: () => [...sessions.all.values()] });
  const sessions = createSessionMap(parts, renewal);
  let stopping = false;

  const ended = (why: 'grant_ended' | 'account_ended', reason: string) => (session: Session) =>
    session.finish(why, reason);

  return {
    get count() {
      return sessions.occupied;
    },
    async open(owner, initialize) {
      if (stopping) return err({ kind: 'stopping' });
      const sessionId = newToken(random, SESSION_ID_BYTES);
      const session = sessions.add(digestOf(sessionId), owner);
      const opened = await session.open(initialize);
      return opened.ok ? ok({ sessionId, answer: opened.value, session }) : opened;
    },
    async find(sessionId, owner) {
      const session = await sessions.find(digestOf(sessionId), owner);
      if (stopping) void session?.drain(0);
      session?.adopt(owner.grantId, owner.permission);
      return session;
    },
    async permit(permissionOf) {
      const telling = [...sessions.all.values()].map(async (session) => {
        const { grantId } = session.owner;
        const permission = await permissionOf(grantId);
        if (session.owner.grantId === grantId) session.adopt(grantId, permission);
      });
      await Promise.all(telling);
    },
    async endSession(idDigest, reason) {
      const session = sessions.all.get(idDigest);
      if (session?.usable !== true) return store.sessions.delete(idDigest);
      await session.end(reason);
      return true;
    },
    activity: () => new Map([...sessions.all].map(([digest, { activity }]) => [digest, activity])),
    async endGrant(grantId, reason) {
      const heirs = new Map<Digest, string | null>();
      for (const { idDigest, heir } of await store.sessions.endGrant(grantId)) {
        heirs.set(idDigest, heir);
      }
      const ending = [...sessions.all].map(async ([digest, session]) => {
        if (session.owner.grantId !== grantId) return;
        const heir = heirs.get(digest) ?? null;
        if (heir === null) await ended('grant_ended', reason)(session);
        else {
          session.adopt(heir);
          await session.detach('grant_ended');
        }
      });
      await Promise.all(ending);
    },
    async endAccount(accountId, reason) {
      await store.sessions.endAccount(accountId);
      await Promise.all(sessions.of(accountId).map(ended('account_ended', reason)));
    },
    sweep() {
      const cancels = [renewal.start(), sessions.start()];
      return () => {
        for (const cancel of cancels) cancel();
      };
    },
    leave: (graceMs) => sessions.leave(graceMs),
    async stop() {
      stopping = true;
      const drainMs = Math.max(0, limits.stopGraceMs - STOP_LADDER_MS - EXIT_MS);
      await sessions.stop(drainMs);
    },
  };
}
