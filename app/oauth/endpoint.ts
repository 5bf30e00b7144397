import { type CorsPolicy, corsHeaders } from '../base/cors.ts';
import type { Log, LogFields } from '../base/log.ts';
import { StoreError } from '../store/store-error.ts';
import { errorResponse, OAuthError } from './errors.ts';

/** Seconds after which a client may try again when the store or a limit stood in the way. */
export const RETRY_AFTER_S = 5;

/**
 * Runs an endpoint that programs talk to: an `OAuthError` becomes its RFC body, a store that fails
 * becomes 503, and every answer can be read by the scripts of the listed origins. Others are not
 * turned away, for some desktop clients send an origin of their own making and read no CORS header;
 * nothing here acts by a cookie. `onRefused` hears of each error. Anything else is a bug and goes on
 * to the error boundary.
 */
export async function answerProgram(
  request: Request,
  o: {
    readonly cors: CorsPolicy;
    readonly run: () => Promise<Response>;
    readonly onRefused: (error: OAuthError) => void;
  },
): Promise<Response> {
  const origin = request.headers.get('origin');
  const response = await runOrRefuse(o.run, o.onRefused);
  for (const [name, value] of Object.entries(corsHeaders(origin, o.cors))) {
    response.headers.set(name, value);
  }
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

/** Writes a refusal to the log at the level of its code, with the whole reason. */
export function logRefusal(log: Log, event: string, error: OAuthError, fields: LogFields = {}) {
  log[error.logLevel](event, { error: error.code, reason: error.reason, ...fields });
}
