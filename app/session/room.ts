import { type Clock, within } from '../base/clock.ts';
import type { Metrics } from '../base/metrics.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { OpenFailure, SessionLimit } from './open-failure.ts';
import type { SessionOwner } from './owned-session.ts';

/** What is looked at when one of several sessions must go. */
export interface Occupant {
  readonly owner: SessionOwner;
  /** Its last use; undefined while it is needed, -Infinity when it has ended and only leaves. */
  readonly unusedSince: number | undefined;
  /** Gives its place up; resolves when it is free. */
  detach(why: 'evicted'): Promise<void>;
}

/** Far more than the stop of a child takes: beyond it the child cannot be ended by anyone. */
const ROOM_WAIT_MS_MAX = 5_000;

interface RoomLimits {
  readonly sessionsMax: number;
  readonly sessionsPerUserMax: number;
}

/** The places for children. */
export interface Rooms<T extends Occupant> {
  /**
   * Makes room for one more child of this session, at somebody's cost; `take` is called as soon as
   * it is sure of its place, before the one that gives it up has gone.
   */
  makeRoom(session: T, take: () => void): Promise<Result<void, OpenFailure>>;
  /** That session is not there any more. */
  gone(session: T): void;
}

/** Creates the places; `occupants` are those that take one now. */
export function createRooms<T extends Occupant>(
  parts: RoomLimits & { readonly clock: Clock; readonly metrics: Metrics },
  occupants: () => readonly T[],
): Rooms<T> {
  const { clock, metrics } = parts;
  /** Those that give their place to another, whose child waits until theirs is gone. */
  const leaving = new Set<T>();

  const limitReached = (limit: SessionLimit): Result<never, OpenFailure> => {
    metrics.limitsReached.inc({ limit });
    return err({ kind: 'limit', limit });
  };
  return {
    gone(session) {
      leaving.delete(session);
    },
    async makeRoom(session, take) {
      leaving.delete(session);
      const staying = occupants().filter((other) => other !== session && !leaving.has(other));
      const room = sessionInTheWay(staying, session.owner.accountId, parts);
      if (!room.ok) return limitReached(room.error);
      take();
      const spared = room.value;
      if (spared === undefined) return ok(undefined);
      leaving.add(spared);
      const gone = await within(clock, ROOM_WAIT_MS_MAX, spared.detach('evicted'));
      leaving.delete(spared);
      return gone ? ok(undefined) : limitReached('MAX_SESSIONS');
    },
  };
}

/**
 * Which of the sessions must be gone before this account gets another one; undefined when there is
 * room. A person's own limit is kept at the cost of that person's sessions alone. The error is the
 * limit that is reached, with every session in use.
 */
function sessionInTheWay<T extends Occupant>(
  sessions: readonly T[],
  accountId: number,
  limits: RoomLimits,
): Result<T | undefined, SessionLimit> {
  const own = sessions.filter((session) => session.owner.accountId === accountId);
  if (own.length >= limits.sessionsPerUserMax) return leastNeeded(own, 'MAX_SESSIONS_PER_USER');
  if (sessions.length >= limits.sessionsMax) return leastNeeded(sessions, 'MAX_SESSIONS');
  return ok(undefined);
}

/** The one whose last use is the longest ago; none that is in use. */
function leastNeeded<T extends Occupant>(
  sessions: readonly T[],
  limit: SessionLimit,
): Result<T, SessionLimit> {
  let least: { readonly session: T; readonly since: number } | undefined;
  for (const session of sessions) {
    const since = session.unusedSince;
    if (since === undefined || (least !== undefined && least.since <= since)) continue;
    least = { session, since };
  }
  return least === undefined ? err(limit) : ok(least.session);
}
