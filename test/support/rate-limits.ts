import { LIMIT_NAMES, type RateLimitRules, type RateLimits } from '../../app/base/rate-limits.ts';

/** For tests that are about something else: they ask more often than any client. */
export const NO_RATE_LIMITS = Object.fromEntries(
  LIMIT_NAMES.map((name) => [name, null]),
) as RateLimitRules;

/** Lets everything pass. */
export const passAll: RateLimits = {
  byAddress: async () => undefined,
  byAccount: async () => undefined,
};
