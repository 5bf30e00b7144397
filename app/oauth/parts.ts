import type { Clock } from '../base/clock.ts';
import type { Keyring } from '../base/keyring.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { RateLimits } from '../base/rate-limits.ts';
import type { Random } from '../base/secret.ts';
import type { AccountTokens } from '../forge/account-tokens.ts';
import type { Forge } from '../forge/forge.ts';
import type { GrantEndReason } from '../store/grants.ts';
import type { Store } from '../store/store.ts';
import type { ScopeLimits } from '../tools/scope-limits.ts';
import type { AuthorizationPages } from './pages.ts';

/** How much strangers can make the authorization server keep. */
export interface AuthorizationLimits {
  /** Dynamic clients. */
  readonly clientsMax: number;
  /** Logins on their way, of all people together. */
  readonly requestsMax: number;
}

/** All that the authorization server works with; each endpoint takes what it uses of it. */
export interface AuthorizationServerParts {
  readonly store: Pick<
    Store,
    | 'clients'
    | 'accounts'
    | 'browserSessions'
    | 'authorizationRequests'
    | 'authorizationCodes'
    | 'grants'
    | 'tokens'
  >;
  readonly accountTokens: Pick<AccountTokens, 'signIn' | 'open'>;
  readonly forge: Pick<Forge, 'authorizationUrl'>;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly pages: AuthorizationPages;
  /** The issuer, byte for byte; no trailing slash. */
  readonly publicOrigin: string;
  /** Forgejo as people's browsers see it; no trailing slash. */
  readonly forgejoUrl: string;
  readonly accessTokenTtlMs: number;
  readonly refreshTokenTtlMs: number;
  readonly limits: AuthorizationLimits;
  /** What the operator lets people allow. */
  readonly scopes: ScopeLimits;
  readonly rateLimits: RateLimits;
  /** Private-use redirect URIs that clients may register, letter by letter. */
  readonly redirectAllowlist: () => readonly string[];
  /** Origins whose scripts may register clients and fetch tokens. */
  readonly allowedOrigins: () => readonly string[];
  /** Called after a grant has ended, so that what works under it stops at once. Must not throw. */
  readonly onGrantEnded: (grantId: string, reason: GrantEndReason) => void;
}
