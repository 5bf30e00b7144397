import type { AnyElysia } from 'elysia';
import { type HttpMethod, methodNotAllowed } from '../base/method-not-allowed.ts';
import type { AddressLimit } from '../base/rate-limits.ts';
import { StoreError } from '../store/store-error.ts';
import { RETRY_AFTER_S } from './endpoint.ts';
import { OAuthError } from './errors.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { describeProblem, type Problem, ProblemError } from './problems.ts';

/**
 * Runs an endpoint that people's browsers talk to: whatever stands in the way becomes a page that
 * says what to do. `retryUrl` is offered when the store fails. A bug goes on to the error boundary.
 * What is beyond the limit of its address is neither looked at nor logged one by one.
 */
export async function answerPerson(
  parts: Pick<AuthorizationServerParts, 'pages' | 'log' | 'metrics' | 'rateLimits'>,
  o: {
    readonly request: Request;
    readonly limit: AddressLimit;
    readonly run: () => Promise<Response>;
    readonly retryUrl: string | null;
  },
): Promise<Response> {
  const retryAfterS = await parts.rateLimits.byAddress(o.limit, o.request);
  if (retryAfterS !== undefined) return problemPage({ kind: 'too_many', retryAfterS }, parts);
  try {
    return await o.run();
  } catch (error) {
    const problem = asProblem(error, o.retryUrl);
    const detail = error instanceof ProblemError ? error.detail : undefined;
    parts.metrics.authorizations.inc({ outcome: 'problem' });
    parts.log[logLevelOf(problem)]('authorization.problem', {
      problem: problem.kind,
      ...(detail === undefined ? {} : { detail }),
      ...(error instanceof StoreError ? { err: error } : {}),
    });
    return problemPage(problem, parts);
  }
}

/** The same for a GET route. Elysia runs it for HEAD too, which would do all for a page unseen. */
export async function answerGet(...[parts, o]: Parameters<typeof answerPerson>): Promise<Response> {
  return o.request.method === 'GET'
    ? answerPerson(parts, o)
    : new Response(null, { status: 405, headers: { allow: 'GET' } });
}

function problemPage(
  problem: Problem,
  { pages }: Pick<AuthorizationServerParts, 'pages'>,
): Response {
  const response = pages.problem(describeProblem(problem));
  const retryAfterS = problem.kind === 'too_many' ? problem.retryAfterS : RETRY_AFTER_S;
  // A successor answers within a second or two; the browser repeats the request as it was.
  if (problem.kind === 'moving') response.headers.set('refresh', '1');
  if (response.status === 503 || response.status === 429) {
    response.headers.set('retry-after', String(retryAfterS));
  }
  return response;
}

/** 405 as a page: a person who reloads, or opens an address of the history, sends GET. */
export function pageMethodNotAllowed<App extends AnyElysia>(
  app: App,
  path: string,
  allowed: readonly HttpMethod[],
  { pages }: Pick<AuthorizationServerParts, 'pages'>,
): App {
  return methodNotAllowed(app, path, allowed, () =>
    pages.problem(describeProblem({ kind: 'wrong_method' })),
  );
}

function asProblem(error: unknown, retryUrl: string | null): Problem {
  if (error instanceof ProblemError) return error.problem;
  if (error instanceof StoreError) return { kind: 'store_away', retryUrl };
  // A form of our own page never repeats a parameter or leaves one out.
  if (error instanceof OAuthError) return { kind: 'form_broken', status: 400 };
  throw error;
}

function logLevelOf({ kind }: Problem): 'error' | 'warn' | 'info' {
  if (kind === 'forge_misconfigured' || kind === 'store_away') return 'error';
  return kind === 'forge_away' || kind === 'form_foreign' || kind === 'other_browser'
    ? 'warn'
    : 'info';
}
