import type { Cancel, Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { AccountTokens } from '../forge/account-tokens.ts';
import type { Session } from './session.ts';

/** A child whose token expires sooner gets a successor. */
export const RENEWAL_LEAD_MS = 5 * 60_000;

/** How often tokens that are about to expire are looked for. */
export const RENEWAL_SWEEP_MS = 60_000;

/** Longest pause between two tries for one account while the forge is away. */
const PAUSE_MAX_MS = 8 * 60_000;

export interface RenewalParts {
  readonly tokens: Pick<AccountTokens, 'fresh' | 'verify' | 'renewAbsent'>;
  readonly clock: Clock;
  readonly log: Log;
  /** All that are in memory. */
  readonly sessions: () => readonly Session[];
}

/** Keeps the tokens of the children good, and ends those whose token is dead. */
export interface Renewal {
  /** An answer looks as if the forge did not honour the account's token: the forge is asked. */
  suspect(accountId: number): void;
  /** The person must sign in again: the children of the account end. */
  signedOut(accountId: number): void;
  start(): Cancel;
}

export function createRenewal(parts: RenewalParts): Renewal {
  const { tokens, clock, log } = parts;
  const pauses = new Map<number, { readonly failures: number; readonly until: number }>();
  const checking = new Set<number>();
  let sweeping = false;

  const sessionsOf = (accountId: number) =>
    parts.sessions().filter(({ owner }) => owner.accountId === accountId);

  const signedOut = (accountId: number): void => {
    for (const session of sessionsOf(accountId)) void session.detach('signed_out');
  };

  const failed = (accountId: number): void => {
    const failures = (pauses.get(accountId)?.failures ?? 0) + 1;
    const pauseMs = Math.min(RENEWAL_SWEEP_MS * 2 ** (failures - 1), PAUSE_MAX_MS);
    pauses.set(accountId, { failures, until: clock.now() + pauseMs });
  };

  /** New pair first, then a successor for each child that has a token of the old one. */
  const renew = async (accountId: number, sessions: readonly Session[]): Promise<void> => {
    const pause = pauses.get(accountId);
    if (pause !== undefined && clock.now() < pause.until) return;
    const fresh = await tokens.fresh(accountId, RENEWAL_LEAD_MS);
    if (!fresh.ok) {
      if (fresh.error.kind === 'sign_in_again') signedOut(accountId);
      else failed(accountId);
      return;
    }
    pauses.delete(accountId);
    const older = sessions.filter(({ tokenExpiresAt: at }) => (at ?? 0) < fresh.value.expiresAt);
    await Promise.all(older.map((session) => session.renew()));
  };

  const check = async (accountId: number): Promise<void> => {
    if (checking.has(accountId)) return;
    checking.add(accountId);
    try {
      const verdict = await tokens.verify(accountId);
      if (verdict === 'signed_out') signedOut(accountId);
      if (verdict === 'renewed') {
        await Promise.all(sessionsOf(accountId).map((session) => session.renew()));
      }
    } finally {
      checking.delete(accountId);
    }
  };

  const sweepAccount = async (accountId: number): Promise<void> => {
    await check(accountId);
    const now = clock.now();
    const due = sessionsOf(accountId).filter(
      ({ tokenExpiresAt: at }) => at !== undefined && at - now <= RENEWAL_LEAD_MS,
    );
    if (due.length > 0) await renew(accountId, due);
  };

  const sweep = async (): Promise<void> => {
    if (sweeping) return;
    sweeping = true;
    try {
      const attached = parts.sessions().filter((session) => session.tokenExpiresAt !== undefined);
      const accounts = new Set(attached.map(({ owner }) => owner.accountId));
      for (const accountId of pauses.keys()) if (!accounts.has(accountId)) pauses.delete(accountId);
      await Promise.all([...accounts].map(sweepAccount));
      await tokens.renewAbsent(accounts);
    } finally {
      sweeping = false;
    }
  };

  const inBackground = (work: Promise<void>): void => {
    work.catch((error: unknown) => log.error('renewal.failed', { err: error }));
  };

  return {
    signedOut,
    suspect: (accountId) => inBackground(check(accountId)),
    start: () => clock.every(RENEWAL_SWEEP_MS, () => inBackground(sweep())),
  };
}
