import type { AnyElysia } from 'elysia';
import { type CorsPolicy, corsHeaders } from './cors.ts';

export type HttpMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';

/**
 * Answers every method that has no route of its own at `path` with 405 and `Allow` (RFC 9110
 * section 15.5.6); Elysia alone says 404. Call it after the path's real routes. HEAD is answered by
 * a GET route, so name it in `allowed` beside GET. The body is RFC 6749's error shape, which every
 * client of these endpoints reads; a path with another shape gives its own `refuse`.
 */
export function methodNotAllowed<App extends AnyElysia>(
  app: App,
  path: string,
  allowed: readonly HttpMethod[],
  refuse: (request: Request) => Response = () => oauthRefusal(),
): App {
  app.all(
    path,
    ({ request }) => {
      const response = refuse(request);
      response.headers.set('allow', allowed.join(', '));
      return response;
    },
    // A guessed method has no place in the API reference; its body is not worth reading.
    { parse: 'none', detail: { hide: true } },
  );
  return app;
}

/** The same refusal where other answers of the path can be read by scripts of these origins. */
export function readableRefusal(policy: () => CorsPolicy): (request: Request) => Response {
  return (request) => oauthRefusal(corsHeaders(request.headers.get('origin'), policy()));
}

function oauthRefusal(headers: Readonly<Record<string, string>> = {}): Response {
  return Response.json(
    { error: 'invalid_request', error_description: 'this method is not allowed here' },
    { status: 405, headers: { 'cache-control': 'no-store', ...headers } },
  );
}
