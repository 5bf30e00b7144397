import { afterEach, describe, expect, it } from 'bun:test';
import { Elysia } from 'elysia';
import { methodNotAllowed } from '../../app/base/method-not-allowed.ts';

const servers: Elysia[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(true);
});

function serve(): string {
  const plugin = new Elysia()
    .get('/both', () => 'got')
    .post('/both', () => 'posted')
    .post('/post', () => 'posted');
  methodNotAllowed(plugin, '/both', ['GET', 'HEAD', 'POST']);
  methodNotAllowed(plugin, '/post', ['POST'], () => new Response('mine', { status: 405 }));
  const app = new Elysia().use(plugin) as unknown as Elysia;
  servers.push(app.listen({ port: 0, hostname: '127.0.0.1' }));
  return `http://127.0.0.1:${app.server?.port}`;
}

describe('405 (RFC 9110 section 15.5.6)', () => {
  it.each(['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])(
    'answers %s with 405 and Allow, whatever body it brings',
    async (method) => {
      const origin = serve();
      const body = method === 'PUT' ? '{' : null;
      const init = { method, body, headers: { 'content-type': 'application/json' } };
      const response = await fetch(`${origin}/both`, init);
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('GET, HEAD, POST');
      expect(await response.json()).toMatchObject({ error: 'invalid_request' });
    },
  );

  it('answers GET and HEAD with 405 where only POST is served', async () => {
    const origin = serve();
    for (const method of ['GET', 'HEAD']) {
      const response = await fetch(`${origin}/post`, { method });
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
    }
  });

  it('lets the answer be of another shape', async () => {
    const response = await fetch(`${serve()}/post`, { method: 'PUT' });
    expect([await response.text(), response.headers.get('allow')]).toEqual(['mine', 'POST']);
  });

  it('leaves the real methods, and other paths, alone', async () => {
    const origin = serve();
    expect(await (await fetch(`${origin}/both`)).text()).toBe('got');
    expect((await fetch(`${origin}/both`, { method: 'HEAD' })).status).toBe(200);
    expect(await (await fetch(`${origin}/both`, { method: 'POST' })).text()).toBe('posted');
    expect((await fetch(`${origin}/other`)).status).toBe(404);
  });
});
