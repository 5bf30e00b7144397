import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import { connect } from 'node:net';
import { expectNothingInternal, pageText } from '../support/internals.ts';
import { RawClient, rpcAnswer } from '../support/raw-client.ts';
import { tokenOf } from '../support/sign-in.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

const BODY_BYTES_MAX = 64 * 1024;
const JSON_TYPE = { 'content-type': 'application/json' };
const PING = { jsonrpc: '2.0', id: 7, method: 'ping' };

let system: TestSystem;
let client: RawClient;

beforeAll(async () => {
  system = await startSystem({ config: { maxBodyBytes: BODY_BYTES_MAX } });
  const signedIn = system.client();
  await signedIn.authorize(system.person());
  client = new RawClient(system.mcpUrl, tokenOf(signedIn));
  await client.initialize();
});

afterAll(async () => {
  await system.stop();
});

/** Asserts status, JSON-RPC code and id of a refusal, and that it tells nothing internal. */
async function expectRefusal(
  response: Response,
  expected: { status: number; code?: number; id?: unknown },
): Promise<string> {
  expect(response.status).toBe(expected.status);
  expect(response.headers.get('content-type')).toBe('application/json');
  expectNothingInternal(await response.clone().text());
  const { error, ...rest } = await rpcAnswer(response);
  expect(rest).toEqual({ jsonrpc: '2.0', id: expected.id ?? null } as object as typeof rest);
  expect(error?.code).toBe(expected.code ?? -32600);
  return error?.message ?? '';
}

/** A `tools/call` of exactly so many bytes. */
function messageOf(bytes: number): string {
  const text = (padding: string) =>
    JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'get_forgejo_mcp_server_version', arguments: { padding } },
    });
  return text('x'.repeat(bytes - text('').length));
}

function inChunks(text: string): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  let from = 0;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(bytes.subarray(from, from + 4096));
      from += 4096;
      if (from >= bytes.length) controller.close();
    },
  });
}

describe('a body', () => {
  it('of MAX_BODY bytes is taken, and one byte more is 413', async () => {
    const taken = await client.post(messageOf(BODY_BYTES_MAX));
    expect(taken.status).toBe(200);
    expect((await rpcAnswer(taken)).result).toBeDefined();
    const message = await expectRefusal(await client.post(messageOf(BODY_BYTES_MAX + 1)), {
      status: 413,
    });
    expect(message).toContain('MAX_BODY');
  });

  it('that does not say its length is counted: at the limit taken, one byte more 413', async () => {
    const send = (bytes: number) =>
      fetch(system.mcpUrl, {
        method: 'POST',
        headers: client.headers(JSON_TYPE),
        body: inChunks(messageOf(bytes)),
      });
    expect((await send(BODY_BYTES_MAX)).status).toBe(200);
    await expectRefusal(await send(BODY_BYTES_MAX + 1), { status: 413 });
  });

  it('of another type than JSON is 415', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', null]) {
      const answer = await client.post(JSON.stringify(PING), { 'content-type': type });
      await expectRefusal(answer, { status: 415 });
      expect(answer.headers.get('accept')).toBe('application/json');
    }
  });

  it('T29: that is no JSON is 400 with -32700', async () => {
    for (const body of ['', '{', 'hello', '{"a":1}x', '\u0000']) {
      await expectRefusal(await client.post(body), { status: 400, code: -32700 });
    }
  });

  it('T4: that is an array is 400, an empty one too', async () => {
    await expectRefusal(await client.post([]), { status: 400 });
    await expectRefusal(await client.post([PING, PING]), { status: 400 });
  });

  it('that is no message is 400 and names its id, if it has one', async () => {
    await expectRefusal(await client.post({ id: 7, method: 'ping' }), { status: 400, id: 7 });
    await expectRefusal(await client.post({ jsonrpc: '2.0', id: null, method: 'ping' }), {
      status: 400,
    });
    await expectRefusal(await client.post('null'), { status: 400 });
  });

  it('that never comes whole costs nobody else anything', async () => {
    const { hostname, port } = new URL(system.origin);
    const socket = connect(Number(port), hostname);
    const head = Object.entries(client.headers({ ...JSON_TYPE, host: `${hostname}:${port}` }));
    const lines = head.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    socket.write(`POST /mcp HTTP/1.1\r\n${lines}content-length: 1000\r\n\r\n{"jsonrpc"`);
    expect((await client.post(PING)).status).toBe(200);
    socket.destroy();
    expect((await client.post(PING)).status).toBe(200);
  });
});

describe('a session', () => {
  it('T20: that is unknown is 404, with the id of the request', async () => {
    for (const sessionId of ['unknown', 'x'.repeat(32), 'x'.repeat(5000), '\u00fc']) {
      const answer = await client.post(PING, { 'mcp-session-id': sessionId });
      await expectRefusal(answer, { status: 404, code: -32001, id: 7 });
    }
  });

  it('T19: that is not named is 400', async () => {
    await expectRefusal(await client.post(PING, { 'mcp-session-id': null }), {
      status: 400,
      id: 7,
    });
  });

  it('T22: is not used with a protocol version that nobody serves', async () => {
    const headers = { 'mcp-protocol-version': '1999-01-01' };
    const message = await expectRefusal(await client.post(PING, headers), { status: 400, id: 7 });
    expect(message).toContain('2025-11-25');
  });

  it('T21: that was ended is 404 from then on', async () => {
    const other = new RawClient(system.mcpUrl, client.accessToken);
    await other.initialize();
    const end = () => fetch(system.mcpUrl, { method: 'DELETE', headers: other.headers() });
    expect((await end()).status).toBe(204);
    await expectRefusal(await end(), { status: 404, code: -32001 });
    await expectRefusal(await other.post(PING), { status: 404, code: -32001, id: 7 });
  });
});

describe('a method that is not served', () => {
  it('T1: at /mcp is 405 with Allow', async () => {
    const allow = 'GET, POST, DELETE, OPTIONS';
    for (const method of ['PUT', 'PATCH']) {
      const answer = await fetch(system.mcpUrl, { method, headers: client.headers() });
      await expectRefusal(answer, { status: 405 });
      expect(answer.headers.get('allow')).toBe(allow);
    }
    // The answers to these have no body.
    for (const [method, served] of [
      ['HEAD', 'POST, DELETE, OPTIONS'],
      ['TRACE', allow],
    ] as const) {
      const answer = await fetch(system.mcpUrl, { method, headers: client.headers() });
      expect(answer.status).toBe(405);
      expect(answer.headers.get('allow')).toBe(served);
    }
  });

  it('T13: GET at /mcp is 405 without a session, 406 without an event stream to accept', async () => {
    const headers = client.headers({ 'mcp-session-id': null });
    const answer = await fetch(system.mcpUrl, { headers });
    await expectRefusal(answer, { status: 405 });
    expect(answer.headers.get('allow')).toBe('POST, DELETE, OPTIONS');
    const json = client.headers({ accept: 'application/json' });
    await expectRefusal(await fetch(system.mcpUrl, { headers: json }), { status: 406 });
  });

  it('elsewhere is 405 with Allow, as RFC body', async () => {
    const served: Record<string, [wrong: string, allow: string]> = {
      '/oauth/token': ['GET', 'POST, OPTIONS'],
      '/oauth/register': ['GET', 'POST, OPTIONS'],
      '/oauth/revoke': ['DELETE', 'POST, OPTIONS'],
      '/oauth/authorize': ['PUT', 'GET'],
      '/oauth/callback': ['POST', 'GET'],
      '/oauth/consent': ['GET', 'POST'],
      '/healthz': ['POST', 'GET, HEAD'],
      '/readyz': ['DELETE', 'GET, HEAD'],
      '/.well-known/oauth-authorization-server': ['POST', 'GET, HEAD, OPTIONS'],
    };
    for (const [path, [method, allow]] of Object.entries(served)) {
      const answer = await fetch(`${system.origin}${path}`, { method });
      expect({ path, status: answer.status }).toEqual({ path, status: 405 });
      expect(answer.headers.get('allow')).toBe(allow);
      expectNothingInternal(await answer.text());
    }
  });
});

describe('bad input elsewhere', () => {
  it('is answered with RFC bodies by the OAuth endpoints', async () => {
    const post = (path: string, body: string, type: string) =>
      fetch(`${system.origin}${path}`, {
        method: 'POST',
        headers: { 'content-type': type },
        body,
      });
    const form = 'application/x-www-form-urlencoded';
    const answers = [
      await post('/oauth/token', 'grant_type=authorization_code', form),
      await post('/oauth/token', `grant_type=${'x'.repeat(200_000)}`, form),
      await post('/oauth/token', '{"grant_type":"refresh_token"}', 'application/json'),
      await post('/oauth/token', 'grant_type=a&grant_type=b&client_id=x', form),
      await post('/oauth/revoke', 'token=x', form),
      await post('/oauth/register', '{', 'application/json'),
      await post('/oauth/register', '[]', 'application/json'),
      await post('/oauth/register', 'redirect_uris=x', form),
      await post('/oauth/register', JSON.stringify({ x: 'x'.repeat(200_000) }), 'application/json'),
    ];
    for (const answer of answers) {
      expect([400, 401, 413, 415]).toContain(answer.status);
      expect(answer.headers.get('content-type')).toStartWith('application/json');
      expect(answer.headers.get('cache-control')).toContain('no-store');
      const body = JSON.parse(expectNothingInternal(await answer.text()));
      expect(body).toEqual({
        error: expect.stringMatching(/^[a-z_]+$/),
        error_description: expect.any(String),
      });
    }
  });

  it('is answered with a page by what people see', async () => {
    for (const path of [
      '/oauth/authorize',
      '/oauth/authorize?client_id=%00&redirect_uri=javascript:alert(1)',
      '/oauth/authorize?client_id=a&client_id=b',
      `/oauth/authorize?client_id=${'x'.repeat(8000)}`,
      '/oauth/callback',
      '/oauth/callback?state=x&code=y',
      '/oauth/callback?state=x&error=%3Cscript%3E',
    ]) {
      const answer = await fetch(`${system.origin}${path}`, { redirect: 'manual' });
      expect({ path, status: answer.status }).toEqual({ path, status: 400 });
      expect(await pageText(answer)).not.toContain('<script>');
    }
  });

  it('has no effect on a browser that opens an unknown address', async () => {
    const headers = { accept: 'text/html' };
    const page = await fetch(`${system.origin}/%2e%2e/etc/passwd?x=<script>`, { headers });
    expect(page.status).toBe(404);
    expect(await pageText(page)).not.toContain('<script>');
    const json = await fetch(`${system.origin}/nothing/here`);
    expect(json.status).toBe(404);
    expectNothingInternal(await json.text());
  });
});

describe('a Host that is not ours', () => {
  it('[CVE-2025-66414] is refused everywhere, before anything else is looked at', async () => {
    for (const path of ['/mcp', '/oauth/token', '/healthz', '/nothing', '/docs']) {
      for (const host of ['attacker.example', '192.168.1.5:8080', 'localhost.attacker.example']) {
        const answer = await fetch(`${system.origin}${path}`, {
          method: path === '/mcp' ? 'POST' : 'GET',
          headers: { ...client.headers(JSON_TYPE), host },
        });
        expect({ path, host, status: answer.status }).toEqual({ path, host, status: 403 });
        expect(expectNothingInternal(await answer.text())).not.toContain(host);
      }
    }
  });

  it('T2: is refused at /mcp as Origin too', async () => {
    const answer = await client.post(PING, { origin: 'https://attacker.example' });
    await expectRefusal(answer, { status: 403 });
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('a broker behind a proxy, with a public host', () => {
  it('[CVE-2025-6514] answers that host alone, and builds its addresses from no other', async () => {
    const publicOrigin = 'https://mcp.example';
    const behind = await startSystem({ config: { publicOrigin } });
    try {
      const { port } = behind.broker;
      const ask = (host: string, path = '/.well-known/oauth-authorization-server') =>
        fetch(`http://127.0.0.1:${port}${path}`, { headers: { host } });
      for (const host of [
        ...[`127.0.0.1:${port}`, `localhost:${port}`, 'localhost', 'attacker.example'],
        ...['mcp.example:8443', 'mcp.example.attacker.example', 'www.mcp.example'],
      ]) {
        const answer = await ask(host);
        expect({ host, status: answer.status }).toEqual({ host, status: 403 });
        expect(await answer.text()).not.toContain(host);
      }
      for (const host of ['mcp.example', 'MCP.Example', 'mcp.example:443']) {
        const metadata = (await (await ask(host)).json()) as Record<string, unknown>;
        expect(metadata.issuer).toBe(publicOrigin);
        expect(metadata.token_endpoint).toBe(`${publicOrigin}/oauth/token`);
        const challenge = (await ask(host, '/mcp')).headers.get('www-authenticate');
        expect(challenge).toContain(
          `resource_metadata="${publicOrigin}/.well-known/oauth-protected-resource/mcp"`,
        );
      }
    } finally {
      await behind.stop();
    }
  });
});
