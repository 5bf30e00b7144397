/** Limit of an `Mcp-Session-Id`; ours have 32 characters, and nobody else's can be found. */
const SESSION_ID_CHARACTERS_MAX = 128;

/** MCP (Session Management): visible ASCII only. */
const SESSION_ID = /^[\x21-\x7e]+$/;

/** What a request says about its session. `malformed` can belong to no session. */
export type SessionHeader =
  | { readonly kind: 'absent' }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'present'; readonly sessionId: string };

/** Reads `Mcp-Session-Id`. Two of them arrive joined by a comma and a space: malformed. */
export function sessionHeader(headers: Headers): SessionHeader {
  const value = headers.get('mcp-session-id');
  if (value === null || value === '') return { kind: 'absent' };
  if (value.length > SESSION_ID_CHARACTERS_MAX || !SESSION_ID.test(value)) {
    return { kind: 'malformed' };
  }
  return { kind: 'present', sessionId: value };
}

/**
 * True when `MCP-Protocol-Version` is absent or names a version served. That it may be another one
 * than the session's is on purpose: a widely used client has sent its newest whatever was agreed.
 */
export function protocolVersionServed(headers: Headers, serverVersions: readonly string[]) {
  const value = headers.get('mcp-protocol-version');
  return value === null || serverVersions.includes(value);
}

/**
 * True for `application/json` in UTF-8 (RFC 8259 section 8.1). Anything else is refused, also since
 * a browser sends other types across origins without asking first (Fetch, CORS-safelisted).
 */
export function isPlainJson(headers: Headers): boolean {
  const [type, ...parameters] = (headers.get('content-type') ?? '').toLowerCase().split(';');
  if (type?.trim() !== 'application/json') return false;
  const coding = headers.get('content-encoding')?.trim().toLowerCase() ?? 'identity';
  if (coding !== 'identity') return false;
  return parameters.every((parameter) => {
    const [name, value = ''] = parameter.trim().split('=');
    return name !== 'charset' || /^utf-?8$/.test(value.replaceAll('"', ''));
  });
}

/**
 * True when the client names `text/event-stream` in `Accept`. A wildcard is not enough: clients that
 * send only that, or no `Accept` at all, break MCP's rule and read JSON at best.
 */
export function acceptsEventStream(headers: Headers): boolean {
  const accept = headers.get('accept');
  if (accept === null) return false;
  return accept.split(',').some((range) => {
    const [type, ...parameters] = range.toLowerCase().split(';');
    const refused = parameters.some((parameter) => /^\s*q\s*=\s*0(\.0*)?\s*$/.test(parameter));
    return type?.trim() === 'text/event-stream' && !refused;
  });
}
