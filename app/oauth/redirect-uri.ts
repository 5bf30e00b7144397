import { parseHttpUri, redirectTarget } from '../base/redirect-target.ts';

/**
 * OAuth 2.1 section 4.1.1: the requested URI is one of the registered ones, letter by letter. Only
 * the port of a loopback URI is free, since the program takes whichever it gets (RFC 8252
 * section 7.3).
 */
export function redirectUriMatches(requested: string, registered: readonly string[]): boolean {
  if (registered.includes(requested)) return true;
  const wanted = loopbackIdentity(requested);
  return wanted !== undefined && registered.some((uri) => loopbackIdentity(uri) === wanted);
}

/**
 * What the log may hold of a URI that was refused, so that an admin sees whom to allow: no query, no
 * fragment and no user, which may be secrets, and no character that could bend the line.
 */
export function describeRefused(uri: unknown): string {
  if (typeof uri !== 'string') return `a value of type ${typeof uri}`;
  const place = uri.replace(/[?#].*$/s, '').replace(/\/\/[^/]*@/, '//');
  return place.replace(/[^\x21-\x7e]/g, '?').slice(0, LOGGED_LENGTH_MAX);
}

const LOGGED_LENGTH_MAX = 200;

/** Everything of a loopback URI but its port; undefined for any other URI. */
function loopbackIdentity(uri: string): string | undefined {
  if (redirectTarget(uri, [])?.kind !== 'loopback') return undefined;
  const parsed = parseHttpUri(uri);
  if (parsed?.scheme !== 'http') return undefined;
  // An empty path and `/` are one (RFC 3986 section 6.2.3).
  return JSON.stringify([parsed.scheme, parsed.host, parsed.path || '/', parsed.query]);
}
