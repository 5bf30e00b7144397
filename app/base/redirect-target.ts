/** Characters of one redirect URI. */
export const REDIRECT_URI_LENGTH_MAX = 2000;

/**
 * Where a redirect URI leads: `web` over https, `loopback` to a program on the person's own
 * computer, `private_use` to whatever program has claimed the scheme there (RFC 8252 section 7).
 */
export type RedirectTarget =
  | { readonly kind: 'web'; readonly host: string }
  | { readonly kind: 'loopback'; readonly host: string }
  | { readonly kind: 'private_use'; readonly scheme: string };

export interface HttpUri {
  readonly scheme: 'http' | 'https';
  /** Without the port, as written. */
  readonly host: string;
  readonly port: string;
  readonly path: string;
  readonly query: string;
}

const LOOPBACK_HOSTS = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Schemes that run or show what the URI itself holds, so no list may ever allow them. */
export const DANGEROUS_SCHEME =
  /^(javascript|data|file|vbscript|blob|about|filesystem|view-source):/i;

/**
 * Tells where `uri` leads, or undefined when nobody may register it: allowed are https, http on a
 * loopback host, and private-use URIs that stand in `allowlist` letter by letter. Refused are
 * fragments, user names in the authority, wildcards, and every character that two URL parsers may
 * read differently (white space, backslash, non-ASCII).
 */
export function redirectTarget(
  uri: string,
  allowlist: readonly string[],
): RedirectTarget | undefined {
  if (uri.length > REDIRECT_URI_LENGTH_MAX || !/^[\x21-\x7e]+$/.test(uri)) return undefined;
  if (/[#*\\"<>^`{|}]/.test(uri) || DANGEROUS_SCHEME.test(uri)) return undefined;
  const http = parseHttpUri(uri);
  if (http === undefined) return privateUseTarget(uri, allowlist);
  const { scheme, host, port } = http;
  if (LOOPBACK_HOSTS.has(host)) return { kind: 'loopback', host };
  if (scheme === 'http') return undefined;
  return { kind: 'web', host: port === '' ? host : `${host}:${port}` };
}

function privateUseTarget(uri: string, allowlist: readonly string[]): RedirectTarget | undefined {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1]?.toLowerCase();
  if (scheme === undefined || scheme === 'http' || scheme === 'https') return undefined;
  return allowlist.includes(uri) ? { kind: 'private_use', scheme } : undefined;
}

/**
 * Reads the text itself: `new URL` would repair what it reads (`https:/host`, `0x7f.1`, `%6c`), and
 * the browser that follows the URI later might repair it otherwise.
 */
export function parseHttpUri(uri: string): HttpUri | undefined {
  const match =
    /^(https?):\/\/(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?(\/[^?]*)?(\?.*)?$/i.exec(uri);
  if (match === null || !URL.canParse(uri)) return undefined;
  const [, scheme = '', host = '', port = '', path = '', query = ''] = match;
  if (new URL(uri).hostname !== host.toLowerCase()) return undefined;
  return {
    scheme: scheme.toLowerCase() === 'https' ? 'https' : 'http',
    host: host.toLowerCase(),
    port,
    path,
    query,
  };
}
