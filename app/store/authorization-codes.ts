import type { Digest } from '../base/secret.ts';
import { present } from './connection.ts';
import { createGrantEnd, GRANT_COLUMNS, type Grant } from './grants.ts';
import { createAnswerInsert } from './refresh-tokens.ts';
import type { StoreContext } from './store-context.ts';
import type { TokenAnswerRow } from './tokens.ts';

/** A code about to be issued (RFC 6749 section 4.1.2); its grant is made with it. */
export interface NewAuthorizationCode {
  readonly codeDigest: Digest;
  /** The authorization request that it ends. */
  readonly requestDigest: Digest;
  readonly clientId: string;
  readonly accountId: number;
  /** As in the authorization request, empty included: the token request has to repeat it. */
  readonly redirectUri: string;
  readonly codeChallenge: string;
  readonly resource: string;
  readonly scope: string;
  /** As in the grant. */
  readonly permission: string | null;
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

export function createAuthorizationCodes(context: StoreContext): AuthorizationCodes {
  const { connection, clock } = context;
  const insertAnswer = createAnswerInsert(context);
  const endGrant = createGrantEnd(context);
  const { insertGrant, insertCode, removeRequest, find, markUsed } = prepare(context);
  const lookUp = (digest: Digest): AuthorizationCode | undefined => {
    const row = find.get(digest);
    return row === null ? undefined : { ...row, grantEnded: row.grantEnded === 1 };
  };
  return {
    issue: (code) =>
      connection.write(() => {
        const { requestDigest, codeDigest, codeExpiresAt, accountId, clientId } = code;
        const { scope, permission, resource, redirectUri, codeChallenge } = code;
        const now = clock.now();
        const grantId = grantIdOf(codeDigest);
        const allowed = { scope, permission, resource };
        const grant = insertGrant.get({ grantId, accountId, clientId, ...allowed, now });
        insertCode.run({ codeDigest, grantId, redirectUri, codeChallenge, now, codeExpiresAt });
        removeRequest.run(requestDigest);
        return present(grant);
      }),
    find: (digest) => connection.read(() => lookUp(digest)),
    redeem: (digest, answer) =>
      connection.write(() => {
        const code = lookUp(digest);
        if (code === undefined) return 'gone';
        // Before the expiry is looked at: a stolen code is a stolen code also an hour later.
        if (code.usedAt !== null) {
          endGrant(code.grantId, 'code_reuse');
          return 'reused';
        }
        if (code.grantEnded || code.expiresAt <= clock.now()) return 'gone';
        markUsed.run(clock.now(), digest);
        insertAnswer(code.grantId, answer, null);
        return 'issued';
      }),
  };
}

function prepare({ connection }: StoreContext) {
  return {
    insertGrant: connection.prepare<Grant, [GrantRow]>(
      `INSERT INTO grants (id, account_id, client_id, scope, permission, resource, created_at)
       VALUES ($grantId, $accountId, $clientId, $scope, $permission, $resource, $now)
       RETURNING ${GRANT_COLUMNS}`,
    ),
    insertCode: connection.prepare<never, [CodeRow]>(
      `INSERT INTO authorization_codes (digest, grant_id, redirect_uri, code_challenge,
         created_at, expires_at)
       VALUES ($codeDigest, $grantId, $redirectUri, $codeChallenge, $now, $codeExpiresAt)`,
    ),
    removeRequest: connection.prepare<never, [string]>(
      'DELETE FROM authorization_requests WHERE digest = ?',
    ),
    find: connection.prepare<FoundRow, [string]>(
      `SELECT c.digest, c.grant_id AS grantId, g.client_id AS clientId,
         c.redirect_uri AS redirectUri, c.code_challenge AS codeChallenge, g.resource, g.scope,
         c.expires_at AS expiresAt, c.used_at AS usedAt, g.ended_at IS NOT NULL AS grantEnded
       FROM authorization_codes AS c JOIN grants AS g ON g.id = c.grant_id
       WHERE c.digest = ?`,
    ),
    markUsed: connection.prepare<never, [number, string]>(
      'UPDATE authorization_codes SET used_at = ? WHERE digest = ?',
    ),
  };
}

type GrantRow = {
  readonly grantId: string;
  readonly accountId: number;
  readonly clientId: string;
  readonly scope: string;
  readonly permission: string | null;
  readonly resource: string;
  readonly now: number;
};

type CodeRow = {
  readonly codeDigest: string;
  readonly grantId: string;
  readonly redirectUri: string;
  readonly codeChallenge: string;
  readonly now: number;
  readonly codeExpiresAt: number;
};

type FoundRow = Omit<AuthorizationCode, 'grantEnded'> & { readonly grantEnded: number };

/** As unlikely to repeat as the code, and short enough for a log line and an admin's command. */
function grantIdOf(codeDigest: Digest): string {
  return `g_${codeDigest.slice(0, 16)}`;
}
