import { type AnyElysia, Elysia } from 'elysia';
import { methodNotAllowed } from '../base/method-not-allowed.ts';
import { ASSETS, type AssetName, assetResponse, docsPage } from './api-reference-page.ts';
import { type OpenApiDocument, toOpenApi30 } from './openapi-document.ts';

export interface ApiReferenceOptions {
  /** Gives an instance with every public route; only its declarations are read. */
  readonly routes: () => AnyElysia;
  readonly publicOrigin: string;
  readonly version: string;
}

const DOCS_PATH = '/docs';
const DOCUMENT_PATH = '/docs/openapi.json';
const ASSETS_PATH = '/docs/assets';

/**
 * `/docs`: the API reference as a page, and `/docs/openapi.json`: the document that it shows (OpenAPI
 * 3.0.3). The document is made once, when it is first asked for, from the declarations of the routes,
 * so it cannot name one that does not exist. The page loads nothing from elsewhere and sends no
 * requests of its own.
 */
export function apiReference(options: ApiReferenceOptions): AnyElysia {
  let document: Promise<string> | undefined;
  const describe = async (): Promise<string> => {
    const declared = [options.routes(), docsRoutes(describe)];
    return JSON.stringify(await describeRoutes(declared, options));
  };
  return docsRoutes(() => {
    document ??= describe();
    return document;
  });
}

function docsRoutes(document: () => Promise<string>) {
  const app = new Elysia({ name: 'api-reference' })
    .get(DOCS_PATH, () => docsPage(DOCUMENT_PATH, ASSETS_PATH), {
      detail: {
        tags: ['Reference'],
        summary: 'This page',
        responses: {
          200: {
            description: 'The API reference.',
            content: { 'text/html': { schema: { type: 'string' } } },
          },
        },
      },
    })
    .get(
      DOCUMENT_PATH,
      async () => {
        const headers = { 'content-type': 'application/json', ...NOSNIFF };
        return new Response(await document(), { headers });
      },
      {
        detail: {
          tags: ['Reference'],
          summary: 'This document',
          responses: {
            200: {
              description: 'The OpenAPI document.',
              content: { 'application/json': { schema: { type: 'object' } } },
            },
          },
        },
      },
    );
  methodNotAllowed(app, DOCS_PATH, ['GET', 'HEAD']);
  methodNotAllowed(app, DOCUMENT_PATH, ['GET', 'HEAD']);
  // A route for each file: no path of a request ever becomes the name of a file.
  for (const name of Object.keys(ASSETS) as AssetName[]) {
    const path = `${ASSETS_PATH}/${name}`;
    app.get(path, () => assetResponse(name), { detail: { hide: true } });
    methodNotAllowed(app, path, ['GET', 'HEAD']);
  }
  return app;
}

const NOSNIFF = { 'x-content-type-options': 'nosniff' };

/**
 * The document, from an instance that never listens and whose handlers do nothing: mounting the real
 * plugins would tie them to that instance.
 */
async function describeRoutes(
  declared: readonly AnyElysia[],
  options: ApiReferenceOptions,
): Promise<OpenApiDocument> {
  // Most brokers are never asked for it, and the package takes 5 MB.
  const { swagger } = await import('@elysiajs/swagger');
  const mirror = new Elysia().use(
    swagger({
      path: '/page',
      specPath: '/document',
      // Everything with a dot counts as a file there, also the discovery documents.
      excludeStaticFile: false,
      documentation: {
        info: {
          title: 'forgejo-mcp-broker',
          version: options.version,
          description:
            'OAuth 2.1 authorization server and MCP endpoint beside a Forgejo. A client needs the ' +
            'address of `/mcp` alone; everything else is discovered from there.',
          license: { name: 'MIT' },
        },
        servers: [{ url: options.publicOrigin }],
      },
    }),
  );
  for (const { method, path, hooks } of declared.flatMap(({ routes }) => routes)) {
    const { detail, body, query, params, headers, response } = hooks;
    mirror.route(method, path, () => undefined, {
      ...{ detail, body, query, params, headers, response },
    });
  }
  const answer = await mirror.handle(new Request('http://localhost/document'));
  return toOpenApi30(await answer.json());
}
