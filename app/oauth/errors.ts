interface CodeRow {
  readonly status: number;
  readonly logLevel: 'error' | 'warn' | 'info';
  /** An authorization request may go back to its client with this code. */
  readonly mayRedirect: boolean;
}

const row = (
  status: number,
  logLevel: CodeRow['logLevel'] = 'info',
  mayRedirect = false,
): CodeRow => ({ status, logLevel, mayRedirect });

/**
 * Every error code on the wire: RFC 6749 sections 4.1.2.1 and 5.2, RFC 7009 section 2.2.1,
 * RFC 7591 section 3.2.2, RFC 8707 section 2. A client that cannot prove itself and a grant that
 * does not hold may be an attack, so they are warnings.
 */
const CODES = {
  invalid_request: row(400, 'info', true),
  invalid_client: row(401, 'warn'),
  invalid_grant: row(400, 'warn'),
  unsupported_grant_type: row(400),
  unsupported_response_type: row(400, 'info', true),
  access_denied: row(403, 'info', true),
  temporarily_unavailable: row(503, 'warn', true),
  invalid_target: row(400, 'info', true),
  invalid_redirect_uri: row(400),
  invalid_client_metadata: row(400),
} as const satisfies Readonly<Record<string, CodeRow>>;

export type OAuthErrorCode = keyof typeof CODES;

/**
 * A request that is refused by a rule of OAuth. `description` goes to the wire, so it is a fixed
 * sentence that repeats nothing of the request; `reason` is the whole truth, for the log alone.
 */
export class OAuthError extends Error {
  override readonly name = 'OAuthError';
  readonly code: OAuthErrorCode;
  readonly status: number;
  readonly logLevel: CodeRow['logLevel'];
  readonly mayRedirect: boolean;
  readonly reason: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: OAuthErrorCode,
    description: string,
    options: {
      readonly reason?: string;
      readonly status?: number;
      readonly logLevel?: CodeRow['logLevel'];
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(description);
    this.code = code;
    this.status = options.status ?? CODES[code].status;
    this.logLevel = options.logLevel ?? CODES[code].logLevel;
    this.mayRedirect = CODES[code].mayRedirect;
    this.reason = options.reason ?? description;
    this.headers = options.headers ?? {};
  }
}

/** The error as its RFC's body (RFC 6749 section 5.2): never cached, never more than the code. */
export function errorResponse(error: OAuthError): Response {
  return Response.json(
    { error: error.code, error_description: error.message },
    { status: error.status, headers: { ...NO_STORE, ...error.headers } },
  );
}

/** RFC 6749 section 5.1: no answer of these endpoints may be kept by a cache. */
export const NO_STORE: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  pragma: 'no-cache',
};
