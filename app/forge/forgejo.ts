import { CodeChallengeMethod, OAuth2Client, OAuth2Tokens } from 'arctic';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { ok, type Result } from '../base/result.ts';
import { Secret } from '../base/secret.ts';
import type { BoundedAnswer, BoundedFetch, BoundedRequest } from './bounded-fetch.ts';
import type { Forge, ForgeFailure, ForgeRefusal, ForgeTokens } from './forge.ts';
import { failure, fetchFailure, readTokenAnswer, readUser, readVersion } from './forgejo-answer.ts';

/**
 * The hard end of a token call. It is long, because an answer that is given up may have rotated
 * the tokens; who waits for it is freed much sooner (`AccountTokens`).
 */
export const TOKEN_CALL_MAX_MS = 60_000;
/** The end of a call that changes nothing and can be repeated. */
export const API_CALL_MAX_MS = 10_000;

export interface ForgejoOptions {
  /** As people's browsers see it; no trailing slash, a path prefix is allowed. */
  readonly url: string;
  /** As the broker reaches it; every call goes there. */
  readonly internalUrl: string;
  readonly clientId: string;
  readonly clientSecret: Secret;
  /** None at all would mean full access to Forgejo. */
  readonly scopes: readonly string[];
  /** The broker's own callback, as registered in Forgejo's application. */
  readonly redirectUri: string;
  /** For refresh tokens that do not tell their own expiry. */
  readonly refreshTokenTtlMs: number;
  readonly fetch: BoundedFetch;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** Forgejo as an OAuth2 provider; arctic builds the URL and reads token answers, calls are ours. */
export function createForgejo(options: ForgejoOptions): Forge {
  const { url, internalUrl, clientId, redirectUri, clock } = options;
  const client = new OAuth2Client(clientId, null, redirectUri);
  const call = callForge(options);
  const tokenCall = async (name: string, fields: Record<string, string>) => {
    // Counted from before the call: the life of a token begins at the forge, not on arrival.
    const askedAt = clock.now();
    const form = new URLSearchParams({
      ...fields,
      client_id: clientId,
      client_secret: options.clientSecret.reveal(),
    });
    const request: BoundedRequest = {
      method: 'POST',
      url: `${internalUrl}/login/oauth/access_token`,
      headers: {},
      form,
      timeoutMs: TOKEN_CALL_MAX_MS,
    };
    return call(name, request, (answer) => {
      const body = readTokenAnswer(answer);
      return body.ok ? toTokens(body.value, askedAt, options.refreshTokenTtlMs) : body;
    });
  };

  return {
    authorizationUrl: ({ state, codeVerifier }) =>
      client.createAuthorizationURLWithPKCE(
        `${url}/login/oauth/authorize`,
        state,
        CodeChallengeMethod.S256,
        codeVerifier,
        [...options.scopes],
      ),
    exchangeCode: (code, codeVerifier) =>
      tokenCall('exchange', {
        grant_type: 'authorization_code',
        code: code.reveal(),
        code_verifier: codeVerifier,
        redirect_uri: redirectUri,
      }),
    refresh: (refreshToken) =>
      tokenCall('refresh', {
        grant_type: 'refresh_token',
        refresh_token: refreshToken.reveal(),
      }),
    user: (accessToken) => call('user', apiRequest(internalUrl, '/user', accessToken), readUser),
    version: () => call('version', apiRequest(internalUrl, '/version'), readVersion),
  };
}

function apiRequest(internalUrl: string, path: string, token?: Secret): BoundedRequest {
  return {
    method: 'GET',
    url: `${internalUrl}/api/v1${path}`,
    headers: token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` },
    timeoutMs: API_CALL_MAX_MS,
  };
}

/** One call with its count, its duration and, when it fails, its line in the log. */
function callForge({ fetch, clock, metrics, log }: ForgejoOptions) {
  return async <T, F extends ForgeFailure | ForgeRefusal>(
    name: string,
    request: BoundedRequest,
    read: (answer: BoundedAnswer) => Result<T, F>,
  ): Promise<Result<T, F | ForgeFailure>> => {
    const startedAt = clock.now();
    const answer = await fetch(request);
    const result = answer.ok ? read(answer.value) : fetchFailure(answer.error);
    metrics.forgeCallSeconds.observe({ call: name }, (clock.now() - startedAt) / 1000);
    metrics.forgeCalls.inc({ call: name, outcome: result.ok ? 'ok' : result.error.kind });
    if (!result.ok) report(log, name, result.error);
    return result;
  };
}

function report(log: Log, call: string, error: ForgeFailure | ForgeRefusal): void {
  switch (error.kind) {
    case 'misconfigured':
      // Nobody can sign in until the admin has read this.
      log.error('forge.misconfigured', { call, detail: error.detail });
      return;
    case 'try_later':
      log.warn('forge.unavailable', { call, detail: error.detail });
      return;
    case 'sign_in_again':
      log.info('forge.token_refused', { call, detail: error.detail });
      return;
    case 'refused':
      log.info('forge.user_refused', { call, reason: error.reason });
      return;
  }
}

/** RFC 6749 section 5.1 only recommends `expires_in`; this is Forgejo's default. */
const DEFAULT_ACCESS_TTL_MS = 3_600_000;

function toTokens(
  body: object,
  askedAt: number,
  refreshTokenTtlMs: number,
): Result<ForgeTokens, ForgeFailure> {
  const tokens = new OAuth2Tokens(body);
  const access = read(() => tokens.accessToken());
  if (access === undefined || access === '') {
    return failure('misconfigured', 'the token answer has no access token');
  }
  // Forgejo writes `bearer`; the value is case insensitive (RFC 6749 section 5.1).
  if (read(() => tokens.tokenType())?.toLowerCase() !== 'bearer') {
    return failure('misconfigured', 'the token answer is not of the type bearer');
  }
  const refresh = tokens.hasRefreshToken() ? tokens.refreshToken() : '';
  const expiresInS = read(() => tokens.accessTokenExpiresInSeconds()) ?? 0;
  const accessExpiresAt =
    timeAhead(askedAt + expiresInS * 1000, askedAt) ??
    jwtExpiry(access, askedAt) ??
    askedAt + DEFAULT_ACCESS_TTL_MS;
  return ok({
    accessToken: new Secret(access),
    refreshToken: refresh === '' ? null : new Secret(refresh),
    accessExpiresAt,
    refreshExpiresAt:
      refresh === '' ? null : (jwtExpiry(refresh, askedAt) ?? askedAt + refreshTokenTtlMs),
  });
}

/** arctic throws for a field that is missing or of another type. */
function read<T>(get: () => T): T | undefined {
  try {
    return get();
  } catch {
    return undefined;
  }
}

/**
 * The `exp` of a JWT (RFC 7519 section 4.1.4) in epoch milliseconds, if it lies ahead. The signature
 * is not checked: it only plans a renewal, and nothing is let in by it.
 */
function jwtExpiry(token: string, now: number): number | undefined {
  const claims = read(() => {
    const part = token.split('.')[1] ?? '';
    return JSON.parse(Buffer.from(part, 'base64url').toString()) as { exp?: unknown } | null;
  });
  return typeof claims?.exp === 'number' ? timeAhead(claims.exp * 1000, now) : undefined;
}

/** Whole milliseconds, if they name a moment to come that a number can hold. */
function timeAhead(ms: number, now: number): number | undefined {
  const whole = Math.trunc(ms);
  return Number.isSafeInteger(whole) && whole > now ? whole : undefined;
}
