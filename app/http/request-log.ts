import type { AnyElysia } from 'elysia';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { ClientAddresses } from './client-address.ts';

export interface RequestLogOptions {
  readonly log: Log;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, 'httpRequests'>;
  readonly addresses: Pick<ClientAddresses, 'of'>;
}

/** What stands for every path that no route has: a client cannot make new series of a metric. */
const OTHER = 'other';

const CALLS_ROUTE = '/mcp';

/**
 * One count and one line for each request: method, route pattern, status, duration, client address;
 * the line of a call to `/mcp` that went well, and of what is beyond a rate limit, is written at
 * `debug`. Never the path as sent, never a
 * query string: codes and states travel there. A stream is told when its headers are sent. Use it on
 * the root; it covers every route of it, unknown paths, and what other hooks refuse.
 */
export function requestLog(options: RequestLogOptions) {
  return <App extends AnyElysia>(app: App): App => {
    let routeOf: ((path: string) => string) | undefined;
    const record = (request: Request, status: number, startedAt: number) => {
      routeOf ??= routeMatcher(app.routes.map(({ path }) => path));
      const route = routeOf(pathOf(request.url));
      options.metrics.httpRequests.inc({ route, status: `${Math.trunc(status / 100)}xx` });
      // Calls and floods come by the thousand a second; who wants each of them in the log asks.
      const isOneOfMany = (route === CALLS_ROUTE && status < 400) || status === 429;
      const level = isOneOfMany ? 'debug' : 'info';
      if (!options.log.writes(level)) return;
      options.log[level]('http.request', {
        method: request.method,
        route,
        status,
        ms: options.clock.now() - startedAt,
        address: options.addresses.of(request).text,
      });
    };
    // `onAfterResponse` is not called for what a hook refused, and does not know the status of an
    // error (measured on Elysia 1.4.30); around `fetch` the answer itself is at hand.
    app.wrap((handle) => (request: Request) => {
      const startedAt = options.clock.now();
      return Promise.resolve(handle(request)).then(
        (response: unknown) => {
          record(request, response instanceof Response ? response.status : 500, startedAt);
          return response;
        },
        (error: unknown) => {
          record(request, 500, startedAt);
          throw error;
        },
      );
    });
    return app;
  };
}

/** The path as it was sent; empty for a request with a Host that fits into no URL. */
function pathOf(url: string): string {
  const scheme = url.indexOf('://');
  if (scheme === -1) return '';
  const start = url.indexOf('/', scheme + 3);
  const end = url.indexOf('?', start);
  return url.slice(start, end === -1 ? undefined : end);
}

/** Gives the pattern that a path belongs to, as Elysia's router would: a trailing slash matches. */
function routeMatcher(patterns: readonly string[]): (path: string) => string {
  const exact = new Set(patterns.filter((pattern) => !/[:*]/.test(pattern)));
  const open = [...new Set(patterns)]
    .filter((pattern) => !exact.has(pattern))
    .map((pattern) => ({ pattern, matches: patternExpression(pattern) }));
  return (path) => {
    const plain = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
    if (exact.has(plain)) return plain;
    return open.find(({ matches }) => matches.test(path))?.pattern ?? OTHER;
  };
}

/** `/docs/assets/*` and `/things/:id` as an expression over the whole path. */
function patternExpression(pattern: string): RegExp {
  const segments = pattern.split('/').map((segment) => {
    if (segment === '*') return '.*';
    return segment.startsWith(':') ? '[^/]+' : RegExp.escape(segment);
  });
  return new RegExp(`^${segments.join('/')}$`);
}
