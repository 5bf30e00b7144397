import { type AnyElysia, Elysia } from 'elysia';
import { corsHeaders, preflightResponse } from '../base/cors.ts';
import { methodNotAllowed, readableRefusal } from '../base/method-not-allowed.ts';
import type { ScopeLimits } from '../tools/scope-limits.ts';
import { SCOPE_MEANING, scopesUpTo } from '../tools/scopes.ts';
import { CLIENT_AUTH_METHODS } from './client.ts';
import { METADATA_DETAIL } from './reference/discovery.ts';
import { resourceOf } from './resource.ts';

const METADATA_PATH = '/.well-known/oauth-authorization-server';

interface MetadataParts {
  readonly publicOrigin: string;
  readonly scopes: ScopeLimits;
}

/**
 * Authorization server metadata (RFC 8414 section 2), made of the configured public URL alone: a
 * Host header or a forwarded one must never decide where clients send their codes.
 */
export function authorizationServerMetadata({ publicOrigin, scopes }: MetadataParts) {
  return {
    issuer: publicOrigin,
    authorization_endpoint: `${publicOrigin}/oauth/authorize`,
    token_endpoint: `${publicOrigin}/oauth/token`,
    registration_endpoint: `${publicOrigin}/oauth/register`,
    revocation_endpoint: `${publicOrigin}/oauth/revoke`,
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_methods_supported: CLIENT_AUTH_METHODS,
    revocation_endpoint_auth_methods_supported: CLIENT_AUTH_METHODS,
    code_challenge_methods_supported: ['S256'],
    // Not everything that there is (RFC 8414 section 2 allows it): some clients ask for the whole
    // list. The larger scopes are named when something needs them, in the challenge.
    scopes_supported: [...scopesUpTo(scopes.default()), 'offline_access'],
    // Section 2 leaves room for more: what each scope that may be granted really allows.
    scope_descriptions: Object.fromEntries(
      scopesUpTo(scopes.max()).map((scope) => [scope, SCOPE_MEANING[scope]]),
    ),
    authorization_response_iss_parameter_supported: true,
    protected_resources: [resourceOf(publicOrigin)],
    service_documentation: `${publicOrigin}/docs`,
  };
}

/**
 * Discovery (RFC 8414 section 3). Every other well-known document is a plain 404: clients try many
 * of them, and anything but a 404 (a page, a 401) stops them from trying the next.
 */
export function metadataEndpoint(parts: MetadataParts): AnyElysia {
  const app = new Elysia()
    .get(
      METADATA_PATH,
      () =>
        Response.json(authorizationServerMetadata(parts), {
          headers: { ...corsHeaders(null, 'public'), 'cache-control': 'public, max-age=300' },
        }),
      { detail: METADATA_DETAIL },
    )
    .options(METADATA_PATH, ({ request }) => preflight(request), { detail: { hide: true } });
  methodNotAllowed(
    app,
    METADATA_PATH,
    ALLOWED,
    readableRefusal(() => 'public'),
  );
  return app
    .options('/.well-known/*', ({ request }) => preflight(request), { detail: { hide: true } })
    .all('/.well-known/*', () => notFound(), { parse: 'none', detail: { hide: true } });
}

const ALLOWED = ['GET', 'HEAD', 'OPTIONS'] as const;

function preflight(request: Request): Response {
  return preflightResponse(request.headers.get('origin'), 'public', ALLOWED);
}

function notFound(): Response {
  return Response.json(
    { error: 'not_found', error_description: 'there is no such document here' },
    { status: 404, headers: { ...corsHeaders(null, 'public'), 'cache-control': 'no-store' } },
  );
}
