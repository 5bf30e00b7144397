import type { AnyElysia } from 'elysia';
import type { LogFields } from '../base/log.ts';
import { exchangeCode } from './authorization-code.ts';
import { authenticateClient } from './client.ts';
import { logRefusal, programEndpoint } from './endpoint.ts';
import { OAuthError } from './errors.ts';
import { apiFormOf } from './parameters.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { TOKEN_DETAIL } from './reference/tokens.ts';
import { refreshGrant } from './refresh-token.ts';

/** The token endpoint (RFC 6749 section 3.2). */
export function tokenEndpoint(parts: AuthorizationServerParts): AnyElysia {
  return programEndpoint(parts, {
    paths: ['/oauth/token', '/token'],
    limit: 'token',
    detail: TOKEN_DETAIL,
    run: (request, note) => token(request, parts, note),
    onRefused(error, noted) {
      parts.metrics.tokensRefused.inc({ error: error.code });
      logRefusal(parts.log, 'token.refused', error, noted);
    },
  });
}

async function token(
  request: Request,
  parts: AuthorizationServerParts,
  note: (fields: LogFields) => void,
): Promise<Response> {
  const form = await apiFormOf(request);
  const client = await authenticateClient(request, form, parts.store.clients);
  note({ client: client.id });
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
