import { afterEach, describe, expect, it } from 'bun:test';
import { Elysia } from 'elysia';
import { createLog, type LogLevel, silentLog } from '../../app/base/log.ts';
import { createMetrics } from '../../app/base/metrics.ts';
import { createClientAddresses } from '../../app/http/client-address.ts';
import { errorBoundary } from '../../app/http/error-boundary.ts';
import { hostGuard } from '../../app/http/host-guard.ts';
import { requestLog } from '../../app/http/request-log.ts';
import { FakeClock } from '../support/fake-clock.ts';

const servers: Elysia[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(true);
});

function serve(level: LogLevel = 'info') {
  const lines: string[] = [];
  const metrics = createMetrics();
  const clock = new FakeClock();
  const log = createLog({ level, format: 'json', sink: (line) => lines.push(line) });
  const endStream = Promise.withResolvers<void>();
  const addresses = createClientAddresses({ trustedProxies: () => [], log });
  const app = new Elysia()
    .use(
      errorBoundary({
        log: silentLog,
        storeFailure: () => undefined,
        renderErrorPage: () => new Response('page'),
      }),
    )
    .use(requestLog({ log, clock, metrics, addresses }))
    .use(hostGuard({ publicOrigin: 'http://127.0.0.1:1' }))
    .use(
      new Elysia()
        .get('/ok', () => {
          clock.advance(25);
          return 'ok';
        })
        .get('/mcp', ({ query }) => new Response('', { status: query.fails ? 503 : 200 }))
        .get('/flood', () => new Response('', { status: 429 }))
        .get('/made', () => new Response('made', { status: 201 }))
        .get('/error', () => {
          throw new Error('x');
        })
        .get('/undefined', () => {
          throw undefined;
        })
        .get('/docs/assets/*', () => 'asset')
        .get('/stream', () => streamUntil(endStream.promise)),
    )
    .get('/late/:id', () => 'late') as unknown as Elysia;
  addresses.listenWith(() => app.server);
  servers.push(app.listen({ port: 0, hostname: '127.0.0.1' }));
  const origin = `http://127.0.0.1:${app.server?.port}`;
  const last = () => JSON.parse(lines.at(-1) ?? '{}');
  return { origin, lines, last, metrics, endStream };
}

function streamUntil(end: Promise<void>): Response {
  const body = new ReadableStream<string>({
    start(controller) {
      controller.enqueue(': open\n\n');
      void end.then(() => controller.close());
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}

describe('request log', () => {
  it('writes one line with method, route, status, duration and client address', async () => {
    const { origin, lines, last } = serve();
    await (await fetch(`${origin}/ok`)).text();
    expect(lines).toHaveLength(1);
    expect(last()).toMatchObject({
      event: 'http.request',
      method: 'GET',
      route: '/ok',
      status: 200,
      ms: 25,
      address: '127.0.0.1',
    });
  });

  it('writes a call that went well at debug only, and one that failed always', async () => {
    const quiet = serve('info');
    await fetch(`${quiet.origin}/mcp`);
    expect(quiet.lines).toEqual([]);
    await fetch(`${quiet.origin}/mcp?fails=1`);
    expect(quiet.last()).toMatchObject({ level: 'info', route: '/mcp', status: 503 });
    const talkative = serve('debug');
    await fetch(`${talkative.origin}/mcp`);
    expect(talkative.last()).toMatchObject({ level: 'debug', route: '/mcp', status: 200 });
  });

  it('writes what is beyond a rate limit at debug only: a flood must not fill the log', async () => {
    const quiet = serve('info');
    await fetch(`${quiet.origin}/flood`);
    expect(quiet.lines).toEqual([]);
    const talkative = serve('debug');
    await fetch(`${talkative.origin}/flood`);
    expect(talkative.last()).toMatchObject({ level: 'debug', route: '/flood', status: 429 });
  });

  it('S10: never writes a query string or a path as sent', async () => {
    const { origin, lines, last } = serve();
    await fetch(`${origin}/ok?code=canary-1&x=canary-2`);
    await fetch(`${origin}/canary-3?state=canary-4`);
    await fetch(`${origin}/late/canary-5`);
    expect(lines).toHaveLength(3);
    expect(lines.join()).not.toContain('canary');
    expect(last().route).toBe('/late/:id');
  });

  it('tells the status that was really sent: a Response of the route, an error, a refusal', async () => {
    const { origin, lines } = serve();
    await fetch(`${origin}/made`);
    await fetch(`${origin}/error`);
    await fetch(`${origin}/undefined`);
    await fetch(`${origin}/nowhere`);
    await fetch(`${origin}/ok`, { headers: { host: 'evil.example' } });
    const seen = lines.map((line) => JSON.parse(line)).map(({ route, status }) => [route, status]);
    expect(seen).toEqual([
      ['/made', 201],
      ['/error', 500],
      ['/undefined', 500],
      ['other', 404],
      ['/ok', 403],
    ]);
  });

  it('tells a stream when its headers are sent, not when it ends', async () => {
    const { origin, last, endStream } = serve();
    const response = await fetch(`${origin}/stream`);
    expect(last()).toMatchObject({ route: '/stream', status: 200 });
    endStream.resolve();
    await response.text();
  });

  it('counts requests under a closed set of routes', async () => {
    const { origin, metrics } = serve();
    for (const path of ['/ok', '/ok/', '/docs/assets/a.css', '/docs/assets/b/c', '/x1', '/x2']) {
      await fetch(origin + path);
    }
    const { values } = await metrics.httpRequests.get();
    expect(values.map(({ labels, value }) => [labels.route, labels.status, value])).toEqual([
      ['/ok', '2xx', 2],
      ['/docs/assets/*', '2xx', 2],
      ['other', '4xx', 2],
    ]);
  });
});
