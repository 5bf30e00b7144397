import type { Keyring, Successor } from '../base/keyring.ts';
import { digestOf } from '../base/secret.ts';
import type { RefreshTokenProof } from '../store/tokens.ts';
import type { AuthenticatedClient } from './client.ts';
import { tooManyRequests } from './endpoint.ts';
import { OAuthError } from './errors.ts';
import { noteGrantEnded } from './grant.ts';
import type { Parameters } from './parameters.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { targetResource } from './resource.ts';
import { tokenScope } from './scope.ts';
import { freshTokens } from './token-answer.ts';

/** How often one answer is given: to a client that lost it, and to its processes that race. */
export const ANSWERS_MAX = 5;

/**
 * The refresh token grant (RFC 6749 section 6) with rotation (OAuth 2.1 section 4.3.1). The
 * successor is derived from its predecessor, so whoever asks twice gets the same one and nobody is
 * signed out by a lost answer; once it was used, the predecessor in anybody's hands is a theft.
 * Refusals say invalid_grant: with anything else, official clients ask again for ever.
 */
export async function refreshGrant(
  client: AuthenticatedClient,
  form: Parameters,
  parts: AuthorizationServerParts,
): Promise<Response> {
  const { store, clock } = parts;
  const presented = form.require('refresh_token');
  const asked = form.get('scope');
  targetResource(form, parts.publicOrigin);
  const digest = digestOf(presented);
  const proof = ownToken(await store.tokens.findRefresh(digest), client);
  const retryAfterS = await parts.rateLimits.byAccount('account_token', proof.accountId);
  if (retryAfterS !== undefined) throw tooManyRequests(retryAfterS);
  const successor = successorOf(presented, proof, parts.keyring);
  const scope = tokenScope(proof.scope, parts.scopes, asked);
  const tokens = freshTokens(successor, scope, parts);
  const rotation = await store.tokens.rotate({
    predecessor: digest,
    clientId: client.id,
    successor: tokens.rows.refresh,
    access: tokens.rows.access,
    answersMax: ANSWERS_MAX,
  });
  switch (rotation.kind) {
    case 'gone':
      throw invalidGrant(whyGone(proof, clock.now()));
    case 'too_many_answers':
      parts.metrics.limitsReached.inc({ limit: 'REFRESH_ANSWERS' });
      throw invalidGrant('the answer was given as often as it may be');
    case 'reuse':
      noteGrantEnded(rotation.grantId, 'refresh_reuse', parts);
      throw invalidGrant('a spent refresh token came again');
    case 'rotated':
      return tokens.answer({
        grantType: 'refresh_token',
        grantId: proof.grantId,
        clientId: client.id,
      });
  }
}

function ownToken(
  proof: RefreshTokenProof | undefined,
  client: AuthenticatedClient,
): RefreshTokenProof {
  if (proof === undefined) throw invalidGrant('the refresh token is unknown');
  // Another client's token has no effect at all, or anyone could end a grant that is not theirs.
  if (proof.clientId !== client.id) throw invalidGrant('the token belongs to another client');
  return proof;
}

/**
 * The key that made the successor the first time makes it again. When that key is no more, the
 * answer cannot be repeated; but a spent token is a theft whichever key followed it.
 */
function successorOf(presented: string, proof: RefreshTokenProof, keyring: Keyring): Successor {
  const earlier = proof.successor;
  const keyId = earlier?.confirmed === false ? (earlier.keyId ?? '') : keyring.currentKeyId;
  const successor = keyring.refreshSuccessor(presented, keyId);
  if (successor === undefined) {
    throw invalidGrant('its successor was made with a key that this broker no longer has');
  }
  return successor;
}

function whyGone(proof: RefreshTokenProof, now: number): string {
  if (proof.grantEnded) return 'the grant has ended';
  if (proof.expiresAt <= now) return 'the refresh token has expired';
  if (proof.accountState !== 'active') return `the account is ${proof.accountState}`;
  return 'the refresh token has gone';
}

function invalidGrant(reason: string): OAuthError {
  return new OAuthError('invalid_grant', 'the refresh token is not good', { reason });
}
