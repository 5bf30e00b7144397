import { type AnyElysia, type DocumentDecoration, Elysia } from 'elysia';
import { corsHeaders, preflightResponse } from '../base/cors.ts';
import type { Log, LogFields } from '../base/log.ts';
import { methodNotAllowed, readableRefusal } from '../base/method-not-allowed.ts';
import { type AddressLimit, TOO_MANY_REQUESTS } from '../base/rate-limits.ts';
import { StoreError } from '../store/store-error.ts';
import { errorResponse, OAuthError } from './errors.ts';
import type { AuthorizationServerParts } from './parts.ts';

/** Seconds after which a client may try again when the store or a limit stood in the way. */
export const RETRY_AFTER_S = 5;

/** What a program's endpoint is: the same at each of its paths. */
interface ProgramEndpoint {
  readonly paths: readonly string[];
  /** What its requests are counted for, before anything of them is read. */
  readonly limit: AddressLimit;
  readonly detail: DocumentDecoration;
  /** `note` keeps what is known by now of the request, for the log of a refusal. */
  readonly run: (request: Request, note: (fields: LogFields) => void) => Promise<Response>;
  /** Hears of each refusal. */
  readonly onRefused: (error: OAuthError, noted: LogFields) => void;
}

/**
 * Mounts a POST endpoint that programs talk to: an `OAuthError` becomes its RFC body, a store that
 * fails becomes 503, and every answer can be read by the scripts of the listed origins. Others are
 * not turned away, for some desktop clients send an origin of their own making and read no CORS
 * header; nothing here acts by a cookie. Anything else is a bug and goes on to the error boundary.
 */
export function programEndpoint(
  parts: Pick<AuthorizationServerParts, 'publicOrigin' | 'allowedOrigins' | 'rateLimits'>,
  endpoint: ProgramEndpoint,
): AnyElysia {
  const app = new Elysia();
  const origins = () => [parts.publicOrigin, ...parts.allowedOrigins()];
  for (const path of endpoint.paths) {
    app
      .post(path, ({ request }) => answerProgram(request, origins(), endpoint, parts), {
        parse: 'none',
        detail: endpoint.detail,
      })
      .options(
        path,
        ({ request }) => preflightResponse(request.headers.get('origin'), origins(), METHODS),
        { detail: { hide: true } },
      );
    methodNotAllowed(app, path, METHODS, readableRefusal(origins));
  }
  return app;
}

const METHODS = ['POST', 'OPTIONS'] as const;

async function answerProgram(
  request: Request,
  origins: readonly string[],
  endpoint: ProgramEndpoint,
  { rateLimits }: Pick<AuthorizationServerParts, 'rateLimits'>,
): Promise<Response> {
  let noted: LogFields = {};
  const note = (fields: LogFields) => {
    noted = { ...noted, ...fields };
  };
  const retryAfterS = await rateLimits.byAddress(endpoint.limit, request);
  const response =
    retryAfterS === undefined
      ? await runOrRefuse(
          () => endpoint.run(request, note),
          (error) => endpoint.onRefused(error, noted),
        )
      : errorResponse(tooManyRequests(retryAfterS));
  const headers = corsHeaders(request.headers.get('origin'), origins);
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}

async function runOrRefuse(
  run: () => Promise<Response>,
  onRefused: (error: OAuthError) => void,
): Promise<Response> {
  try {
    return await run();
  } catch (error) {
    const refusal = asOAuthError(error);
    onRefused(refusal);
    return errorResponse(refusal);
  }
}

/** The OAuth face of what was thrown; throws on what is neither a rule's nor the store's doing. */
function asOAuthError(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error;
  if (error instanceof StoreError) {
    return unavailable('the server cannot keep anything now', error.message, 'error');
  }
  throw error;
}

/** 503 with the time after which to try again (RFC 9110 section 10.2.3). */
export function unavailable(
  description: string,
  reason: string,
  logLevel: 'warn' | 'error' = 'warn',
): OAuthError {
  return new OAuthError('temporarily_unavailable', description, {
    reason,
    logLevel,
    headers: { 'retry-after': String(RETRY_AFTER_S) },
  });
}

/** 429 (RFC 6585 section 4), with the one code of RFC 6749 that says to come again. */
export function tooManyRequests(retryAfterS: number): OAuthError {
  return new OAuthError('temporarily_unavailable', TOO_MANY_REQUESTS, {
    status: 429,
    logLevel: 'info',
    headers: { 'retry-after': String(retryAfterS) },
  });
}

/** Writes a refusal to the log at the level of its code, with the whole reason. */
export function logRefusal(log: Log, event: string, error: OAuthError, fields: LogFields = {}) {
  log[error.logLevel](event, { error: error.code, reason: error.reason, ...fields });
}
