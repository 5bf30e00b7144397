import type { RedirectTarget } from '../base/redirect-target.ts';
import type { ClientView } from '../pages/views.ts';
import type { AuthorizationRequest } from '../store/authorization-requests.ts';
import { type KnownRedirect, knownRedirect } from './authorization-request.ts';
import { errorResponseUrl, type ResponseTarget } from './authorization-response.ts';
import { OAuthError } from './errors.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { ProblemError } from './problems.ts';

/** How long each stage may take; RFC 9700 section 2.1 wants states short-lived. */
export const STAGE_TTL_MS = 10 * 60 * 1000;

/** A login on its way, with the client and redirect URI that were checked when it began. */
export interface RunningRequest {
  readonly row: AuthorizationRequest;
  readonly known: KnownRedirect;
}

/**
 * Joins a row with its client. The row keeps the redirect URI as the client sent it (empty: it sent
 * none), because the token request has to repeat exactly that (RFC 6749 section 4.1.3). Throws
 * `ProblemError` when the client has gone meanwhile.
 */
export async function runningRequest(
  row: AuthorizationRequest,
  parts: Pick<AuthorizationServerParts, 'store' | 'redirectAllowlist'>,
): Promise<RunningRequest> {
  const client = await parts.store.clients.find(row.clientId);
  if (client === undefined) throw new ProblemError({ kind: 'client_unknown' });
  const known = knownRedirect(client, row.redirectUri, parts.redirectAllowlist());
  if (known === undefined) throw new ProblemError({ kind: 'redirect_uri_unknown' });
  return { row, known };
}

/** Where the answer of a running request goes. */
export function responseTarget(running: RunningRequest, publicOrigin: string): ResponseTarget {
  const { row, known } = running;
  return { redirectUri: known.redirectUri, state: row.clientState, issuer: publicOrigin };
}

/** The answer for a person who said no, here or at Forgejo, or whom Forgejo does not let in. */
export function deniedUrl(running: RunningRequest, publicOrigin: string): string {
  const denied = new OAuthError('access_denied', 'the person did not allow it');
  return errorResponseUrl(responseTarget(running, publicOrigin), denied);
}

/** Our own authorization endpoint with the same question: a fresh consent page, a fresh binding. */
export function restartUrl(row: AuthorizationRequest, publicOrigin: string): string {
  const parameters = new URLSearchParams({
    response_type: 'code',
    client_id: row.clientId,
    code_challenge: row.codeChallenge,
    code_challenge_method: 'S256',
    scope: row.scope,
    resource: row.resource,
  });
  if (row.redirectUri !== '') parameters.set('redirect_uri', row.redirectUri);
  if (row.clientState !== null) parameters.set('state', row.clientState);
  return `${publicOrigin}/oauth/authorize?${parameters}`;
}

/** The client as a person should see it. */
export function clientView({ client, target }: KnownRedirect): ClientView {
  return { name: client.name, verified: client.kind === 'static', returnsTo: target };
}

/** Where a redirect URI leads, in a few words. */
export function destinationOf(target: RedirectTarget): string {
  switch (target.kind) {
    case 'web':
      return target.host;
    case 'loopback':
      return 'the program on your computer';
    case 'private_use':
      return `the program for “${target.scheme}:” links`;
  }
}

/** The host that people know their forge by. */
export function forgeHostOf(forgejoUrl: string): string {
  return new URL(forgejoUrl).host;
}
