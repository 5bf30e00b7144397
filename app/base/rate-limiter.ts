import type { RateLimiterRes } from 'rate-limiter-flexible';
import RateLimiterMemory from 'rate-limiter-flexible/lib/RateLimiterMemory.js';
import type { Clock } from './clock.ts';
import type { RateLimitRule } from './rate-limits.ts';

/** What became of a request; `beyond` is 1 for the first refusal of a window, then 2, and so on. */
export type Taken =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'refused'; readonly retryAfterMs: number; readonly beyond: number };

/** Counts by key, in windows that begin with the first request of a key. */
export interface RateLimiter {
  take(key: string): Promise<Taken>;
  /** Forgets everything; it must not be asked any more. */
  close(): void;
  /** Counters kept now. */
  readonly size: number;
}

export interface RateLimiterOptions extends RateLimitRule {
  /** Counters at once; the one whose window began first makes room for the one beyond. */
  readonly keysMax: number;
  readonly onFull: () => void;
  readonly clock: Clock;
}

/**
 * The library keeps a counter and a timer for each key, by the system's own clock. Their number is
 * bounded here, since whoever has many addresses could make as many of them. A counter that had to
 * go begins anew: limits by address do not hold somebody with so many addresses anyway.
 */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  const { count, windowMs, keysMax, onFull, clock } = options;
  const limiter = new RateLimiterMemory({
    points: count,
    duration: windowMs / 1000,
    keyPrefix: '',
  });
  /** The end of each window, in the order in which they began. */
  const windows = new Map<string, number>();

  const remember = (key: string, endsAt: number) => {
    windows.delete(key);
    windows.set(key, endsAt);
    for (const [oldest, oldestEndsAt] of windows) {
      const isOver = oldestEndsAt <= clock.now();
      if (!isOver && windows.size <= keysMax) break;
      windows.delete(oldest);
      void limiter.delete(oldest);
      if (!isOver) onFull();
    }
  };

  return {
    async take(key) {
      const counted = await consume(limiter, key);
      if (counted.isFirstInDuration) remember(key, clock.now() + counted.msBeforeNext);
      if (counted.consumedPoints <= count) return ALLOWED;
      return {
        kind: 'refused',
        retryAfterMs: counted.msBeforeNext,
        beyond: counted.consumedPoints - count,
      };
    },
    close() {
      for (const key of windows.keys()) void limiter.delete(key);
      windows.clear();
    },
    get size() {
      return windows.size;
    },
  };
}

const ALLOWED: Taken = { kind: 'allowed' };

/** The library rejects with its result when that is one too many. */
async function consume(limiter: RateLimiterMemory, key: string): Promise<RateLimiterRes> {
  try {
    return await limiter.consume(key);
  } catch (error) {
    if (isResult(error)) return error;
    throw error;
  }
}

function isResult(error: unknown): error is RateLimiterRes {
  return typeof error === 'object' && error !== null && 'msBeforeNext' in error;
}
