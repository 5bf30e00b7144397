import type { Cancel, Clock } from '../base/clock.ts';

/** Longest delay of a timer: what is longer than 2^31-1 ms would fire at once. */
const DELAY_MAX_MS = 24 * 60 * 60_000;

/**
 * Watches one session and ends it when its token expires, whatever it does then, or when it was
 * not used for `idleTimeoutMs`. One timer a session, planned anew only when it fires: a call costs
 * nothing here, and a broker without sessions is never woken.
 */
export function watchSession(options: {
  readonly clock: Clock;
  readonly idleTimeoutMs: number;
  /** Epoch milliseconds. */
  readonly tokenExpiresAt: number;
  readonly lastUsedAt: () => number;
  /** A session that waits for its child is in use. */
  readonly busy: () => boolean;
  readonly onDue: (reason: 'idle' | 'token_expired') => void;
}): Cancel {
  const { clock, idleTimeoutMs, tokenExpiresAt, lastUsedAt, busy, onDue } = options;
  let cancel: Cancel = () => undefined;

  const check = (): void => {
    const now = clock.now();
    const idleAt = (busy() ? now : lastUsedAt()) + idleTimeoutMs;
    if (now >= tokenExpiresAt) onDue('token_expired');
    else if (now >= idleAt) onDue('idle');
    else cancel = clock.after(Math.min(tokenExpiresAt, idleAt, now + DELAY_MAX_MS) - now, check);
  };

  check();
  return () => cancel();
}
