import {
  Elysia,
  ElysiaStatus,
  InvalidCookieSignature,
  InvalidFileType,
  NotFoundError,
  ParseError,
  ValidationError,
} from 'elysia';
import type { Log } from '../base/log.ts';
import { errorText, RPC_ERROR } from '../base/message.ts';

/** What a client or a person is told. Nothing of it comes from the error. */
export interface Problem {
  readonly status: 400 | 404 | 500 | 503;
  readonly title: string;
  readonly detail: string;
  /** OAuth's error code (RFC 6749 sections 4.1.2.1 and 5.2), which clients of these routes know. */
  readonly oauthCode: string;
  readonly rpcCode: number;
}

export interface ErrorBoundaryOptions {
  readonly log: Log;
  /** Names what failed when the store did (full disk, busy, broken): that is 503, not 500. */
  readonly storeFailure: (error: unknown) => string | undefined;
  /** The page for a browser that opened an address. */
  readonly renderErrorPage: (problem: Problem) => Response;
}

/**
 * Turns whatever a route lets escape into an answer without its detail: Elysia alone would send the
 * error's message to the client. Mount it first; it covers every route mounted later and unknown
 * paths. A parent's hook runs before a plugin's own, so an expected error must carry its answer: one
 * with a `toResponse()` of its own passes unchanged, and so do a thrown `status()` and `Response`.
 */
export function errorBoundary(options: ErrorBoundaryOptions) {
  return (
    new Elysia({ name: 'error-boundary' })
      // What Elysia's own error path cannot take (a thrown `undefined`) would reach Bun's error page.
      .wrap((handle) => async (request: Request) => {
        try {
          return await handle(request);
        } catch (error) {
          return answer(error, request, 'other', options);
        }
      })
      .onError({ as: 'global' }, ({ error, request, route }) =>
        isAnswer(error) ? undefined : answer(error, request, route ?? 'other', options),
      )
  );
}

const BAD_REQUEST: Problem = {
  status: 400,
  title: 'This request cannot be read',
  detail: 'the request cannot be read',
  oauthCode: 'invalid_request',
  rpcCode: RPC_ERROR.invalidRequest,
};
const NOT_FOUND: Problem = {
  status: 404,
  title: 'There is nothing here',
  detail: 'there is nothing at this address',
  oauthCode: 'not_found',
  rpcCode: RPC_ERROR.invalidRequest,
};
const UNAVAILABLE: Problem = {
  status: 503,
  title: 'Please try again in a moment',
  detail: 'the broker cannot store anything at the moment',
  oauthCode: 'temporarily_unavailable',
  rpcCode: RPC_ERROR.connectionClosed,
};
const FAILED: Problem = {
  status: 500,
  title: 'Something went wrong here',
  detail: 'the broker failed; its log says why',
  oauthCode: 'server_error',
  rpcCode: RPC_ERROR.internalError,
};

const RETRY_AFTER_S = '5';

function answer(
  error: unknown,
  request: Request,
  route: string,
  options: ErrorBoundaryOptions,
): Response {
  const store = options.storeFailure(error);
  const problem = store === undefined ? problemOf(error) : UNAVAILABLE;
  const where = { method: request.method, route };
  if (problem === FAILED) options.log.error('request.failed', { ...where, err: error });
  if (problem === UNAVAILABLE) {
    options.log.warn('request.unavailable', { ...where, store, err: error });
  }
  const response = render(problem, request, options);
  if (problem === UNAVAILABLE) response.headers.set('retry-after', RETRY_AFTER_S);
  return response;
}

/** Elysia's own errors by their class: the `code` of any other error may say anything. */
function problemOf(error: unknown): Problem {
  if (error instanceof NotFoundError) return NOT_FOUND;
  return error instanceof ParseError ||
    error instanceof ValidationError ||
    error instanceof InvalidCookieSignature ||
    error instanceof InvalidFileType
    ? BAD_REQUEST
    : FAILED;
}

/** An expected error that already is, or brings, what the client gets. */
function isAnswer(error: unknown): boolean {
  if (error instanceof Response || error instanceof ElysiaStatus) return true;
  // Elysia's own errors have a `toResponse` too, which repeats what the client sent.
  if (typeof error !== 'object' || error === null || problemOf(error) !== FAILED) return false;
  return 'toResponse' in error && typeof error.toResponse === 'function';
}

/** `/mcp` speaks JSON-RPC, a browser that navigates gets a page, everything else OAuth's JSON. */
function render(problem: Problem, request: Request, options: ErrorBoundaryOptions): Response {
  const path = URL.canParse(request.url) ? new URL(request.url).pathname : '/';
  const init = {
    status: problem.status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  };
  if (path === '/mcp') return new Response(errorText(null, problem.rpcCode, problem.detail), init);
  // Discovery documents are JSON or absent; a page there reads as a login wall (spec rule D7).
  const isPage = !path.startsWith('/.well-known/') && acceptsPage(request);
  if (isPage) return options.renderErrorPage(problem);
  const body = { error: problem.oauthCode, error_description: problem.detail };
  return new Response(JSON.stringify(body), init);
}

function acceptsPage(request: Request): boolean {
  return request.headers.get('accept')?.includes('text/html') === true;
}
