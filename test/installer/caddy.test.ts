import { afterAll, beforeAll, beforeEach, expect, it } from 'bun:test';
import type { Requirement } from '../support/requirements.ts';
import { type Edge, startEdge } from './edge.ts';
import { describeInstaller } from './shells.ts';

const caddy: Requirement = {
  name: 'caddy',
  present: Bun.which('caddy') !== null && Bun.which('curl') !== null,
  sentence: 'no caddy here: install the Debian packages caddy and curl to test what Caddy lets in',
};

describeInstaller(caddy, 'the shipped configuration of Caddy', () => {
  let edge: Edge;
  let seen: Record<string, string>[];
  beforeAll(async () => {
    edge = await startEdge();
  });
  afterAll(() => edge.stop());
  beforeEach(() => {
    seen = [];
    edge.broker(async (request) => {
      seen.push(Object.fromEntries(request.headers.entries()));
      await request.bytes();
      return new Response('from the broker', { headers: { server: 'secret/1.0' } });
    });
  });

  it('serves the public name over TLS, with the headers that a browser needs', async () => {
    const { status, head, body } = await edge.ask(`${edge.origin}/healthz`);
    expect({ status, body }).toEqual({ status: 200, body: 'from the broker' });
    expect(head).toContain('strict-transport-security: max-age=31536000');
    expect(head).toContain('x-content-type-options: nosniff');
    expect(head).not.toContain('server:');
  });

  it('[GHSA-g53w-w6mj-hrpp] overwrites or drops what the broker would believe about a client', async () => {
    const forged = {
      'X-Forwarded-For': '203.0.113.9',
      'X-Forwarded-Proto': 'http',
      'X-Forwarded-Host': 'evil.example',
      Forwarded: 'for=203.0.113.9',
      'X-Real-IP': '203.0.113.9',
      'X-Forwarded-User': 'root',
      'Remote-User': 'root',
      'CF-Connecting-IP': '203.0.113.9',
      'True-Client-IP': '203.0.113.9',
    };
    const flags = Object.entries(forged).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
    await edge.ask(`${edge.origin}/healthz`, ...flags);
    const [headers = {}] = seen;
    expect(JSON.stringify(headers)).not.toMatch(/203\.0\.113\.9|evil|root/);
    expect(headers['x-forwarded-for']).toMatch(/^(127\.0\.0\.1|::1)$/);
    expect(headers['x-forwarded-proto']).toBe('https');
    expect(headers.host).toBe(`mcp.localhost:${edge.port}`);
  });

  it('[CVE-2025-66414] gives nothing to another name, with TLS and without', async () => {
    const other = await edge.ask(`${edge.origin}/healthz`, '-H', 'Host: evil.example');
    expect(other.status).toBe(421);
    const plain = await edge.ask(`http://127.0.0.1:${edge.plainPort}/`);
    expect({ status: plain.status, body: plain.body }).toEqual({ status: 0, body: '' });
    expect(seen).toEqual([]);
  });

  it('sends plain http on to https', async () => {
    const { status, head } = await edge.ask(
      `http://127.0.0.1:${edge.plainPort}/oauth/authorize?client_id=1`,
      '-H',
      `Host: mcp.localhost:${edge.plainPort}`,
    );
    expect(status).toBe(308);
    expect(head).toContain(`location: ${edge.origin}/oauth/authorize?client_id=1`);
  });

  it('keeps metrics and administration from the outside', async () => {
    for (const path of ['/metrics', '/metrics/x', '/admin', '/admin/users', '/debug/pprof']) {
      expect((await edge.ask(`${edge.origin}${path}`)).status).toBe(404);
    }
    expect(seen).toEqual([]);
  });

  it('logs requests without query strings and header fields', async () => {
    await edge.ask(
      `${edge.origin}/oauth/callback?code=a-code-to-keep&state=a-state-to-keep`,
      ...['-H', 'Authorization: Bearer a-token-to-keep', '-H', 'Cookie: a=a-cookie-to-keep'],
      ...['-H', 'Referer: https://git.example.org/?code=a-referrer-to-keep'],
    );
    // Caddy writes the line when the answer is out already.
    expect(await edge.logWith('"uri":"/oauth/callback"')).not.toContain('to-keep');
  });

  it('refuses a body that is far beyond what the broker takes', async () => {
    const flags = ['-X', 'POST', '--data-binary', `@${process.execPath}`];
    const { status } = await edge.ask(`${edge.origin}/mcp`, ...flags);
    expect(status).toBe(413);
  });

  it('passes an event stream on as it comes', async () => {
    edge.broker(
      () =>
        new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue(new TextEncoder().encode(': first\n\n')),
          }),
          { headers: { 'content-type': 'text/event-stream' } },
        ),
    );
    // The stream never ends: nothing would come of it if Caddy waited for more.
    const { status, body } = await edge.askUntil(': first\n\n', `${edge.origin}/mcp`);
    expect({ status, body }).toEqual({ status: 200, body: ': first\n\n' });
  });

  it('answers a call for a broker that is away with an error that tells to try again', async () => {
    edge.broker(null);
    const post = ['-X', 'POST', '-H', 'Content-Type: application/json', '-d', '{}'];
    const call = await edge.ask(`${edge.origin}/mcp`, ...post);
    expect(call.status).toBe(503);
    expect(call.head).toContain('retry-after: 2');
    expect(call.head).toContain('content-type: application/json');
    const answer = JSON.parse(call.body) as { error: { code: number; message: string } };
    expect(answer).toMatchObject({ jsonrpc: '2.0', id: null, error: { code: -32000 } });
    expect(answer.error.message).toContain('try again');
    const token = await edge.ask(`${edge.origin}/oauth/token`, ...post);
    expect(token.status).toBe(503);
    expect(token.head).toContain('retry-after: 2');
  });

  it('lets who only reads wait for a broker that comes back', async () => {
    edge.broker(null);
    const asked = edge.ask(`${edge.origin}/healthz`);
    await Bun.sleep(300);
    edge.broker(() => new Response('back'));
    expect(await asked).toMatchObject({ status: 200, body: 'back' });
  });

  it('does not keep a connection to the broker, which would lead to the old one', async () => {
    await edge.ask(`${edge.origin}/healthz`, `${edge.origin}/healthz`);
    expect(seen.map(({ connection }) => connection)).not.toContain('keep-alive');
  });
});
