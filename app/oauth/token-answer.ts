import { digestOf, newToken } from '../base/secret.ts';
import type { TokenAnswerRow } from '../store/tokens.ts';
import { NO_STORE } from './errors.ts';
import type { AuthorizationServerParts } from './parts.ts';

type AnswerParts = Pick<
  AuthorizationServerParts,
  'random' | 'clock' | 'log' | 'metrics' | 'accessTokenTtlMs' | 'refreshTokenTtlMs'
>;

/** What a pair of tokens is given out for. */
interface Occasion {
  readonly grantType: keyof typeof NAMED_IN_LOG;
  readonly grantId: string;
  readonly clientId: string;
}

const NAMED_IN_LOG = { authorization_code: 'code', refresh_token: 'refresh' } as const;

/** Two tokens that nobody has yet. */
export interface FreshTokens {
  /** What the store keeps of them. */
  readonly rows: TokenAnswerRow;
  /** Gives them out, once they are stored (RFC 6749 section 5.1). */
  answer(occasion: Occasion): Response;
}

/**
 * An access token of 256 bit and a refresh token out of its 43 characters: random ones for the first
 * of a grant, derived ones with the id of their key for those that follow. The prefixes let secret
 * scanners and our own log recognise them.
 */
export function freshTokens(
  refresh: { readonly token: string; readonly keyId: string | null },
  scope: string,
  parts: AnswerParts,
): FreshTokens {
  const { accessTokenTtlMs, refreshTokenTtlMs, log, metrics } = parts;
  const now = parts.clock.now();
  const accessToken = `fjmcp_at_${newToken(parts.random)}`;
  const refreshToken = `fjmcp_rt_${refresh.token}`;
  return {
    rows: {
      access: { digest: digestOf(accessToken), expiresAt: now + accessTokenTtlMs, scope },
      refresh: {
        digest: digestOf(refreshToken),
        expiresAt: now + refreshTokenTtlMs,
        keyId: refresh.keyId,
      },
    },
    answer({ grantType, grantId, clientId }) {
      metrics.tokensIssued.inc({ grant_type: grantType });
      log.info('token.issued', { grant: grantId, client: clientId, by: NAMED_IN_LOG[grantType] });
      const body = {
        access_token: accessToken,
        token_type: 'Bearer',
        expires_in: Math.floor(accessTokenTtlMs / 1000),
        refresh_token: refreshToken,
        // Always, since it may be less than what was asked for.
        scope,
      };
      return Response.json(body, { headers: NO_STORE });
    },
  };
}
