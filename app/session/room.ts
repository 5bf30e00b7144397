import { err, ok, type Result } from '../base/result.ts';
import type { SessionLimit } from './open-failure.ts';
import type { SessionOwner } from './owned-session.ts';

/** What is looked at when one of several sessions must go. */
export interface Occupant {
  readonly owner: SessionOwner;
  /** Its last use; undefined while it is needed, -Infinity when it has ended and only leaves. */
  readonly unusedSince: number | undefined;
}

/**
 * Which of the sessions must be gone before this account gets another one; undefined when there is
 * room. A person's own limit is kept at the cost of that person's sessions alone. The error is the
 * limit that is reached, with every session in use.
 */
export function sessionInTheWay<T extends Occupant>(
  sessions: readonly T[],
  accountId: number,
  limits: { readonly sessionsMax: number; readonly sessionsPerUserMax: number },
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
