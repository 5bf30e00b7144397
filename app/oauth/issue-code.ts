import { digestOf, newToken } from '../base/secret.ts';
import type { Account } from '../store/accounts.ts';
import { scopeText } from '../tools/scopes.ts';
import { codeResponseUrl } from './authorization-response.ts';
import { BROWSER_TTL_MS } from './browser.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { ProblemError } from './problems.ts';
import { type RunningRequest, responseTarget } from './running-request.ts';
import { permissionOf } from './scope.ts';

/** How long a code is good (RFC 6749 section 4.1.2 allows ten minutes; a client needs a second). */
export const CODE_TTL_MS = 60 * 1000;

/**
 * Ends a login well: makes the grant and its code in one transaction, remembers who signed in with
 * this browser, and returns the URL that brings the code to the client. An account that signs in too
 * often gets a page.
 */
export async function issueCode(
  running: RunningRequest,
  account: Pick<Account, 'id' | 'login'>,
  parts: Pick<
    AuthorizationServerParts,
    'store' | 'random' | 'clock' | 'log' | 'metrics' | 'publicOrigin' | 'rateLimits'
  >,
): Promise<string> {
  const { row } = running;
  const { scope } = permissionOf(row);
  const retryAfterS = await parts.rateLimits.byAccount('account_sign_in', account.id);
  if (retryAfterS !== undefined) throw new ProblemError({ kind: 'too_many', retryAfterS });
  const now = parts.clock.now();
  const code = `fjmcp_ac_${newToken(parts.random)}`;
  // Before the code: a code that is out and a browser that is not remembered cannot be undone.
  await parts.store.browserSessions.signIn(row.browserDigest, account.id, now + BROWSER_TTL_MS);
  const grant = await parts.store.authorizationCodes.issue({
    codeDigest: digestOf(code),
    requestDigest: row.digest,
    clientId: row.clientId,
    accountId: account.id,
    redirectUri: row.redirectUri,
    codeChallenge: row.codeChallenge,
    resource: row.resource,
    scope: scopeText(scope),
    permission: row.permission,
    codeExpiresAt: now + CODE_TTL_MS,
  });
  parts.metrics.authorizations.inc({ outcome: 'issued' });
  parts.log.info('grant.created', {
    grant: grant.id,
    client: row.clientId,
    login: account.login,
    scope,
  });
  return codeResponseUrl(responseTarget(running, parts.publicOrigin), code);
}
