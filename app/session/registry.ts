import { within } from '../base/clock.ts';
import type { Keyring } from '../base/keyring.ts';
import type { Log } from '../base/log.ts';
import type { RequestMessage } from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import { err, ok, type Result } from '../base/result.ts';
import { type Digest, digestOf, newToken, type Random } from '../base/secret.ts';
import { STOP_LADDER_MS } from '../child/stop-ladder.ts';
import type { OpenFailure, SessionLimit } from './attach.ts';
import { createEventIds } from './event-id.ts';
import type { OwnedSession, SessionOwner } from './owned-session.ts';
import { sessionInTheWay } from './room.ts';
import { Session, type SessionParts } from './session.ts';

export type { RequestMessage } from '../base/message.ts';
export type { ForgeProbe, OpenFailure } from './attach.ts';
export type { PostedCalls } from './call-group.ts';
export type { OwnedSession, SessionOwner } from './owned-session.ts';
export type { EventSource, StreamEvent } from './stream.ts';
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
   * Opens a session for a client whose token was checked; at a limit, the session that was idle for
   * the longest time ends to make room for it. Rejects with a `StoreError` when the row
   * cannot be written; after any failure no child is left.
   */
  open(
    owner: SessionOwner,
    initialize: RequestMessage,
  ): Promise<Result<OpenedSession, OpenFailure>>;
  /** Unknown, ended, or of another account or client: undefined, which is a 404. */
  find(sessionId: string, owner: SessionOwner): OwnedSession | undefined;
  /** Ends the sessions of a grant; their children are gone within a second. */
  endGrant(grantId: string, reason: string): Promise<void>;
  /** Ends the sessions of an account; their children are gone within a second. */
  endAccount(accountId: number, reason: string): Promise<void>;
  /** Ends one session, as its client does with DELETE; false when there is none. */
  endSession(idDigest: Digest, reason: string): Promise<boolean>;
  /** What each session in memory does now, by the digest of its id. */
  activity(): ReadonlyMap<Digest, SessionActivity>;
  /** Sessions that have a child or are about to; those that end count until it is gone. */
  readonly count: number;
  /**
   * Opens no more and ends all: calls under way may be answered for a while, then get a JSON-RPC
   * error, and children stop, all within `stopGraceMs`.
   */
  stop(): Promise<void>;
}

export interface SessionLimits {
  readonly sessionsMax: number;
  readonly sessionsPerUserMax: number;
  /** Since the last sign of life. */
  readonly requestTimeoutMs: number;
  /** Whatever the child tells meanwhile. */
  readonly requestTimeoutTotalMs: number;
  /** Bytes of events that a session keeps for clients that come back. */
  readonly streamBufferBytesMax: number;
  readonly idleTimeoutMs: number;
  /** From the spawn to the answer of `initialize`. */
  readonly handshakeTimeoutMs: number;
  readonly stopGraceMs: number;
}

export interface SessionRegistryOptions
  extends Pick<
    SessionParts,
    | 'store'
    | 'tokens'
    | 'supervisor'
    | 'spawnQueue'
    | 'spawnBreaker'
    | 'probeForge'
    | 'serverVersions'
    | 'clock'
  > {
  readonly limits: SessionLimits;
  readonly keyring: Pick<Keyring, 'sealEventText' | 'openEventText'>;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

const SESSION_ID_BYTES = 24;

/** What a killed process and the last bytes of its pipes take, at the end of a stop. */
const EXIT_MS = 200;

/** Far more than the stop of a child takes: beyond it the child cannot be ended by anyone. */
const ROOM_WAIT_MS_MAX = 5_000;

/** Creates the registry. Rows of an earlier run have no children: the caller deletes them first. */
export function createSessionRegistry(options: SessionRegistryOptions): SessionRegistry {
  const { limits, clock, random, metrics } = options;
  const parts = { ...options, ...limits, eventIds: createEventIds(options.keyring, random) };
  const sessions = new Map<Digest, Session>();
  let stopping = false;

  /** Those that give their place to another, whose child waits until theirs is gone. */
  const leaving = new Set<Session>();

  const limitReached = (limit: SessionLimit): Result<never, OpenFailure> => {
    metrics.limitsReached.inc({ limit });
    return err({ kind: 'limit', limit });
  };

  const endAll = async (
    belongs: (owner: SessionOwner) => boolean,
    end: (session: Session) => Promise<void>,
  ): Promise<void> => {
    const ending = [...sessions.values()].filter((session) => belongs(session.owner));
    await Promise.all(ending.map(end));
  };

  return {
    get count() {
      return sessions.size;
    },
    async open(owner, initialize) {
      if (stopping) return err({ kind: 'stopping' });
      const staying = [...sessions.values()].filter((session) => !leaving.has(session));
      const room = sessionInTheWay(staying, owner.accountId, limits);
      if (!room.ok) return limitReached(room.error);
      const spared = room.value;
      const sessionId = newToken(random, SESSION_ID_BYTES);
      const digest = digestOf(sessionId);
      // It takes its place before anything is awaited, so that no two take the last one.
      const session = new Session(parts, digest, owner, () => {
        sessions.delete(digest);
        leaving.delete(session);
        metrics.sessions.set(sessions.size);
      });
      sessions.set(digest, session);
      metrics.sessions.set(sessions.size);
      if (spared !== undefined) {
        leaving.add(spared);
        if (!(await within(clock, ROOM_WAIT_MS_MAX, spared.finish('evicted')))) {
          leaving.delete(spared);
          await session.finish('not_opened');
          return limitReached('MAX_SESSIONS');
        }
      }
      const opened = await session.open(initialize);
      return opened.ok ? ok({ sessionId, answer: opened.value, session }) : opened;
    },
    find(sessionId, owner) {
      const session = sessions.get(digestOf(sessionId));
      if (session?.usable !== true) return undefined;
      // The id alone opens nothing (CVE-2026-33946): it must belong to this person and client.
      const { accountId, clientId } = session.owner;
      return accountId === owner.accountId && clientId === owner.clientId ? session : undefined;
    },
    async endSession(idDigest, reason) {
      const session = sessions.get(idDigest);
      if (session?.usable !== true) return options.store.sessions.delete(idDigest);
      await session.end(reason);
      return true;
    },
    activity: () => new Map([...sessions].map(([digest, { activity }]) => [digest, activity])),
    endGrant: (grantId, reason) =>
      endAll(
        (owner) => owner.grantId === grantId,
        (session) => session.finish('grant_ended', reason),
      ),
    endAccount: (accountId, reason) =>
      endAll(
        (owner) => owner.accountId === accountId,
        (session) => session.finish('account_ended', reason),
      ),
    async stop() {
      stopping = true;
      const drainMs = Math.max(0, limits.stopGraceMs - STOP_LADDER_MS - EXIT_MS);
      const all = endAll(
        () => true,
        (session) => session.drain(drainMs),
      );
      // A process in an uninterruptible wait cannot be ended by anyone.
      await within(clock, limits.stopGraceMs, all);
    },
  };
}
