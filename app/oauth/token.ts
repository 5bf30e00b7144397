import { type AnyElysia, Elysia } from 'elysia';
import { preflightResponse } from '../base/cors.ts';
import { methodNotAllowed } from '../base/method-not-allowed.ts';
import { exchangeCode } from './authorization-code.ts';
import { authenticateClient } from './client.ts';
import { answerProgram, logRefusal } from './endpoint.ts';
import { OAuthError } from './errors.ts';
import { apiFormOf } from './parameters.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { TOKEN_DETAIL } from './reference/tokens.ts';
import { refreshGrant } from './refresh-token.ts';

/** The token endpoint (RFC 6749 section 3.2). */
export function tokenEndpoint(parts: AuthorizationServerParts): AnyElysia {
  const app = new Elysia();
  const origins = [parts.publicOrigin, ...parts.allowedOrigins];
  for (const path of ['/oauth/token', '/token']) {
    app
      .post(
        path,
        ({ request }) =>
          answerProgram(request, {
            cors: origins,
            run: () => token(request, parts),
            onRefused(error) {
              parts.metrics.tokensRefused.inc({ error: error.code });
              logRefusal(parts.log, 'token.refused', error);
            },
          }),
        { parse: 'none', detail: TOKEN_DETAIL },
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

async function token(request: Request, parts: AuthorizationServerParts): Promise<Response> {
  const form = await apiFormOf(request);
  const client = await authenticateClient(request, form, parts.store.clients);
  const grantType = form.require('grant_type');
  switch (grantType) {
    case 'authorization_code':
      return exchangeCode(client, form, parts);
    case 'refresh_token':
      return refreshGrant(client, form, parts);
    default:
      throw new OAuthError('unsupported_grant_type', 'this grant type is not supported');
  }
}
