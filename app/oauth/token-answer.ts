import { digestOf, newToken, type Random } from '../base/secret.ts';
import type { NewAccessToken } from '../store/tokens.ts';
import { NO_STORE } from './errors.ts';

/** An access token before it is given out, and what the store keeps of it. */
export interface FreshAccessToken {
  readonly token: string;
  readonly row: NewAccessToken;
}

/** 256 bit; the prefix lets secret scanners and our own log recognise it. */
export function newAccessToken(random: Random, scope: string, expiresAt: number): FreshAccessToken {
  const token = `fjmcp_at_${newToken(random)}`;
  return { token, row: { digest: digestOf(token), expiresAt, scope } };
}

/** The first refresh token of a grant; those that follow are derived from it. */
export function newRefreshToken(random: Random): string {
  return refreshTokenOf(newToken(random));
}

/** A refresh token out of its 43 random or derived characters. */
export function refreshTokenOf(value: string): string {
  return `fjmcp_rt_${value}`;
}

/** RFC 6749 section 5.1; `scope` always, since it may be less than what was asked for. */
export function tokenResponse(answer: {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly expiresInMs: number;
  readonly scope: string;
}): Response {
  return Response.json(
    {
      access_token: answer.accessToken,
      token_type: 'Bearer',
      expires_in: Math.floor(answer.expiresInMs / 1000),
      refresh_token: answer.refreshToken,
      scope: answer.scope,
    },
    { headers: NO_STORE },
  );
}
