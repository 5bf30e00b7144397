/** Who may read an answer from another origin's script: anyone, or the listed origins. */
export type CorsPolicy = 'public' | readonly string[];

/** What a script may read of an answer beyond the simple headers (Fetch section 3.3.2). */
const EXPOSED_HEADERS = 'Mcp-Session-Id, Mcp-Protocol-Version, WWW-Authenticate, Retry-After';

/**
 * What browser clients send. `Authorization` has to be named: a `*` does not cover it (Fetch
 * section 3.3.2), and the official SDK sends `Mcp-Protocol-Version` even to the discovery documents.
 */
const REQUEST_HEADERS =
  'Authorization, Content-Type, Mcp-Session-Id, Mcp-Protocol-Version, Last-Event-ID';

/** Seconds; the shortest cap among browsers' own is 10 minutes (WebKit). */
const PREFLIGHT_MAX_AGE_S = 600;

/** True when a request may come from `origin`: an absent one is no browser's cross-site request. */
export function originAllowed(origin: string | null, policy: CorsPolicy): boolean {
  return origin === null || policy === 'public' || policy.includes(origin);
}

/**
 * The CORS headers of an answer, lower-case names. Never `Access-Control-Allow-Credentials`: nothing
 * here is authenticated by a cookie across origins. A listed origin is echoed with `Vary`, so that a
 * shared cache cannot hand one origin's answer to another; an unlisted one gets only the `Vary`.
 */
export function corsHeaders(origin: string | null, policy: CorsPolicy): Record<string, string> {
  if (policy === 'public') {
    return {
      'access-control-allow-origin': '*',
      'access-control-expose-headers': EXPOSED_HEADERS,
    };
  }
  if (origin === null || !policy.includes(origin)) return { vary: 'Origin' };
  return {
    'access-control-allow-origin': origin,
    'access-control-expose-headers': EXPOSED_HEADERS,
    vary: 'Origin',
  };
}

/**
 * The answer to an OPTIONS request (Fetch section 4.8): 204 with what `methods` allow, or 403 for an
 * origin that the policy does not list.
 */
export function preflightResponse(
  origin: string | null,
  policy: CorsPolicy,
  methods: readonly string[],
): Response {
  if (!originAllowed(origin, policy)) {
    return new Response(null, { status: 403, headers: corsHeaders(origin, policy) });
  }
  return new Response(null, {
    status: 204,
    headers: {
      ...corsHeaders(origin, policy),
      allow: methods.join(', '),
      'access-control-allow-methods': methods.join(', '),
      'access-control-allow-headers': REQUEST_HEADERS,
      'access-control-max-age': String(PREFLIGHT_MAX_AGE_S),
    },
  });
}
