import type { Result } from '../base/result.ts';
import type { Secret } from '../base/secret.ts';
import type { Account } from '../store/accounts.ts';
import type { ForgeFailure } from './forge.ts';

/** Why a sign-in came to nothing; `refused` is the forge's admin's decision about this person. */
export type SignInFailure =
  | ForgeFailure
  | {
      readonly kind: 'refused';
      readonly reason: 'inactive' | 'prohibited';
      readonly login: string;
    };

/** An account's upstream access token, good until `expiresAt` (epoch milliseconds). */
export interface FreshToken {
  readonly token: Secret;
  readonly expiresAt: number;
  readonly generation: number;
}

/** The upstream tokens of all accounts, behind one mutex over every token call. */
export interface AccountTokens {
  /**
   * Exchanges the code, asks the forge who it is and stores the pair before anyone uses it. The
   * caller is freed at the time-out (`try_later`); an answer that comes later is still stored.
   */
  signIn(code: Secret, codeVerifier: string): Promise<Result<Account, SignInFailure>>;
  /**
   * The account's upstream token, renewed first when it expires within `leadMs`. While the forge
   * is away, a stored token that is good for another five minutes is given as it is.
   */
  fresh(accountId: number, leadMs: number): Promise<Result<FreshToken, ForgeFailure>>;
  /** Resolves when no token call is under way; the caller bounds its own wait. */
  idle(): Promise<void>;
}
