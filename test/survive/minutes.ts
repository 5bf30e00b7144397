import { API_CALL_MAX_MS, TOKEN_CALL_MAX_MS } from '../../app/forge/forgejo.ts';
import type { SkippingClock } from '../support/skipping-clock.ts';

const MINUTE_MS = 60_000;

/** How long a program may take for its first answer. */
const HANDSHAKE_TIMEOUT_MS = 20_000;

/** What a minute would end before its time. */
const UNDER_WAY = [TOKEN_CALL_MAX_MS, API_CALL_MAX_MS, HANDSHAKE_TIMEOUT_MS];

/**
 * Lets minutes pass, each with its sweep, until something has happened. None passes while the forge
 * is asked or a program starts, however slow the machine is: with rotation on, an answer with tokens
 * that is given up leaves the account with a dead pair.
 */
export async function letMinutesPass(clock: SkippingClock, until: () => boolean): Promise<void> {
  while (!until()) {
    if (!UNDER_WAY.some((limitMs) => clock.limits(limitMs))) clock.skip(MINUTE_MS);
    await Bun.sleep(5);
  }
}
