import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheDirectory, debianMirrors } from './image.ts';

/**
 * Answers `/debian/…` and `/debian-security/…` from this machine's own Debian mirror. Packages are
 * kept between runs: one path of a pool never names two contents, so they are fetched once.
 */
export async function aptMirror(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const upstream = upstreamOf(pathname);
  if (upstream === undefined || /(^|\/)\.\.?(\/|$)/.test(pathname)) return nothing();
  const kept = join(cacheDirectory(), 'apt', pathname);
  const isPackage = pathname.includes('/pool/');
  if (isPackage && existsSync(kept)) return new Response(Bun.file(kept));
  const since = request.headers.get('if-modified-since');
  const answer = await fetch(upstream, {
    ...(since === null ? {} : { headers: { 'if-modified-since': since } }),
  });
  if (answer.status !== 200) return new Response(null, { status: answer.status });
  const bytes = await answer.arrayBuffer();
  if (isPackage) {
    mkdirSync(dirname(kept), { recursive: true });
    const aside = `${kept}.${crypto.randomUUID()}`;
    await Bun.write(aside, bytes);
    renameSync(aside, kept);
  }
  const modified = answer.headers.get('last-modified');
  return new Response(bytes, { headers: modified === null ? {} : { 'last-modified': modified } });
}

function upstreamOf(pathname: string): string | undefined {
  const { debian, security } = debianMirrors();
  if (pathname.startsWith('/debian/')) return debian + pathname.slice('/debian'.length);
  if (!pathname.startsWith('/debian-security/')) return undefined;
  return security + pathname.slice('/debian-security'.length);
}

function nothing(): Response {
  return new Response('not found\n', { status: 404 });
}
