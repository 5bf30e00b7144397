import { type AnyElysia, Elysia } from 'elysia';
import type { Log } from '../base/log.ts';
import { methodNotAllowed } from '../base/method-not-allowed.ts';
import type { Metrics } from '../base/metrics.ts';
import { digestOf, type Secret, sameDigest } from '../base/secret.ts';

export interface MetricsPageOptions {
  readonly registry: Metrics['registry'];
  /** What a reader has to send as its bearer token; undefined where the socket says who may read. */
  readonly token: Secret | undefined;
  /** Called before each reading, for numbers that nobody counts as they change. */
  readonly sample: () => void;
  readonly log: Log;
}

/** Nobody has a reason to send a body here. */
const BODY_BYTES_MAX = 1024;

/**
 * `/metrics` in the text format of Prometheus, for a listener of its own: what is counted tells who
 * runs this how much it is used, and is nobody else's business.
 */
export function metricsPage(options: MetricsPageOptions): AnyElysia {
  const app = new Elysia({
    serve: { reusePort: false, development: false, maxRequestBodySize: BODY_BYTES_MAX },
  })
    .onError(({ code }) => {
      const status = code === 'NOT_FOUND' ? 404 : 500;
      return plain(status === 404 ? 'The metrics are at /metrics.' : 'This did not work.', status);
    })
    .get('/metrics', ({ request }) => read(request, options), { parse: 'none' });
  return methodNotAllowed(app, '/metrics', ['GET', 'HEAD'], () => plain('Read it with GET.', 405));
}

async function read(request: Request, options: MetricsPageOptions): Promise<Response> {
  if (!mayRead(request, options.token)) {
    return plain('Send the token of METRICS_TOKEN.', 401, { 'www-authenticate': 'Bearer' });
  }
  try {
    options.sample();
    const text = await options.registry.metrics();
    return new Response(text, { headers: { 'content-type': options.registry.contentType } });
  } catch (err) {
    options.log.error('metrics.failed', { err });
    return plain('The metrics could not be read; the log says why.', 500);
  }
}

/** Digests are compared, so the time it takes tells nothing of the token. */
function mayRead(request: Request, token: Secret | undefined): boolean {
  if (token === undefined) return true;
  const given = /^bearer +(\S+)$/i.exec(request.headers.get('authorization')?.trim() ?? '')?.[1];
  return given !== undefined && sameDigest(digestOf(given), digestOf(token.reveal()));
}

function plain(text: string, status: number, headers: Record<string, string> = {}): Response {
  return new Response(`${text}\n`, {
    status,
    headers: {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
      ...headers,
    },
  });
}
