import { Elysia } from 'elysia';
import { corsHeaders, preflightResponse } from '../base/cors.ts';
import { methodNotAllowed, readableRefusal } from '../base/method-not-allowed.ts';

/** Where RFC 9728 section 3.1 puts the metadata of a resource with the path `/mcp`. */
export const RESOURCE_METADATA_PATH = '/.well-known/oauth-protected-resource/mcp';

/** The form without the path, where several clients look when they know only the origin. */
const ROOT_METADATA_PATH = '/.well-known/oauth-protected-resource';

const METHODS = ['GET', 'HEAD', 'OPTIONS'] as const;

/**
 * Serves the protected resource metadata (RFC 9728 section 2), public and readable for browser
 * clients. It is built from the configuration alone: a `Host` header has no say in it,
 * and `resource` stays byte for byte what the person typed into the client (section 3.3).
 */
export function resourceMetadata(options: {
  readonly publicOrigin: string;
  /** What a connection usually needs; asked at every request. */
  readonly scopes: () => readonly string[];
}) {
  const text = () =>
    JSON.stringify({
      resource: `${options.publicOrigin}/mcp`,
      authorization_servers: [options.publicOrigin],
      // Not everything that there is: clients ask for all that stands here (MCP, scope minimization).
      scopes_supported: options.scopes(),
      bearer_methods_supported: ['header'],
      resource_name: 'forgejo-mcp-broker',
      resource_documentation: `${options.publicOrigin}/docs`,
    });
  const app = new Elysia();
  for (const path of [RESOURCE_METADATA_PATH, ROOT_METADATA_PATH]) {
    app
      .get(path, () => new Response(text(), { headers: HEADERS }), { detail: DETAIL })
      .options(path, ({ request }) => preflight(request), { detail: { hide: true } });
    methodNotAllowed(
      app,
      path,
      METHODS,
      readableRefusal(() => 'public'),
    );
  }
  return app;
}

function preflight(request: Request): Response {
  return preflightResponse(request.headers.get('origin'), 'public', METHODS);
}

const HEADERS = {
  'content-type': 'application/json',
  'cache-control': 'public, max-age=300',
  ...corsHeaders(null, 'public'),
};

const DETAIL = {
  summary: 'Protected resource metadata (RFC 9728)',
  description:
    'Names the authorization server and the scopes that are usually needed. Clients find it from the challenge of ' +
    'a 401, or by its well-known path; both paths answer the same document.',
  tags: ['Discovery'],
  responses: {
    200: {
      description: 'The metadata document.',
      content: {
        'application/json': {
          schema: {
            type: 'object' as const,
            required: ['resource', 'authorization_servers'],
            properties: {
              resource: { type: 'string' as const, format: 'uri' },
              authorization_servers: {
                type: 'array' as const,
                items: { type: 'string' as const, format: 'uri' },
              },
              scopes_supported: { type: 'array' as const, items: { type: 'string' as const } },
              bearer_methods_supported: {
                type: 'array' as const,
                items: { type: 'string' as const },
              },
              resource_name: { type: 'string' as const },
              resource_documentation: { type: 'string' as const, format: 'uri' },
            },
          },
        },
      },
    },
  },
};
