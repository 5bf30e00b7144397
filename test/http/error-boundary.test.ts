import { describe, expect, it } from 'bun:test';
import { Elysia, t } from 'elysia';
import { createLog } from '../../app/base/log.ts';
import { errorBoundary } from '../../app/http/error-boundary.ts';

class StoreAway extends Error {}

class Unauthorized extends Error {
  toResponse() {
    return Response.json({ error: 'invalid_token' }, { status: 401 });
  }
}

/** Everything that a route can do wrong, in a plugin that is mounted after the boundary. */
const failing = () =>
  new Elysia()
    .get('/error', () => {
      throw new Error('internal detail 7f3a');
    })
    .get('/async', async () => {
      await Promise.resolve();
      throw new Error('internal detail 7f3a');
    })
    .get('/status-property', () => {
      throw Object.assign(new Error('internal detail 7f3a'), { status: 200, code: 'NOT_FOUND' });
    })
    .get('/number', () => {
      throw 7;
    })
    .get('/undefined', () => {
      throw undefined;
    })
    .get('/store', () => {
      throw new StoreAway('internal detail 7f3a');
    })
    .get('/unauthorized', () => {
      throw new Unauthorized('internal detail 7f3a');
    })
    .get('/thrown-response', () => {
      throw new Response('mine', { status: 418 });
    })
    .get('/thrown-status', ({ status }) => {
      throw status(409, 'mine');
    })
    .post('/json', () => 'ok', { body: t.Object({ name: t.String() }) })
    .post('/mcp', () => {
      throw new Error('internal detail 7f3a');
    });

function setUp(mount: (app: Elysia) => Elysia = (app) => app.use(failing()) as unknown as Elysia) {
  const lines: string[] = [];
  const boundary = errorBoundary({
    log: createLog({ level: 'debug', format: 'json', sink: (line) => lines.push(line) }),
    storeFailure: (error) => (error instanceof StoreAway ? 'full' : undefined),
    renderErrorPage: ({ status, title }) =>
      new Response(`<h1>${title}</h1>`, { status, headers: { 'content-type': 'text/html' } }),
  });
  const app = mount(new Elysia().use(boundary) as unknown as Elysia);
  const ask = (path: string, init: RequestInit = {}) =>
    app.handle(new Request(`http://localhost${path}`, init));
  return { ask, lines };
}

describe('error boundary', () => {
  it.each(['/error', '/async', '/status-property', '/number', '/undefined'])(
    'answers 500 without detail, and logs, what %s lets escape',
    async (path) => {
      const { ask, lines } = setUp();
      const response = await ask(path);
      expect(response.status).toBe(500);
      expect(response.headers.get('cache-control')).toBe('no-store');
      expect(await response.json()).toEqual({
        error: 'server_error',
        error_description: 'the broker failed; its log says why',
      });
      expect(lines.join()).toContain('request.failed');
    },
  );

  it('covers routes of a plugin in a plugin, a group, and routes added to the root afterwards', async () => {
    const boom = () => {
      throw new Error('internal detail 7f3a');
    };
    const { ask } = setUp(
      (app) =>
        app
          .use(new Elysia({ prefix: '/outer' }).use(new Elysia({ name: 'inner' }).get('/x', boom)))
          .group('/group', (group) => group.get('/x', boom))
          .use((root) => root.get('/functional', boom))
          .derive(({ request }) => {
            if (request.url.endsWith('/derived')) throw new Error('internal detail 7f3a');
            return {};
          })
          .get('/late', boom)
          .get('/derived', () => 'never') as unknown as Elysia,
    );
    for (const path of ['/outer/x', '/group/x', '/functional', '/late', '/derived']) {
      const response = await ask(path);
      expect([path, response.status]).toEqual([path, 500]);
      expect(await response.text()).not.toContain('7f3a');
    }
  });

  it('answers 503 with Retry-After when the store failed, and logs which way', async () => {
    const { ask, lines } = setUp();
    const response = await ask('/store');
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('5');
    expect(await response.json()).toMatchObject({ error: 'temporarily_unavailable' });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      event: 'request.unavailable',
      route: '/store',
      store: 'full',
    });
  });

  it('answers 400, never 422, for a body that is no JSON or of another shape', async () => {
    const { ask } = setUp();
    for (const body of ['{', '{"name":7}', '']) {
      const response = await ask('/json', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      expect([body, response.status]).toEqual([body, 400]);
      const text = await response.text();
      expect(text).toContain('invalid_request');
      expect(text).not.toContain('name');
    }
  });

  it('lets an expected error that carries its own answer pass', async () => {
    const { ask, lines } = setUp();
    const unauthorized = await ask('/unauthorized');
    expect(unauthorized.status).toBe(401);
    expect(await unauthorized.json()).toEqual({ error: 'invalid_token' });
    const response = await ask('/thrown-response');
    expect([response.status, await response.text()]).toEqual([418, 'mine']);
    const status = await ask('/thrown-status');
    expect([status.status, await status.text()]).toEqual([409, 'mine']);
    expect(lines).toEqual([]);
  });

  it('answers /mcp with JSON-RPC', async () => {
    const { ask } = setUp();
    const response = await ask('/mcp', { method: 'POST', headers: { accept: 'text/html' } });
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({
      jsonrpc: '2.0',
      id: null,
      error: { code: -32603, message: 'the broker failed; its log says why' },
    });
  });

  it('answers a browser that navigates with a page', async () => {
    const { ask } = setUp();
    const browser = { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } };
    const failed = await ask('/error', browser);
    expect([failed.status, await failed.text()]).toEqual([
      500,
      '<h1>Something went wrong here</h1>',
    ]);
    const store = await ask('/store', browser);
    expect([store.status, store.headers.get('retry-after')]).toEqual([503, '5']);
    expect((await ask('/nowhere', browser)).headers.get('content-type')).toBe('text/html');
  });

  it('D7: answers an unknown well-known document with 404 in JSON, even to a browser', async () => {
    const { ask } = setUp();
    const response = await ask('/.well-known/openid-configuration', {
      headers: { accept: 'text/html' },
    });
    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toMatchObject({ error: 'not_found' });
  });
});
