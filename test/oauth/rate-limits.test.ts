import { describe, expect, it } from 'bun:test';
import type { RateLimits } from '../../app/base/rate-limits.ts';
import { passAll } from '../support/rate-limits.ts';
import { answerOf, authorizeUrl, readPage, TestBrowser, TestServer } from './harness.ts';

/** Limits that write down what is asked of them, and refuse the ones named in `full`. */
function limits() {
  const asked: string[] = [];
  const full = new Set<string>();
  const ask = async (limit: string, by: string | number) => {
    asked.push(typeof by === 'number' ? `${limit} of ${by}` : limit);
    return full.has(limit) ? 17 : undefined;
  };
  const rateLimits: RateLimits = {
    byAddress: (limit, request) => ask(limit, request.url),
    byAccount: ask,
  };
  return { rateLimits, asked, full };
}

const eventsOf = (server: TestServer) => server.log.entries().map(({ event }) => event);

const BEYOND = {
  status: 429,
  body: { error: 'temporarily_unavailable', error_description: expect.any(String) },
};

/** A body that would be noticed if anything of it were read. */
function unreadable(): { readonly body: ReadableStream<Uint8Array>; readonly read: () => boolean } {
  let isRead = false;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        isRead = true;
        controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  return { body, read: () => isRead };
}

describe('programs beyond a rate limit', () => {
  for (const [path, limit] of [
    ['/oauth/register', 'register'],
    ['/register', 'register'],
    ['/oauth/token', 'token'],
    ['/token', 'token'],
    ['/oauth/revoke', 'token'],
    ['/revoke', 'token'],
  ] as const) {
    it(`R6: get 429 with Retry-After at ${path}, before anything of the body is read`, async () => {
      const { rateLimits, asked, full } = limits();
      full.add(limit);
      const server = new TestServer({ rateLimits });
      const { body, read } = unreadable();
      const response = await server.fetch(path, {
        method: 'POST',
        headers: { origin: 'https://inspector.example' },
        body,
      });
      expect(response.headers.get('retry-after')).toBe('17');
      expect(response.headers.get('access-control-expose-headers')).toContain('Retry-After');
      expect(response.headers.get('cache-control')).toBe('no-store');
      expect(await answerOf(response)).toMatchObject(BEYOND);
      expect(asked).toEqual([limit]);
      expect(read()).toBe(false);
      // Neither a log line nor a count of refusals for each request of a flood.
      expect(eventsOf(server)).toEqual(['store.migrated']);
    });
  }

  it('R6: registers nobody', async () => {
    const { rateLimits, full } = limits();
    const server = new TestServer({ rateLimits });
    await server.register();
    full.add('register');
    await expect(server.register({ client_name: 'another' })).rejects.toThrow('not registered');
    const { values } = await server.metrics.clientsRegistered.get();
    expect(values.map(({ value }) => value)).toEqual([1]);
  });

  it('S9: keep their refresh token when their account asks too often', async () => {
    const { rateLimits, asked, full } = limits();
    const server = new TestServer({ rateLimits });
    const client = await server.register();
    const tokens = await server.connect(client);
    full.add('account_token');
    const refused = await server.refresh(client, tokens.refresh_token);
    expect(refused.headers.get('retry-after')).toBe('17');
    expect(await answerOf(refused)).toMatchObject(BEYOND);
    expect(asked).toContain('account_token of 7');
    full.clear();
    expect((await server.refresh(client, tokens.refresh_token)).status).toBe(200);
  });

  it('S9: ask nothing of an account that is not theirs', async () => {
    const { rateLimits, asked } = limits();
    const server = new TestServer({ rateLimits });
    const tokens = await server.connect(await server.register());
    const stranger = await server.register({
      client_name: 'stranger',
      redirect_uris: ['https://other.example/'],
    });
    asked.length = 0;
    await server.refresh(stranger, tokens.refresh_token);
    await server.refresh(stranger, 'fjmcp_rt_unknown');
    expect(asked).toEqual(['token', 'token']);
  });
});

describe('people beyond a rate limit', () => {
  for (const [path, method, limit] of [
    ['/oauth/authorize', 'GET', 'authorize'],
    ['/authorize', 'GET', 'authorize'],
    ['/oauth/consent', 'POST', 'sign_in'],
    ['/oauth/callback', 'GET', 'sign_in'],
    ['/oauth/confirm', 'POST', 'sign_in'],
  ] as const) {
    it(`S9: get a page with 429 and Retry-After at ${path}`, async () => {
      const { rateLimits, asked, full } = limits();
      full.add(limit);
      const server = new TestServer({ rateLimits });
      const { response, text } = await readPage(await server.fetch(path, { method }));
      expect(response.status).toBe(429);
      expect(response.headers.get('retry-after')).toBe('17');
      expect(response.headers.get('content-type')).toStartWith('text/html');
      expect(text).toContain('Wait 17 seconds, then load this page again.');
      expect(asked).toEqual([limit]);
      expect(eventsOf(server)).toEqual(['store.migrated']);
    });
  }

  it('S9: begin no sign-in', async () => {
    const { rateLimits, full } = limits();
    const server = new TestServer({ rateLimits });
    const client = await server.register();
    full.add('authorize');
    const response = await server.fetch(authorizeUrl(client.client_id));
    expect(response.status).toBe(429);
    expect(response.headers.getSetCookie()).toEqual([]);
  });

  it('S9: come back to a callback later, for it was not used up', async () => {
    const { rateLimits, full } = limits();
    const server = new TestServer({ rateLimits });
    const browser = new TestBrowser(server);
    const client = await server.register();
    const gone = await browser.press(await browser.get(authorizeUrl(client.client_id)), 'allow');
    const state =
      new URL(
        /href="([^"]+authorize[^"]+)"/.exec(gone.text)?.[1]?.replaceAll('&amp;', '&') ?? '',
      ).searchParams.get('state') ?? '';
    full.add('sign_in');
    expect((await browser.comeBack(state)).response.status).toBe(429);
    expect(server.forge.exchanges).toEqual([]);
    full.clear();
    expect((await browser.comeBack(state)).response.status).toBe(200);
  });

  it('S9: get no more codes when their account has signed in too often', async () => {
    const { rateLimits, asked, full } = limits();
    const server = new TestServer({ rateLimits });
    const client = await server.register();
    full.add('account_sign_in');
    const browser = new TestBrowser(server);
    const confirm = await browser.approve(authorizeUrl(client.client_id));
    const { response } = await browser.press(confirm, 'allow');
    expect(response.status).toBe(429);
    expect(asked).toContain('account_sign_in of 7');
    expect(await server.grants()).toEqual([]);
  });

  it('are told in words how long to wait', async () => {
    for (const [seconds, words] of [
      [1, 'Wait a second,'],
      [90, 'Wait 90 seconds,'],
      [91, 'Wait 2 minutes,'],
      [3600, 'Wait 60 minutes,'],
    ] as const) {
      const server = new TestServer({ rateLimits: { ...passAll, byAddress: async () => seconds } });
      const { text } = await readPage(await server.fetch('/oauth/authorize'));
      expect(text).toContain(words);
    }
  });
});
