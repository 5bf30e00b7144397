import { within } from './base/clock.ts';
import type { Built } from './mount.ts';

const PRUNE_EVERY_MS = 10 * 60_000;

/** How long the token calls that are on their way may take before a hand-over is put off. */
const TOKEN_CALLS_MS = 15_000;

/**
 * What one broker of a store does alone: it has the lock, prunes, renews tokens and makes token
 * calls to Forgejo.
 */
export interface Duties {
  /** Takes the lock if it is not taken; throws `StoreOpenError` when another broker has it. */
  begin(): void;
  /**
   * Ends the token calls that are on their way and leaves everything to a successor; false, and all
   * is as before, when they take too long.
   */
  release(): Promise<boolean>;
  /** Ends what it does by itself. */
  stop(): void;
}

export function createDuties({
  store,
  sessions,
  tokens,
  clock,
  log,
}: Pick<Built, 'store' | 'sessions' | 'tokens' | 'clock' | 'log'>): Duties {
  let cancels: (() => void)[] = [];
  const stop = () => {
    for (const cancel of cancels) cancel();
    cancels = [];
  };
  const prune = () => {
    store.prune().catch((err: unknown) => log.error('store.prune_failed', { err }));
  };
  const begin = () => {
    store.takeLock();
    tokens.resume();
    stop();
    cancels = [clock.every(PRUNE_EVERY_MS, prune), sessions.sweep()];
  };
  return {
    begin,
    async release() {
      stop();
      tokens.pause();
      if (!(await within(clock, TOKEN_CALLS_MS, tokens.idle()))) {
        begin();
        return false;
      }
      store.releaseLock();
      return true;
    },
    stop,
  };
}
