import type { ListenAddress } from '../base/listen-address.ts';
import { DANGEROUS_SCHEME, redirectTarget } from '../base/redirect-target.ts';
import { SOCKET_PATH_BYTES_MAX } from '../base/unix-socket.ts';
import { hasControl, type Parsed, parsed, wrong } from './parse.ts';

/** A scheme of its own needs a dot by RFC 8252 section 7.1, but the field has `cursor:` too. */
const WEB_SCHEMES = new Set(['http:', 'https:', 'ws:', 'wss:', 'ftp:']);

/** True for the names and addresses that never leave the machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/**
 * `127.0.0.1:8080`, `[::1]:8080`, `name:8080`, port 0 lets the system choose; or a unix socket,
 * `unix:/run/fjmcp-broker/edge/http.sock`.
 */
export function listenAddress(text: string): Parsed<ListenAddress> {
  if (text.startsWith('unix:')) return socketAddress(text.slice('unix:'.length));
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(text);
  const host = match?.[1];
  const port = Number(match?.[2]);
  if (host === undefined || port > 65_535)
    return wrong(`must be HOST:PORT or unix:/PATH, not "${text}"`);
  const note = isLoopback(host.toLowerCase())
    ? undefined
    : `${host} is reachable from other machines, without TLS of its own: only a proxy may reach it`;
  return parsed({ kind: 'tcp', hostname: host.replace(/^\[|\]$/g, ''), port }, note);
}

function socketAddress(path: string): Parsed<ListenAddress> {
  if (!path.startsWith('/') || path.endsWith('/') || hasControl(path)) {
    return wrong('must name a socket by its absolute path: unix:/run/fjmcp-broker/edge/http.sock');
  }
  return Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX
    ? wrong(`must be a shorter path: a socket's has at most ${SOCKET_PATH_BYTES_MAX} bytes`)
    : parsed({ kind: 'unix', path });
}

/**
 * The issuer (RFC 8414 section 2). It is compared byte for byte by clients, so it is kept as written
 * but for scheme and host in lower case, one trailing slash and a default port.
 */
export function publicOrigin(text: string): Parsed<string> {
  const match = /^(https?):\/\/([^/?#\\@*\s]+)\/?$/i.exec(text);
  const scheme = match?.[1]?.toLowerCase();
  const host = match?.[2]?.toLowerCase();
  if (scheme === undefined || host === undefined) {
    return wrong('must be https://HOST[:PORT] and nothing else: no path, query, fragment or user');
  }
  const origin = `${scheme}://${host.replace(scheme === 'https' ? /:443$/ : /:80$/, '')}`;
  // A spelling that a browser changes (international names, odd addresses) never equals its Origin.
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  if (url === undefined) return wrong('names a host that does not exist in URLs');
  if (url.origin !== origin) return wrong(`must be written as browsers do: ${url.origin}`);
  if (scheme === 'http' && !isLoopback(url.hostname)) {
    return wrong('must be https: plain http is for loopback hosts alone');
  }
  const note = origin.endsWith(host) ? undefined : `the default port is dropped: ${origin}`;
  return parsed(origin, note);
}

/** A base address of Forgejo; a path prefix stays, trailing slashes go. */
export function forgeUrl(text: string): Parsed<string> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return wrong('must be an http or https address');
  }
  // A fault is printed, so a text with a password in it is never repeated.
  if (url.username !== '' || url.password !== '') return wrong('must not hold a user or password');
  if (/[?#]/.test(text)) return wrong('must have neither query nor fragment');
  return parsed(url.origin + url.pathname.replace(/\/+$/, ''));
}

/** Forgejo as people's browsers see it: over plain http their passwords would travel in the clear. */
export function browserForgeUrl(text: string): Parsed<string> {
  const outcome = forgeUrl(text);
  if (!outcome.ok) return outcome;
  const { protocol, hostname } = new URL(outcome.value);
  if (protocol === 'https:' || isLoopback(hostname)) return outcome;
  return parsed(outcome.value, 'people sign in over plain http: use https');
}

/** An origin as a browser writes it into `Origin` (RFC 6454 section 6.1). */
export function webOrigin(text: string): Parsed<string> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && url.origin === text && !text.includes('*')) return parsed(text);
  return wrong(`"${text}" is not an origin such as https://client.example`);
}

/** A private-use redirect URI (RFC 8252 section 7.1) that is compared as a whole. */
export function privateUseRedirect(text: string): Parsed<string> {
  const fault = redirectFault(text);
  if (fault !== undefined) return wrong(fault);
  return WEB_SCHEMES.has(new URL(text).protocol)
    ? wrong(`"${text}" needs no entry: clients register their own web addresses`)
    : parsed(text);
}

/** A redirect URI of a static client: https, http on loopback, or a private-use scheme. */
export function staticRedirect(text: string): Parsed<string> {
  const fault = redirectFault(text);
  if (fault !== undefined) return wrong(fault);
  const { protocol } = new URL(text);
  return protocol === 'https:' || protocol === 'http:' || !WEB_SCHEMES.has(protocol)
    ? parsed(text)
    : wrong(notServed(text));
}

/** OAuth 2.1 section 2.3.1 and spec rule R3: absolute, no fragment, no user, no pattern. */
function redirectFault(text: string): string | undefined {
  if (!URL.canParse(text) || hasControl(text) || text.includes(' ')) {
    return `"${text}" is not an absolute URI`;
  }
  const url = new URL(text);
  if (DANGEROUS_SCHEME.test(text)) return `the scheme ${url.protocol} is never allowed`;
  if (url.username !== '' || url.password !== '') return 'a redirect URI must not hold a user';
  if (text.includes('#')) return `"${text}" must not have a fragment`;
  if (text.includes('*')) return `"${text}" must not hold a pattern: it is compared as a whole`;
  // The rule of the authorization server: what it does not redirect to must not be accepted here.
  return redirectTarget(text, [text]) === undefined ? notServed(text) : undefined;
}

function notServed(text: string): string {
  return `"${text}" must be https, http on localhost, 127.0.0.1 or [::1], or a scheme of its own, in plain characters`;
}

/** RFC 6749 section 3.3. */
export function scopeToken(text: string): Parsed<string> {
  return /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(text) ? parsed(text) : wrong(`"${text}" is no scope`);
}
