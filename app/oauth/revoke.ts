import { type AnyElysia, Elysia } from 'elysia';
import { preflightResponse } from '../base/cors.ts';
import { methodNotAllowed } from '../base/method-not-allowed.ts';
import { digestOf } from '../base/secret.ts';
import { authenticateClient } from './client.ts';
import { answerProgram, logRefusal } from './endpoint.ts';
import { NO_STORE } from './errors.ts';
import { endGrant } from './grant.ts';
import { apiFormOf } from './parameters.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { REVOKE_DETAIL } from './reference/tokens.ts';

/** The revocation endpoint (RFC 7009). */
export function revocationEndpoint(parts: AuthorizationServerParts): AnyElysia {
  const app = new Elysia();
  const origins = [parts.publicOrigin, ...parts.allowedOrigins];
  for (const path of ['/oauth/revoke', '/revoke']) {
    app
      .post(
        path,
        ({ request }) =>
          answerProgram(request, {
            cors: origins,
            run: () => revoke(request, parts),
            onRefused: (error) => logRefusal(parts.log, 'revocation.refused', error),
          }),
        { parse: 'none', detail: REVOKE_DETAIL },
      )
      .options(
        path,
        ({ request }) => preflightResponse(request.headers.get('origin'), origins, ALLOWED),
        { detail: { hide: true } },
      );
    methodNotAllowed(app, path, ALLOWED);
  }
  return app;
}

const ALLOWED = ['POST', 'OPTIONS'] as const;

/**
 * Either token ends its whole grant (RFC 7009 section 2.1 allows it for an access token): a client
 * that revokes has no more use for the connection, and a refresh token left behind would be one
 * that nobody remembers. The hint is only a hint, so both kinds are looked for. Unknown tokens and
 * those of other clients get the same 200, and nothing happens.
 */
async function revoke(request: Request, parts: AuthorizationServerParts): Promise<Response> {
  const form = await apiFormOf(request);
  const client = await authenticateClient(request, form, parts.store.clients);
  const digest = digestOf(form.require('token'));
  form.get('token_type_hint');
  const { tokens } = parts.store;
  const proof = (await tokens.findRefresh(digest)) ?? (await tokens.findAccess(digest));
  if (proof !== undefined && proof.clientId === client.id) {
    await endGrant(proof.grantId, 'revoked', parts);
  }
  return new Response(null, { status: 200, headers: NO_STORE });
}
