import type { Secret } from '../base/secret.ts';

/**
 * `active`: the upstream tokens are good. `needs_sign_in`: Forgejo refused them. `disabled`: Forgejo
 * does not let this person in.
 */
export type AccountState = 'active' | 'needs_sign_in' | 'disabled';

/** A Forgejo user; `id` is Forgejo's, since a login can be renamed and given to another. */
export interface Account {
  readonly id: number;
  readonly login: string;
  readonly isAdmin: boolean;
  readonly state: AccountState;
  /** Counts the token answers of Forgejo that were stored; tells an old token from the present. */
  readonly generation: number;
  readonly accessExpiresAt: number;
  readonly refreshExpiresAt: number | null;
}

/** Who Forgejo says has signed in. */
export interface AccountUser {
  readonly id: number;
  readonly login: string;
  readonly isAdmin: boolean;
}

/** One token answer of Forgejo; a null refresh token keeps the stored one and its expiry. */
export interface UpstreamTokens {
  readonly accessToken: Secret;
  readonly refreshToken: Secret | null;
  readonly accessExpiresAt: number;
  readonly refreshExpiresAt: number | null;
}

/** An account with its tokens opened. */
export interface AccountWithTokens {
  readonly account: Account;
  readonly accessToken: Secret;
  readonly refreshToken: Secret | null;
}

export interface Accounts {
  find(id: number): Promise<Account | undefined>;
  /**
   * Inserts or updates the account after a token answer: both tokens sealed, the state `active`, the
   * generation one higher.
   */
  storeTokens(user: AccountUser, tokens: UpstreamTokens): Promise<Account>;
  tokensOf(id: number): Promise<AccountWithTokens | undefined>;
  /** Changes the state only while the generation is still `generation`; false otherwise. */
  setState(id: number, state: AccountState, generation: number): Promise<boolean>;
}
