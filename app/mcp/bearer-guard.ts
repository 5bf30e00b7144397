import { Elysia } from 'elysia';
import { corsHeaders, originAllowed } from '../base/cors.ts';
import type { Log } from '../base/log.ts';
import { RPC_ERROR } from '../base/message.ts';
import { type RateLimits, TOO_MANY_REQUESTS } from '../base/rate-limits.ts';
import type { Result } from '../base/result.ts';
import type { BearerCheck, BearerGrant, BearerRefusal } from './bearer.ts';
import { rpcFailure, rpcRefusal } from './json-rpc-response.ts';
import type { Challenge, ChallengeError } from './www-authenticate.ts';

/**
 * Puts `grant` into the context of every route that follows it, before anything of the body is
 * read; a request without a good token never reaches a handler, whatever its method (RFC 6750, MCP
 * authorization). Behind it an `Origin` that is not allowed is refused (MCP transports, DNS
 * rebinding): in this order a client learns where to sign in from its very first request.
 *
 * Good tokens are counted by account, everything else by address. So a flood of bad ones keeps nobody
 * out who comes from the same address with a good one, as all users of a hosted client do.
 */
export function bearerGuard(options: {
  readonly check: BearerCheck;
  readonly challenge: Challenge;
  readonly origins: () => readonly string[];
  readonly rateLimits: RateLimits;
  readonly log: Log;
}) {
  return new Elysia()
    .derive({ as: 'scoped' }, async ({ request, status }) => {
      const refusal = (response: Response) =>
        status(response.status, withCors(response, request, options.origins()));
      try {
        const checked = await options.check(request.headers);
        const retryAfterS = await countedBeyond(checked, request, options.rateLimits);
        if (retryAfterS !== undefined) return refusal(tooManyRequests(retryAfterS));
        if (checked.ok) return { grant: checked.value };
        return refusal(refusalResponse(checked.error, options.challenge));
      } catch (error) {
        return refusal(rpcFailure(error, null, options.log));
      }
    })
    .onBeforeHandle({ as: 'scoped' }, ({ request }) => {
      if (originAllowed(request.headers.get('origin'), options.origins())) return undefined;
      return withCors(
        rpcRefusal({
          status: 403,
          id: null,
          code: RPC_ERROR.invalidRequest,
          message: 'requests from this origin are not allowed',
        }),
        request,
        options.origins(),
      );
    });
}

function countedBeyond(
  checked: Result<BearerGrant, BearerRefusal>,
  request: Request,
  limits: RateLimits,
): Promise<number | undefined> {
  return checked.ok
    ? limits.byAccount('account_mcp', checked.value.accountId)
    : limits.byAddress('unauthorized', request);
}

/** 429 (RFC 6585 section 4); the body that would say which request it was is not read. */
function tooManyRequests(retryAfterS: number): Response {
  return rpcRefusal({
    status: 429,
    id: null,
    code: RPC_ERROR.connectionClosed,
    message: TOO_MANY_REQUESTS,
    headers: { 'retry-after': String(retryAfterS) },
  });
}

/** Lets the scripts of an allowed origin read an answer of ours; errors too, or they see nothing. */
export function withCors(
  response: Response,
  request: Request,
  origins: readonly string[],
): Response {
  const headers = corsHeaders(request.headers.get('origin'), origins);
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}

/** The answer to a bearer refusal (RFC 6750 section 3.1). */
export function refusalResponse(reason: BearerRefusal, challenge: Challenge): Response {
  const error = challengeError(reason);
  return rpcRefusal({
    status: statusOf(error),
    id: null,
    code: RPC_ERROR.invalidRequest,
    message: error?.description ?? 'sign in to use this resource',
    headers: { 'www-authenticate': challenge(error) },
  });
}

/** RFC 6750 section 3.1. */
function statusOf(error: ChallengeError | undefined): number {
  switch (error?.code) {
    case 'invalid_request':
      return 400;
    case 'insufficient_scope':
      return 403;
    case 'invalid_token':
    case undefined:
      return 401;
  }
}

/** What the client is told; only whoever holds the token learns this. */
function challengeError(reason: BearerRefusal): ChallengeError | undefined {
  const invalidToken = (description: string) => ({ code: 'invalid_token', description }) as const;
  switch (reason) {
    case 'missing':
      return undefined;
    case 'malformed':
      return {
        code: 'invalid_request',
        description: 'one Authorization header with one Bearer token is expected',
      };
    case 'unknown':
      return invalidToken('the access token is not known here');
    case 'expired':
      return invalidToken('the access token has expired');
    case 'ended':
      return invalidToken('the access was revoked');
    case 'account':
      return SIGN_IN_AGAIN;
    case 'other_resource':
      return invalidToken('the access token was issued for another resource');
    case 'no_scope':
      return {
        code: 'insufficient_scope',
        description: 'the access token allows nothing of this resource',
      };
  }
}

/** The person's sign-in at the forge does not hold any more; only a new one helps (B7). */
export const SIGN_IN_AGAIN: ChallengeError = {
  code: 'invalid_token',
  description: 'sign in to Forgejo again',
};
