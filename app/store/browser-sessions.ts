import type { Digest } from '../base/secret.ts';

/** A browser that has been here, and who signed in with it. */
export interface BrowserSession {
  /** Of the random id in the browser's cookie. */
  readonly digest: Digest;
  readonly accountId: number | null;
  readonly login: string | null;
  readonly expiresAt: number;
}

export interface BrowserSessions {
  /**
   * Keeps a new browser. Anyone can make these, so their number is bounded: beyond it, the browsers
   * without a sign-in that expire first are forgotten.
   */
  create(session: { readonly digest: Digest; readonly expiresAt: number }): Promise<void>;
  /** Undefined once it has expired. */
  find(digest: Digest): Promise<BrowserSession | undefined>;
  /** Notes who signed in, also when the row has expired meanwhile. */
  signIn(digest: Digest, accountId: number, expiresAt: number): Promise<void>;
}
