import { type AnyElysia, Elysia } from 'elysia';
import { authorizationEndpoint } from './authorize.ts';
import { callbackEndpoint } from './callback.ts';
import { confirmEndpoint } from './confirm.ts';
import { consentEndpoint } from './consent.ts';
import { metadataEndpoint } from './metadata.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { registrationEndpoint } from './register.ts';
import { revocationEndpoint } from './revoke.ts';
import { tokenEndpoint } from './token.ts';

/**
 * The OAuth 2.1 authorization server for MCP clients; it leaves the login itself to Forgejo. The
 * metadata names the endpoints under `/oauth`; `/register`, `/authorize`, `/token` and `/revoke`
 * are second doors to the same handlers, where some clients look whatever the metadata says.
 */
export function authorizationServer(parts: AuthorizationServerParts): AnyElysia {
  return new Elysia()
    .use(metadataEndpoint(parts))
    .use(registrationEndpoint(parts))
    .use(authorizationEndpoint(parts))
    .use(consentEndpoint(parts))
    .use(callbackEndpoint(parts))
    .use(confirmEndpoint(parts))
    .use(tokenEndpoint(parts))
    .use(revocationEndpoint(parts));
}
