import { type Clock, sleep } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { createRateLimiter, type RateLimiter } from '../base/rate-limiter.ts';
import type { LimitName, RateLimitRule, RateLimitRules, RateLimits } from '../base/rate-limits.ts';
import type { ClientAddresses } from './client-address.ts';

/** Counters of one limit at once; about 2 MB for all limits together. */
const KEYS_MAX = 10_000;

/**
 * Who goes on after so many refusals of a window waits for each further one. Otherwise a flood comes
 * as fast as it is refused, and each refusal takes time from everybody else.
 */
const PROMPT_REFUSALS = 20;
const HOLD_MS = 1000;
/** Refusals that wait at once; a connection and about 4 KB each. What is beyond is told at once. */
const HELD_MAX = 1000;

export interface RateLimitOptions {
  /** Read anew for each request; a rule that has changed begins to count from nothing. */
  readonly rules: () => RateLimitRules;
  readonly addresses: Pick<ClientAddresses, 'of'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'rateLimited' | 'limitsReached'>;
}

interface Counting {
  readonly rule: RateLimitRule;
  readonly limiter: RateLimiter;
}

/**
 * The rate limits of the whole broker. Each refusal is counted, and the first one of a window is
 * logged: a flood must not fill the log. The counters live in memory and begin anew with the process.
 */
export function createRateLimits(options: RateLimitOptions): RateLimits {
  const { log, metrics } = options;
  const counting = new Map<LimitName, Counting>();
  let held = 0;

  const hold = async () => {
    if (held >= HELD_MAX) {
      metrics.limitsReached.inc({ limit: 'RATE_LIMIT_HELD' });
      return;
    }
    held += 1;
    await sleep(options.clock, HOLD_MS);
    held -= 1;
  };

  const take = async (
    limit: LimitName,
    keyOf: () => { readonly key: string; readonly who: Readonly<Record<string, unknown>> },
  ): Promise<number | undefined> => {
    const rule = options.rules()[limit];
    const limiter = limiterFor(limit, rule, counting, options);
    if (limiter === undefined) return undefined;
    const { key, who } = keyOf();
    const taken = await limiter.take(key);
    if (taken.kind === 'allowed') return undefined;
    metrics.rateLimited.inc({ limit });
    const retryAfterS = Math.max(1, Math.ceil(taken.retryAfterMs / 1000));
    if (taken.beyond === 1) log.warn('rate.limited', { limit, ...who, retryAfterS });
    if (taken.beyond > PROMPT_REFUSALS) await hold();
    return retryAfterS;
  };

  return {
    byAddress: (limit, request) =>
      take(limit, () => {
        const { text, subscriber } = options.addresses.of(request);
        return { key: subscriber, who: { address: text } };
      }),
    byAccount: (limit, accountId) =>
      take(limit, () => ({ key: String(accountId), who: { account: accountId } })),
  };
}

function limiterFor(
  limit: LimitName,
  rule: RateLimitRule | null,
  counting: Map<LimitName, Counting>,
  { clock, metrics }: RateLimitOptions,
): RateLimiter | undefined {
  const now = counting.get(limit);
  if (now !== undefined && isSame(now.rule, rule)) return now.limiter;
  now?.limiter.close();
  counting.delete(limit);
  if (rule === null) return undefined;
  const limiter = createRateLimiter({
    ...rule,
    keysMax: KEYS_MAX,
    onFull: () => metrics.limitsReached.inc({ limit: 'RATE_LIMIT_KEYS' }),
    clock,
  });
  counting.set(limit, { rule, limiter });
  return limiter;
}

function isSame(a: RateLimitRule, b: RateLimitRule | null): boolean {
  return b !== null && a.count === b.count && a.windowMs === b.windowMs;
}
