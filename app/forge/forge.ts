import type { Result } from '../base/result.ts';
import type { Secret } from '../base/secret.ts';

/**
 * Why the forge did not give what was asked, by what can be done about it: only the person can
 * help (`sign_in_again`), time may help (`try_later`), or the admin must change a setting on one
 * side or the other (`misconfigured`). `detail` is for the log and never holds a secret.
 */
export type ForgeFailure = {
  readonly kind: 'sign_in_again' | 'try_later' | 'misconfigured';
  readonly detail: string;
};

/** The forge's admin has locked this person out; `login` is null where the forge does not tell it. */
export type ForgeRefusal = {
  readonly kind: 'refused';
  readonly reason: 'inactive' | 'prohibited';
  readonly login: string | null;
};

/** A token answer (RFC 6749 section 5.1) of the forge; times are epoch milliseconds. */
export interface ForgeTokens {
  readonly accessToken: Secret;
  /** null: the answer had none, and an earlier one stays in force (RFC 6749 section 6). */
  readonly refreshToken: Secret | null;
  readonly accessExpiresAt: number;
  /** null exactly when there is no refresh token in this answer. */
  readonly refreshExpiresAt: number | null;
}

/** Who a token belongs to, as the forge itself says; nothing else decides a person's identity. */
export interface ForgeUser {
  readonly id: number;
  readonly login: string;
  readonly fullName: string;
  readonly isAdmin: boolean;
  /** false: the forge's admin has switched the account off. */
  readonly active: boolean;
  readonly prohibitLogin: boolean;
}

/**
 * The forge as the broker sees it. No function throws for anything that the forge or the network
 * does, and each one settles within a time limit of its own.
 */
export interface Forge {
  /** Where the person's browser goes to sign in (RFC 6749 section 4.1.1, RFC 7636 section 4.3). */
  authorizationUrl(request: { readonly state: string; readonly codeVerifier: string }): URL;
  /**
   * Redeems a code (RFC 6749 section 4.1.3). Call it only through `AccountTokens`: with rotation
   * on, every answer makes the older refresh tokens of that person invalid.
   */
  exchangeCode(code: Secret, codeVerifier: string): Promise<Result<ForgeTokens, ForgeFailure>>;
  /** Renews a token pair (RFC 6749 section 6). Call it only through `AccountTokens`, as above. */
  refresh(refreshToken: Secret): Promise<Result<ForgeTokens, ForgeFailure>>;
  /**
   * Whose token it is. `sign_in_again`: the forge does not honour the token any more. A user who is
   * given may still be one that is locked out: `active` and `prohibitLogin` say so.
   */
  user(accessToken: Secret): Promise<Result<ForgeUser, ForgeFailure | ForgeRefusal>>;
  /**
   * The forge's version, and the cheapest proof that it is there; `unknown` where the forge keeps
   * it from people who are not signed in.
   */
  version(): Promise<Result<string, ForgeFailure>>;
}
