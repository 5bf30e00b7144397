import { afterAll, describe, expect, it } from 'bun:test';
import { systemClock } from '../../app/base/clock.ts';
import {
  type BoundedRequest,
  createBoundedFetch,
  type Fetch,
} from '../../app/forge/bounded-fetch.ts';
import { FakeClock } from '../support/fake-clock.ts';

const LIMIT = 64;

const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    const bytes = Number(searchParams.get('bytes'));
    switch (pathname) {
      case '/sized':
        return new Response('x'.repeat(bytes));
      case '/chunked':
        return new Response(chunks(bytes));
      case '/redirect':
        return new Response(null, { status: 302, headers: { location: '/landed' } });
      case '/echo':
        return Response.json({
          method: request.method,
          type: request.headers.get('content-type'),
          agent: request.headers.get('user-agent'),
          encoding: request.headers.get('accept-encoding'),
          body: await request.text(),
        });
      default:
        landed += 1;
        return new Response('landed');
    }
  },
});
let landed = 0;

afterAll(() => server.stop(true));

function chunks(bytes: number): ReadableStream<Uint8Array> {
  let left = bytes;
  return new ReadableStream({
    pull(controller) {
      if (left === 0) return controller.close();
      const size = Math.min(left, 10);
      left -= size;
      controller.enqueue(new Uint8Array(size).fill(120));
    },
  });
}

function request(path: string, more: Partial<BoundedRequest> = {}): BoundedRequest {
  const url = new URL(path, server.url).href;
  return { method: 'GET', url, headers: {}, timeoutMs: 30_000, ...more };
}

const real = createBoundedFetch({
  fetch: (url, init) => fetch(url, init),
  clock: systemClock,
  userAgent: 'fjmcp-broker/test',
  answerBytesMax: LIMIT,
});

describe('a call with bounds', () => {
  it('never follows a redirect', async () => {
    const answer = await real(request('/redirect'));
    expect(answer).toMatchObject({ ok: true, value: { status: 302, text: '' } });
    expect(landed).toBe(0);
  });

  it.each(['/sized', '/chunked'])('refuses one byte beyond the limit (%s)', async (path) => {
    const answer = await real(request(`${path}?bytes=${LIMIT + 1}`));
    expect(answer).toMatchObject({ ok: false, error: { kind: 'too_large' } });
  });

  it.each(['/sized', '/chunked'])('takes an answer at the limit (%s)', async (path) => {
    const answer = await real(request(`${path}?bytes=${LIMIT}`));
    expect(answer).toMatchObject({ ok: true, value: { text: 'x'.repeat(LIMIT) } });
  });

  it('tells that nobody listens', async () => {
    const gone = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() });
    const url = gone.url.href;
    await gone.stop(true);
    const answer = await real({ ...request('/'), url });
    expect(answer).toEqual({
      ok: false,
      error: { kind: 'unreachable', detail: 'no answer (ECONNREFUSED)' },
    });
  });

  it('ends at the time-out also when the fetch ignores its signal, and cancels it', async () => {
    const clock = new FakeClock();
    let signal: AbortSignal | null | undefined;
    const deaf: Fetch = (_url, init) => {
      signal = init.signal;
      return new Promise(() => undefined);
    };
    const call = createBoundedFetch({ fetch: deaf, clock, userAgent: 'test' })(
      request('/', { timeoutMs: 1000 }),
    );
    clock.advance(999);
    expect(signal?.aborted).toBe(false);
    clock.advance(1);
    expect(await call).toMatchObject({ ok: false, error: { kind: 'timeout' } });
    expect(signal?.aborted).toBe(true);
  });

  it('counts the time of the body too', async () => {
    const clock = new FakeClock();
    const started = Promise.withResolvers<void>();
    const body = new ReadableStream<Uint8Array>({ pull: () => started.resolve() });
    const stalling: Fetch = async () => new Response(body);
    const call = createBoundedFetch({ fetch: stalling, clock, userAgent: 'test' })(
      request('/', { timeoutMs: 1000 }),
    );
    await started.promise;
    clock.advance(1000);
    expect(await call).toMatchObject({ ok: false, error: { kind: 'timeout' } });
  });

  it('tells an answer that ends early from a whole one', async () => {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"access_token":"ey'));
      },
      pull(controller) {
        controller.error(new Error('reset'));
      },
    });
    const cutting: Fetch = async () => new Response(body);
    const call = createBoundedFetch({ fetch: cutting, clock: systemClock, userAgent: 'test' });
    expect(await call(request('/'))).toEqual({
      ok: false,
      error: { kind: 'cut', detail: 'the answer ended early' },
    });
  });

  it('leaves no timer behind', async () => {
    const clock = new FakeClock();
    const quick: Fetch = async () => new Response('ok');
    await createBoundedFetch({ fetch: quick, clock, userAgent: 'test' })(request('/'));
    expect(clock.pending).toBe(0);
  });

  it('tells a certificate that is not accepted from a forge that is away', async () => {
    const refusing: Fetch = async () => {
      throw Object.assign(new Error('secret in a message'), { code: 'CERT_HAS_EXPIRED' });
    };
    const call = createBoundedFetch({ fetch: refusing, clock: systemClock, userAgent: 'test' });
    expect(await call(request('/'))).toEqual({
      ok: false,
      error: { kind: 'untrusted', detail: 'the certificate is not accepted (CERT_HAS_EXPIRED)' },
    });
  });

  it('sends a form, its own name, and asks for nothing that unfolds', async () => {
    const wide = createBoundedFetch({
      fetch: (url, init) => fetch(url, init),
      clock: systemClock,
      userAgent: 'fjmcp-broker/test',
    });
    const form = new URLSearchParams({ code: 'a b&c' });
    const answer = await wide(request('/echo', { method: 'POST', form }));
    expect(JSON.parse(answer.ok ? answer.value.text : '{}')).toEqual({
      method: 'POST',
      type: 'application/x-www-form-urlencoded;charset=UTF-8',
      agent: 'fjmcp-broker/test',
      encoding: 'identity',
      body: 'code=a+b%26c',
    });
  });
});
