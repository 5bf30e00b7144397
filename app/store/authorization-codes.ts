import type { Digest } from '../base/secret.ts';
import type { Grant } from './grants.ts';
import type { TokenAnswerRow } from './tokens.ts';

/** A code about to be issued (RFC 6749 section 4.1.2); its grant is made with it. */
export interface NewAuthorizationCode {
  readonly codeDigest: Digest;
  /** The authorization request that it ends. */
  readonly requestDigest: Digest;
  readonly clientId: string;
  readonly accountId: number;
  readonly redirectUri: string;
  readonly codeChallenge: string;
  readonly resource: string;
  readonly scope: string;
  readonly codeExpiresAt: number;
}

/** A code and all that it is bound to. */
export interface AuthorizationCode {
  readonly digest: Digest;
  readonly grantId: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly codeChallenge: string;
  readonly resource: string;
  readonly scope: string;
  readonly expiresAt: number;
  readonly usedAt: number | null;
  readonly grantEnded: boolean;
}

/** `gone`: unknown, expired, or its grant has ended. */
export type Redemption = 'issued' | 'reused' | 'gone';

export interface AuthorizationCodes {
  /** In one transaction: the grant and the code are inserted, the request is deleted. */
  issue(code: NewAuthorizationCode): Promise<Grant>;
  /** Also expired and used ones, as long as they are kept. */
  find(digest: Digest): Promise<AuthorizationCode | undefined>;
  /**
   * In one transaction: marks the code as used and inserts the first token answer. A used code is
   * remembered as long as its grant lives: its reuse ends the grant (OAuth 2.1 section 4.1.3).
   */
  redeem(digest: Digest, answer: TokenAnswerRow): Promise<Redemption>;
}
