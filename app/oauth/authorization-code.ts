import { digestOf, newToken } from '../base/secret.ts';
import type { AuthorizationCode } from '../store/authorization-codes.ts';
import type { AuthenticatedClient } from './client.ts';
import { OAuthError } from './errors.ts';
import { endGrant, noteGrantEnded } from './grant.ts';
import type { Parameters } from './parameters.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { verifierMatches } from './pkce.ts';
import { targetResource } from './resource.ts';
import { tokenScope } from './scope.ts';
import { freshTokens } from './token-answer.ts';

/** The authorization code grant (RFC 6749 section 4.1.3, OAuth 2.1 section 4.1.3). */
export async function exchangeCode(
  client: AuthenticatedClient,
  form: Parameters,
  parts: AuthorizationServerParts,
): Promise<Response> {
  const { store, random } = parts;
  const digest = digestOf(form.require('code'));
  const codeVerifier = form.require('code_verifier');
  const redirectUri = form.get('redirect_uri') ?? '';
  targetResource(form, parts.publicOrigin);
  const code = await ownCode(await store.authorizationCodes.find(digest), client, parts);
  if (code.redirectUri !== redirectUri && !isTheOnlyOne(redirectUri, code, client)) {
    throw invalidGrant('the redirect URI is not that of the authorization request');
  }
  if (!verifierMatches(codeVerifier, code.codeChallenge)) {
    throw invalidGrant('the code verifier does not match the challenge');
  }
  const scope = tokenScope(code.scope, parts.scopes);
  const tokens = freshTokens({ token: newToken(random), keyId: null }, scope, parts);
  const outcome = await store.authorizationCodes.redeem(digest, tokens.rows);
  switch (outcome) {
    case 'gone':
      throw invalidGrant('the code has expired or its grant has ended');
    case 'reused':
      // Two requests with one code came so close that only the store could tell which was second.
      noteGrantEnded(code.grantId, 'code_reuse', parts);
      throw invalidGrant('the code was used before');
    case 'issued':
      return tokens.answer({
        grantType: 'authorization_code',
        grantId: code.grantId,
        clientId: client.id,
      });
  }
}

/**
 * The code, if it is this client's and still good. A used code has leaked, or its first user was
 * not this client: what was issued for it ends (OAuth 2.1 section 4.1.3). Only its own client can
 * set that off, so nobody can end a stranger's grant.
 */
async function ownCode(
  code: AuthorizationCode | undefined,
  client: AuthenticatedClient,
  parts: AuthorizationServerParts,
): Promise<AuthorizationCode> {
  if (code === undefined) throw invalidGrant('the code is unknown');
  if (code.clientId !== client.id) throw invalidGrant('the code belongs to another client');
  if (code.usedAt !== null) {
    await endGrant(code.grantId, 'code_reuse', parts);
    throw invalidGrant('the code was used before');
  }
  return code;
}

/** The client sent none to the authorization endpoint, and now names the only one it could mean. */
function isTheOnlyOne(
  redirectUri: string,
  code: AuthorizationCode,
  client: AuthenticatedClient,
): boolean {
  return code.redirectUri === '' && client.redirectUris[0] === redirectUri;
}

function invalidGrant(reason: string): OAuthError {
  return new OAuthError('invalid_grant', 'the authorization code is not good', { reason });
}
