import type { AnyElysia } from 'elysia';
import type { LogFields } from '../base/log.ts';
import { digestOf } from '../base/secret.ts';
import { authenticateClient } from './client.ts';
import { logRefusal, programEndpoint } from './endpoint.ts';
import { NO_STORE } from './errors.ts';
import { endGrant } from './grant.ts';
import { apiFormOf } from './parameters.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { REVOKE_DETAIL } from './reference/tokens.ts';

/** The revocation endpoint (RFC 7009). */
export function revocationEndpoint(parts: AuthorizationServerParts): AnyElysia {
  return programEndpoint(parts, {
    paths: ['/oauth/revoke', '/revoke'],
    limit: 'token',
    detail: REVOKE_DETAIL,
    run: (request, note) => revoke(request, parts, note),
    onRefused: (error, noted) => logRefusal(parts.log, 'revocation.refused', error, noted),
  });
}

/**
 * Either token ends its whole grant (RFC 7009 section 2.1 allows it for an access token): a client
 * that revokes has no more use for the connection, and a refresh token left behind would be one
 * that nobody remembers. The hint is only a hint, so both kinds are looked for. Unknown tokens and
 * those of other clients get the same 200, and nothing happens.
 */
async function revoke(
  request: Request,
  parts: AuthorizationServerParts,
  note: (fields: LogFields) => void,
): Promise<Response> {
  const form = await apiFormOf(request);
  const client = await authenticateClient(request, form, parts.store.clients);
  note({ client: client.id });
  const digest = digestOf(form.require('token'));
  form.get('token_type_hint');
  const { tokens } = parts.store;
  const proof = (await tokens.findRefresh(digest)) ?? (await tokens.findAccess(digest));
  if (proof !== undefined && proof.clientId === client.id) {
    await endGrant(proof.grantId, 'revoked', parts);
  }
  return new Response(null, { status: 200, headers: NO_STORE });
}
