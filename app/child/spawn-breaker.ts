import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';

/** Starts in a row that must find the forge away before no more are tried. */
export const FAILURES_TO_OPEN = 3;

/** How long nobody tries; then one may. */
export const BREAKER_PAUSE_MS = 5_000;

/** The permission to start one child, and the duty to say what came of it. */
export interface SpawnPass {
  /** False when the forge was found away since the pass was given: it is not worth using. */
  readonly good: boolean;
  /** The forge answered the child. */
  forgeUp(): void;
  forgeAway(): void;
  /** It ended without a word about the forge. Harmless after any of the others. */
  giveBack(): void;
}

/**
 * Keeps starts that must fail from being tried: every child asks the forge before it answers, so
 * while the forge is down each start costs a process, a wait and one more question to the forge.
 */
export interface SpawnBreaker {
  /** Undefined while it is open: the forge counts as away, and nothing needs to be tried. */
  pass(): SpawnPass | undefined;
  /** Whether a start would be refused at this moment. After the pause it would not. */
  readonly open: boolean;
}

type State =
  | { readonly kind: 'closed'; readonly failures: number }
  | { readonly kind: 'open'; readonly until: number }
  /** One start is under way, and decides. */
  | { readonly kind: 'probing' };

/** Creates the breaker: opens after `FAILURES_TO_OPEN`, closes with the first success. */
export function createSpawnBreaker(parts: {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}): SpawnBreaker {
  const { clock, log, metrics } = parts;
  let state: State = { kind: 'closed', failures: 0 };
  /** Counts openings: a pass of an earlier time says nothing any more about now. */
  let openings = 0;

  const open = (): void => {
    openings += 1;
    const wasClosed = state.kind === 'closed';
    state = { kind: 'open', until: clock.now() + BREAKER_PAUSE_MS };
    if (!wasClosed) return;
    metrics.spawnBreakerOpen.set(1);
    metrics.spawnBreakerChanges.inc({ to: 'open' });
    log.warn('child.breaker_opened', { failures: FAILURES_TO_OPEN, pause_ms: BREAKER_PAUSE_MS });
  };

  const close = (): void => {
    const wasClosed = state.kind === 'closed';
    state = { kind: 'closed', failures: 0 };
    if (wasClosed) return;
    metrics.spawnBreakerOpen.set(0);
    metrics.spawnBreakerChanges.inc({ to: 'closed' });
    log.info('child.breaker_closed');
  };

  const makePass = (probe: boolean): SpawnPass => {
    const given = openings;
    let used = false;
    const once = (act: () => void) => () => {
      if (used) return;
      used = true;
      act();
    };
    return {
      get good() {
        return openings === given;
      },
      forgeUp: once(close),
      forgeAway: once(() => {
        if (probe && state.kind === 'probing') open();
        else if (state.kind === 'closed') {
          const failures = state.failures + 1;
          if (failures >= FAILURES_TO_OPEN) open();
          else state = { kind: 'closed', failures };
        }
      }),
      giveBack: once(() => {
        // Nothing was learned: the next one may try at once.
        if (probe && state.kind === 'probing') state = { kind: 'open', until: clock.now() };
      }),
    };
  };

  return {
    get open() {
      return state.kind === 'probing' || (state.kind === 'open' && clock.now() < state.until);
    },
    pass() {
      switch (state.kind) {
        case 'closed':
          return makePass(false);
        case 'open':
          if (clock.now() < state.until) return undefined;
          state = { kind: 'probing' };
          return makePass(true);
        case 'probing':
          return undefined;
      }
    },
  };
}
