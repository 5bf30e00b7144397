import { type Digest, digestOf, newToken, type Random } from '../base/secret.ts';

/** `__Host-`: set by this host alone, over TLS alone (RFC 6265bis section 4.1.3.2). */
export const BROWSER_COOKIE = '__Host-fjmcp-browser';

/** How long a browser and the account that signed in with it are remembered. */
export const BROWSER_TTL_MS = 30 * 24 * 60 * 60 * 1000;

/** The browser of a request, by the random id in its one cookie. */
export interface Browser {
  readonly digest: Digest;
  /** Value of the Set-Cookie header that names the browser for another while. */
  readonly setCookie: string;
}

/**
 * The browser that sent `request`. The cookie proves nothing but that it is the same browser: what
 * is bound to it is in the store.
 */
export function browserOf(request: Request): Browser | undefined {
  const values = (request.headers.get('cookie') ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${BROWSER_COOKIE}=`))
    .map((pair) => pair.slice(BROWSER_COOKIE.length + 1));
  const [id = ''] = values;
  // Two cookies of one name: somebody has planted one, and there is no telling which.
  if (values.length !== 1 || !/^[A-Za-z0-9_-]{43}$/.test(id)) return undefined;
  return named(id);
}

/** The same, or a new name for a browser that has none. */
export function nameBrowser(request: Request, random: Random): Browser {
  return browserOf(request) ?? named(newToken(random));
}

function named(id: string): Browser {
  const attributes = `Max-Age=${BROWSER_TTL_MS / 1000}; Path=/; HttpOnly; Secure; SameSite=Lax`;
  return { digest: digestOf(id), setCookie: `${BROWSER_COOKIE}=${id}; ${attributes}` };
}

/**
 * True when a form was sent by one of our own pages. Browsers send `Origin` with every POST, and a
 * sandboxed or cross-site page cannot make it ours (`null` is not ours); `Sec-Fetch-Site` says the
 * same again. A request with neither comes from no browser we know, so it is refused.
 */
export function isSameOrigin(request: Request, publicOrigin: string): boolean {
  const origin = request.headers.get('origin');
  const site = request.headers.get('sec-fetch-site');
  if (origin === null && site === null) return false;
  return (origin ?? publicOrigin) === publicOrigin && (site ?? 'same-origin') === 'same-origin';
}
