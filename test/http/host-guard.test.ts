import { afterEach, describe, expect, it } from 'bun:test';
import { Elysia } from 'elysia';
import { hostGuard } from '../../app/http/host-guard.ts';

const servers: Elysia[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(true);
});

/** Every kind of route, each mounted after the guard. */
function serve(publicOrigin: string): number {
  const app = new Elysia()
    .use(hostGuard({ publicOrigin }))
    .use(new Elysia({ prefix: '/plugin' }).get('/x', () => 'served').all('/x', () => 'served'))
    .get('/static', 'served')
    .get('/response', new Response('served'))
    .get('/wild/*', () => 'served')
    .get('/', () => 'served')
    .post('/', () => 'served') as unknown as Elysia;
  servers.push(app.listen({ port: 0, hostname: '127.0.0.1' }));
  return app.server?.port ?? 0;
}

/** Speaks HTTP by hand: fetch sets a Host of its own. */
async function statusOf(port: number, request: string): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let answer = '';
  await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      open: (socket) => void socket.write(request),
      data: (_, bytes) => {
        answer += bytes.toString();
        if (answer.includes('\r\n')) resolve(answer);
      },
      close: () => resolve(answer),
    },
  });
  return Number((await promise).split(' ')[1]);
}

const get = (path: string, host: string) =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

describe('host guard', () => {
  it('[CVE-2025-49596] S4: refuses a foreign Host on every route, whenever it was mounted', async () => {
    const port = serve('https://mcp.example.org');
    const paths = ['/', '/plugin/x', '/static', '/response', '/wild/a', '/unknown'];
    for (const path of paths) {
      expect([path, await statusOf(port, get(path, 'evil.example'))]).toEqual([path, 403]);
    }
    const others = ['POST / HTTP/1.1', 'PUT /plugin/x HTTP/1.1', 'OPTIONS / HTTP/1.1'];
    for (const line of others) {
      const request = `${line}\r\nHost: evil.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
      expect([line, await statusOf(port, request)]).toEqual([line, 403]);
    }
  });

  it.each([
    'evil.example',
    'mcp.example.org.evil.example',
    'evil-mcp.example.org',
    'mcp.example.org.',
    'mcp.example.org:8443',
    'user@mcp.example.org',
    'mcp.example.org/evil',
    'mcp.example.org?x',
    'mcp.example.org#x',
    'localhost',
    '127.0.0.1',
    '',
  ])('S4: refuses the Host "%s" when the public host is another', async (host) => {
    const port = serve('https://mcp.example.org');
    expect(await statusOf(port, get('/', host))).toBe(403);
  });

  it('S4: refuses two Hosts, none, and a foreign one with our address in the request line', async () => {
    const port = serve('https://mcp.example.org');
    const two =
      'GET / HTTP/1.1\r\nHost: mcp.example.org\r\nHost: evil.example\r\nConnection: close\r\n\r\n';
    expect(await statusOf(port, two)).toBe(403);
    expect(await statusOf(port, 'GET / HTTP/1.0\r\n\r\n')).toBe(403);
    const absolute =
      'GET https://mcp.example.org/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n';
    expect(await statusOf(port, absolute)).toBe(403);
  });

  it('[GHSA-g53w-w6mj-hrpp] S4: no forwarded header makes up for the Host', async () => {
    const port = serve('https://mcp.example.org');
    const request =
      'GET / HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: mcp.example.org\r\nForwarded: host=mcp.example.org\r\nConnection: close\r\n\r\n';
    expect(await statusOf(port, request)).toBe(403);
  });

  it.each(['mcp.example.org', 'MCP.Example.ORG', 'mcp.example.org:443'])(
    'S4: serves the public host written as %s',
    async (host) => {
      const port = serve('https://mcp.example.org');
      expect(await statusOf(port, get('/', host))).toBe(200);
      expect(await statusOf(port, get('/plugin/x', host))).toBe(200);
    },
  );

  it('S4: a public URL with a port is served with that port alone', async () => {
    const port = serve('https://mcp.example.org:8443');
    expect(await statusOf(port, get('/', 'mcp.example.org:8443'))).toBe(200);
    expect(await statusOf(port, get('/', 'mcp.example.org'))).toBe(403);
  });

  it('S4: with a loopback public URL any loopback name and port is served, and nothing else', async () => {
    const port = serve('http://127.0.0.1:8080');
    for (const host of [`localhost:${port}`, '127.0.0.1', '127.1.2.3:9', '[::1]:80', 'LOCALHOST']) {
      expect([host, await statusOf(port, get('/', host))]).toEqual([host, 200]);
    }
    for (const host of [
      'evil.example',
      'localhost.evil.example',
      '10.0.0.1',
      '127.0.0.1.evil.example',
    ]) {
      expect([host, await statusOf(port, get('/', host))]).toEqual([host, 403]);
    }
  });
});
