import { describe, expect, it } from 'bun:test';
import { REDIRECT_URI_LENGTH_MAX } from '../../app/base/redirect-target.ts';
import { digestOf } from '../../app/base/secret.ts';
import { CLIENT_NAME_LENGTH_MAX, REDIRECT_URIS_MAX } from '../../app/oauth/client-metadata.ts';
import { REGISTRATION_BYTES_MAX } from '../../app/oauth/register.ts';
import {
  answerOf,
  authorizeUrl,
  BROWSER_CLIENT,
  HOUR,
  ORIGIN,
  PRIVATE_USE_URI,
  REDIRECT_URI,
  TestBrowser,
  TestServer,
} from './harness.ts';

function post(
  server: TestServer,
  body: string,
  headers: Record<string, string> = {},
  path = '/oauth/register',
) {
  return server.fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
}

async function refusal(server: TestServer, metadata: unknown) {
  const { status, body } = await answerOf(await post(server, JSON.stringify(metadata)));
  return { status, error: body.error };
}

describe('registration (RFC 7591), refused', () => {
  const server = new TestServer();

  it('R2: for redirect URIs that are missing, none, no list or not texts', async () => {
    for (const redirectUris of [undefined, null, [], 'https://client.example/', {}, [1], [null]]) {
      expect(await refusal(server, { redirect_uris: redirectUris })).toEqual({
        status: 400,
        error: 'invalid_redirect_uri',
      });
    }
  });

  it('R3: for a private-use URI that is not allowed, which the log names without its secrets', async () => {
    const uri = 'other://canary@x/callback?canary#canary';
    const { status, body } = await answerOf(
      await post(server, JSON.stringify({ redirect_uris: [uri] })),
    );
    expect(status).toBe(400);
    expect(JSON.stringify(body)).not.toContain('other:');
    const reason = 'the redirect URI other://x/callback may not be registered';
    expect(server.log.of('client.refused').at(-1)).toMatchObject({ reason });
  });

  it('R3: for one bad redirect URI among good ones', async () => {
    for (const bad of [
      'http://client.example/',
      'javascript:alert(1)',
      'https://a.example/#x',
      'other://x/y',
    ]) {
      expect(await refusal(server, { redirect_uris: [REDIRECT_URI, bad] })).toEqual({
        status: 400,
        error: 'invalid_redirect_uri',
      });
    }
  });

  it('R2: for metadata that is not an object, or of the wrong type', async () => {
    for (const metadata of [null, [], 'text', 1]) {
      expect(await refusal(server, metadata)).toEqual({
        status: 400,
        error: 'invalid_client_metadata',
      });
    }
    for (const wrong of [
      { client_name: 1 },
      { application_type: ['web'] },
      { application_type: 'w'.repeat(51) },
      { token_endpoint_auth_method: 'private_key_jwt' },
      { token_endpoint_auth_method: 7 },
      { grant_types: ['client_credentials'] },
      { grant_types: 'authorization_code' },
      { response_types: ['token'] },
    ]) {
      expect(await refusal(server, { redirect_uris: [REDIRECT_URI], ...wrong })).toEqual({
        status: 400,
        error: 'invalid_client_metadata',
      });
    }
  });

  it('R2: for a body that is not JSON, with 400', async () => {
    for (const body of ['', '{', 'redirect_uris=x']) {
      const answer = await answerOf(await post(server, body));
      expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_client_metadata' } });
    }
  });

  it('R2: for another content type, with 415 and an RFC body', async () => {
    for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'application/jsonp']) {
      const answer = await answerOf(await post(server, '{}', { 'content-type': type }));
      expect(answer).toMatchObject({ status: 415, body: { error: 'invalid_client_metadata' } });
    }
  });

  it('R6: one redirect URI, one character or one byte beyond its limit', async () => {
    const uris = (count: number) =>
      Array.from({ length: count }, (_, n) => `https://c.example/${n}`);
    expect(await refusal(server, { redirect_uris: uris(REDIRECT_URIS_MAX + 1) })).toEqual({
      status: 400,
      error: 'invalid_redirect_uri',
    });
    const long = `https://c.example/${'a'.repeat(REDIRECT_URI_LENGTH_MAX)}`;
    expect(await refusal(server, { redirect_uris: [long] })).toMatchObject({ status: 400 });
    const name = 'n'.repeat(CLIENT_NAME_LENGTH_MAX);
    const named = { redirect_uris: uris(REDIRECT_URIS_MAX) };
    expect(await refusal(server, { ...named, client_name: `${name}n` })).toEqual({
      status: 400,
      error: 'invalid_client_metadata',
    });
    expect(await refusal(server, { ...named, client_name: name })).toMatchObject({ status: 201 });
    const body = JSON.stringify({ redirect_uris: [REDIRECT_URI], contacts: [''] });
    const padded = (byteCount: number) =>
      body.replace('""', `"${'x'.repeat(byteCount - body.length)}"`);
    expect((await post(server, padded(REGISTRATION_BYTES_MAX))).status).toBe(201);
    const beyond = await answerOf(await post(server, padded(REGISTRATION_BYTES_MAX + 1)));
    expect(beyond).toMatchObject({ status: 413, body: { error: 'invalid_client_metadata' } });
  });

  it('R6: when as many clients are registered as may be, with 503 and when to try again', async () => {
    const full = new TestServer({ limits: { clientsMax: 2, requestsMax: 10 } });
    await full.register({ client_name: 'one' });
    await full.register({ client_name: 'two' });
    const third = JSON.stringify({ redirect_uris: [REDIRECT_URI], client_name: 'three' });
    const response = await post(full, third);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('5');
    expect(await response.json()).toMatchObject({ error: 'temporarily_unavailable' });
    expect(await full.metrics.registry.metrics()).toContain(
      'fjmcp_limits_reached_total{limit="MAX_CLIENTS"} 1',
    );
  });

  it('R6: no longer, once a registration that was never used is an hour old', async () => {
    const full = new TestServer({ limits: { clientsMax: 1, requestsMax: 10 } });
    const old = await full.register({ client_name: 'one' });
    full.clock.advance(HOUR + 1);
    const young = await full.register({ client_name: 'two' });
    expect(await full.store.clients.find(old.client_id)).toBeUndefined();
    expect(await full.store.clients.find(young.client_id)).toBeDefined();
  });

  it('with 405 and Allow for another method', async () => {
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
      const response = await server.fetch('/oauth/register', { method });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('POST, OPTIONS');
    }
  });
});

describe('registration (RFC 7591), accepted', () => {
  it('R1: answers 201, uncached, with the client as it is registered', async () => {
    const server = new TestServer();
    const metadata = {
      redirect_uris: [REDIRECT_URI, 'http://localhost:8787/callback', PRIVATE_USE_URI],
      client_name: 'A client',
      client_uri: 'https://client.example/about',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token', 'urn:x'],
      response_types: ['code', 'token'],
      scope: 'forgejo:delete offline_access',
      logo_uri: 'http://169.254.169.254/latest',
      jwks_uri: 'https://client.example/keys',
      software_statement: 'e30',
    };
    const response = await post(server, JSON.stringify(metadata));
    expect(response.status).toBe(201);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const body = (await response.json()) as Record<string, unknown>;
    expect(body).toEqual({
      client_id: body.client_id,
      client_id_issued_at: Math.floor(server.clock.now() / 1000),
      redirect_uris: metadata.redirect_uris,
      client_name: 'A client',
      client_uri: 'https://client.example/about',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      scope: 'forgejo:read forgejo:write forgejo:delete',
    });
  });

  it('R1: gives a secret once, with an expiry of never, and keeps only its digest', async () => {
    const server = new TestServer();
    for (const method of ['client_secret_basic', 'client_secret_post']) {
      const client = await server.register({ token_endpoint_auth_method: method });
      expect(client.client_secret).toMatch(/^fjmcp_cs_[A-Za-z0-9_-]{43}$/);
      expect(client).toMatchObject({
        client_secret_expires_at: 0,
        token_endpoint_auth_method: method,
      });
      const kept = await server.store.clients.find(client.client_id);
      expect(kept?.secretDigest).toBe(digestOf(client.client_secret ?? ''));
      expect(JSON.stringify(kept)).not.toContain(client.client_secret ?? 'none');
    }
  });

  it('R4: keeps application_type, and does not mind a web client on loopback or a private scheme', async () => {
    const server = new TestServer();
    const cursor = await server.register({
      application_type: 'web',
      redirect_uris: [
        PRIVATE_USE_URI,
        'https://www.cursor.com/agents/mcp/oauth/callback',
        'http://localhost:8787/callback',
      ],
    });
    expect(cursor.application_type).toBe('web');
    expect((await server.store.clients.find(cursor.client_id))?.applicationType).toBe('web');
  });

  it('R5: answers none explicitly, without a secret, to a client that names no method', async () => {
    const server = new TestServer();
    for (const method of [undefined, null]) {
      const client = await server.register({ token_endpoint_auth_method: method });
      expect(client.token_endpoint_auth_method).toBe('none');
      expect(client.client_secret).toBeUndefined();
    }
  });

  it('R6: gives an identical public registration the same id, but never shares a secret', async () => {
    const server = new TestServer();
    const first = await server.register();
    expect((await server.register()).client_id).toBe(first.client_id);
    expect((await server.register({ client_name: 'Another' })).client_id).not.toBe(first.client_id);
    const secret = { token_endpoint_auth_method: 'client_secret_post' };
    const [one, two] = [await server.register(secret), await server.register(secret)];
    expect(one.client_id).not.toBe(two.client_id);
    expect(one.client_secret).not.toBe(two.client_secret);
  });

  it('R7: gives ids that no client id document could have', async () => {
    const server = new TestServer();
    expect((await server.register()).client_id).toMatch(/^dcr_[A-Za-z0-9_-]{22}$/);
  });

  it('R8: knows the static clients of the configuration beside the registered ones', async () => {
    const server = new TestServer();
    await server.store.clients.syncStatic([
      {
        id: 'static',
        name: 'The bot',
        redirectUris: [REDIRECT_URI],
        secretDigest: digestOf('s3cret'),
      },
    ]);
    const page = await new TestBrowser(server).get(authorizeUrl('static'));
    expect(page.response.status).toBe(200);
    expect(page.text).toContain('which the administrator of this server has set up');
    expect(page.text).not.toContain('calls itself');
  });

  it('takes what makes a name unreadable out of it', async () => {
    const server = new TestServer();
    const client = await server.register({ client_name: '  Cla\u0000ude\u202e \n Code\u2028 ' });
    expect(client.client_name).toBe('Cla ude Code');
    expect(await server.register({ client_name: null })).not.toHaveProperty('client_name');
  });

  it('leaves out a client_uri that is no web address', async () => {
    const server = new TestServer();
    for (const uri of [
      'javascript:alert(1)',
      'http://',
      7,
      `https://c.example/${'a'.repeat(2000)}`,
    ]) {
      expect(await server.register({ client_uri: uri })).not.toHaveProperty('client_uri');
    }
  });

  it('answers at the root of the origin too, without a redirect', async () => {
    const server = new TestServer();
    const response = await post(
      server,
      JSON.stringify({ redirect_uris: [REDIRECT_URI] }),
      {},
      '/register',
    );
    expect(response.status).toBe(201);
  });

  it('can be read by the scripts of the listed origins only', async () => {
    const server = new TestServer();
    const body = JSON.stringify({ redirect_uris: [REDIRECT_URI] });
    for (const [origin, allowed] of [
      [BROWSER_CLIENT, BROWSER_CLIENT],
      [ORIGIN, ORIGIN],
      ['https://evil.example', null],
    ] as const) {
      const response = await post(server, body, { origin });
      expect(response.headers.get('access-control-allow-origin')).toBe(allowed);
      const otherMethod = await server.fetch('/oauth/register', { headers: { origin } });
      expect(otherMethod.status).toBe(405);
      expect(otherMethod.headers.get('access-control-allow-origin')).toBe(allowed);
      expect(otherMethod.headers.get('vary')).toBe('Origin');
      const preflight = await server.fetch('/oauth/register', {
        method: 'OPTIONS',
        headers: { origin },
      });
      expect(preflight.status).toBe(allowed === null ? 403 : 204);
    }
  });
});
