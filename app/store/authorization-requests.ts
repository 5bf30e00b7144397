import type { Digest } from '../base/secret.ts';

/**
 * `consent`: our page is shown. `forge`: approved, the person is at Forgejo. `confirm`: Forgejo
 * named an account that the consent page did not show, and the person is asked.
 */
export type AuthorizationStage = 'consent' | 'forge' | 'confirm';

/** A login on its way (RFC 6749 section 4.1.1). It is deleted when its code is issued. */
export interface AuthorizationRequest {
  /** Of the transaction id in the form. */
  readonly digest: Digest;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly codeChallenge: string;
  /** The client's `state`, sealed in the row. */
  readonly clientState: string | null;
  readonly scope: string;
  readonly resource: string;
  /** The browser in which the consent page was shown. */
  readonly browserDigest: Digest;
  readonly shownAccountId: number | null;
  readonly stage: AuthorizationStage;
  /** Who came back from Forgejo; known from `confirm` on. */
  readonly accountId: number | null;
  readonly expiresAt: number;
}

/** What `create` takes: the rest of a new request is known. */
export type NewAuthorizationRequest = Omit<AuthorizationRequest, 'stage' | 'accountId'>;

/** Every function treats an expired request as one that does not exist. */
export interface AuthorizationRequests {
  /** Keeps a request in stage `consent`; false when `requestsMax` of them are on their way. */
  create(
    request: NewAuthorizationRequest,
    approvalDigest: Digest,
    requestsMax: number,
  ): Promise<boolean>;
  find(digest: Digest): Promise<AuthorizationRequest | undefined>;
  /**
   * `consent` to `forge`, once, and only with the approval value of the page; from here the request
   * is known by its upstream `state`. Undefined when it is not there, in another stage, or the
   * value is another.
   */
  approve(
    digest: Digest,
    approvalDigest: Digest,
    upstreamStateDigest: Digest,
    expiresAt: number,
  ): Promise<AuthorizationRequest | undefined>;
  /** The request of an upstream `state` whose callback was not taken yet; changes nothing. */
  findCallback(upstreamStateDigest: Digest): Promise<AuthorizationRequest | undefined>;
  /** The same, once: a callback that is loaded again finds nothing. */
  takeCallback(upstreamStateDigest: Digest): Promise<AuthorizationRequest | undefined>;
  /** `forge` to `confirm`, after the callback was taken; false when the request has gone. */
  toConfirm(
    digest: Digest,
    accountId: number,
    approvalDigest: Digest,
    expiresAt: number,
  ): Promise<boolean>;
  /** The confirmed request, once, and only with the approval value of the page. */
  takeConfirm(digest: Digest, approvalDigest: Digest): Promise<AuthorizationRequest | undefined>;
  delete(digest: Digest): Promise<void>;
}
