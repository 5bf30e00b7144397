import { Elysia } from 'elysia';

/**
 * Answers only the public URL's host (spec rule S4): a page that was rebound to our address still
 * sends its own name as Host. With a loopback public URL any loopback name and port passes. Mount it
 * before the routes; it covers every one, whenever it was mounted, and unknown paths too.
 */
export function hostGuard(options: { readonly publicOrigin: string }) {
  const publicUrl = new URL(options.publicOrigin);
  const allowed = isLoopback(publicUrl.hostname)
    ? (url: URL) => isLoopback(url.hostname)
    : (url: URL) => url.host === publicUrl.host;
  // `onRequest` is the one hook that runs before routing, so no route can stand outside of it.
  let served: string | undefined;
  return new Elysia({ name: 'host-guard' }).onRequest(({ request }) => {
    const host = request.headers.get('host');
    // As a caller has sent it before, most of the time: then it was judged already.
    if (host !== null && host === served) return;
    const url = requestedHost(request, publicUrl.protocol);
    if (url === undefined || !allowed(url)) return misdirected();
    if (host !== null) served = host;
    return;
  });
}

/**
 * The Host header as a URL of our scheme, so that case and a default port make no difference. Bun
 * gives a request with a Host that fits into no URL (none, two, or one with a path in it) a `url`
 * without any host, at which every later `new URL(request.url)` would throw.
 */
function requestedHost(request: Request, protocol: string): URL | undefined {
  const host = request.headers.get('host');
  if (host === null) return URL.canParse(request.url) ? new URL(request.url) : undefined;
  if (!/^[A-Za-z0-9._:[\]-]+$/.test(host)) return undefined;
  const text = `${protocol}//${host}`;
  return URL.canParse(text) ? new URL(text) : undefined;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** The name that was asked for is not repeated: the answer is read by whoever sent it. */
function misdirected(): Response {
  return Response.json(
    { error: 'access_denied', error_description: 'this host is not served here' },
    { status: 403, headers: { 'cache-control': 'no-store' } },
  );
}
