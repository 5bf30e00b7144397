/** What requests of one address are counted for. */
export const ADDRESS_LIMITS = [
  'register',
  'authorize',
  'sign_in',
  'token',
  'unauthorized',
] as const;

/** What requests of one account, under whatever client, are counted for. */
export const ACCOUNT_LIMITS = ['account_sign_in', 'account_token', 'account_mcp'] as const;

export const LIMIT_NAMES = [...ADDRESS_LIMITS, ...ACCOUNT_LIMITS] as const;

export type AddressLimit = (typeof ADDRESS_LIMITS)[number];
export type AccountLimit = (typeof ACCOUNT_LIMITS)[number];
export type LimitName = (typeof LIMIT_NAMES)[number];

/** At most `count` in each window, which begins with the first. */
export interface RateLimitRule {
  readonly count: number;
  readonly windowMs: number;
}

/** The rule of each limit; null: there is no such limit. */
export type RateLimitRules = Readonly<Record<LimitName, RateLimitRule | null>>;

/**
 * Counts a request, and tells whether it is one too many: undefined, or the whole seconds after which
 * the next may come (`Retry-After`, RFC 9110 section 10.2.3). To be asked before work is done for it.
 */
export interface RateLimits {
  byAddress(limit: AddressLimit, request: Request): Promise<number | undefined>;
  byAccount(limit: AccountLimit, accountId: number): Promise<number | undefined>;
}

/** What is told along with 429 (RFC 6585 section 4); it says nothing of who else has asked. */
export const TOO_MANY_REQUESTS = 'too many requests; try again later';
