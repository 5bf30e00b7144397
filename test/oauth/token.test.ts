import { beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import { FORM_BYTES_MAX } from '../../app/oauth/parameters.ts';
import {
  answerOf,
  authorizeUrl,
  BROWSER_CLIENT,
  HOUR,
  ORIGIN,
  REDIRECT_URI,
  type Registered,
  TestBrowser,
  TestServer,
  type Tokens,
  VERIFIER,
} from './harness.ts';

let server: TestServer;
let client: Registered;

beforeEach(async () => {
  server = new TestServer();
  client = await server.register();
});

async function code(of: Registered = client): Promise<string> {
  return (await server.signIn(of)).searchParams.get('code') ?? '';
}

function basic(id: string, secret: string): Record<string, string> {
  const pair = `${encodeURIComponent(id)}:${encodeURIComponent(secret)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

function grant(value: string) {
  return {
    grant_type: 'authorization_code',
    code: value,
    redirect_uri: REDIRECT_URI,
    code_verifier: VERIFIER,
  };
}

describe('token endpoint (RFC 6749 section 3.2), the request', () => {
  it('E8: takes nothing but a form, and answers another type with 415 and an RFC body', async () => {
    const body = JSON.stringify({ ...grant(await code()), client_id: client.client_id });
    for (const type of ['application/json', 'text/plain', 'multipart/form-data; boundary=x']) {
      const headers = { 'content-type': type };
      const response = await server.fetch('/oauth/token', { method: 'POST', headers, body });
      expect(await answerOf(response)).toMatchObject({
        status: 415,
        body: { error: 'invalid_request' },
      });
    }
    const bare = await server.fetch('/oauth/token', { method: 'POST' });
    expect(bare.status).toBe(415);
  });

  it('E8: takes a form with a charset, in any letter case', async () => {
    const body = new URLSearchParams({ ...grant(await code()), client_id: client.client_id });
    const headers = { 'content-type': 'Application/X-WWW-Form-Urlencoded; charset=UTF-8' };
    const init = { method: 'POST', headers, body: body.toString() };
    expect((await server.fetch('/oauth/token', init)).status).toBe(200);
  });

  it('E8: refuses a body one byte beyond the limit with 413', async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const post = (byteCount: number) =>
      server.fetch('/oauth/token', { method: 'POST', headers, body: 'a'.repeat(byteCount) });
    expect((await post(FORM_BYTES_MAX)).status).toBe(401);
    expect(await answerOf(await post(FORM_BYTES_MAX + 1))).toMatchObject({
      status: 413,
      body: { error: 'invalid_request' },
    });
  });

  it('E8: refuses a body that ends before its time', async () => {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('grant_type='));
        controller.error(new Error('the client went away'));
      },
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    expect((await server.fetch('/oauth/token', { method: 'POST', headers, body })).status).toBe(
      400,
    );
  });

  it('E8: refuses every parameter that stands twice', async () => {
    const form = { ...grant(await code()), client_id: client.client_id };
    for (const [name, value] of Object.entries(form)) {
      const response = await server.post('/oauth/token', [...Object.entries(form), [name, value]]);
      const refused = await answerOf(response);
      expect({ name, ...refused }).toMatchObject({
        name,
        status: 400,
        body: { error: 'invalid_request' },
      });
    }
  });

  it('E13: reads no parameter from the query', async () => {
    const form = { ...grant(await code()), client_id: client.client_id };
    const query = new URLSearchParams(form);
    expect((await server.post(`/oauth/token?${query}`, {})).status).toBe(401);
    const { code: value, ...rest } = form;
    const half = await server.post(`/oauth/token?code=${value}`, rest);
    expect(await answerOf(half)).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
    expect((await server.fetch(`/oauth/token?${query}`)).status).toBe(405);
  });

  it('E8: refuses a missing parameter with invalid_request and another grant with its own code', async () => {
    const form: Record<string, string> = { ...grant('fjmcp_ac_x'), client_id: client.client_id };
    for (const name of ['grant_type', 'code', 'code_verifier']) {
      const rest = Object.entries(form).filter(([other]) => other !== name);
      expect(await answerOf(await server.post('/oauth/token', rest))).toMatchObject({
        status: 400,
        body: { error: 'invalid_request' },
      });
    }
    const refresh = { grant_type: 'refresh_token', client_id: client.client_id };
    expect((await server.post('/oauth/token', refresh)).status).toBe(400);
  });

  it('E14: knows neither the password nor the client credentials grant', async () => {
    for (const type of ['password', 'client_credentials', 'implicit', 'Authorization_Code']) {
      const form = { grant_type: type, client_id: client.client_id, username: 'a', password: 'b' };
      expect(await answerOf(await server.post('/oauth/token', form))).toMatchObject({
        status: 400,
        body: { error: 'unsupported_grant_type' },
      });
    }
  });

  it('answers another method with 405 and Allow', async () => {
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
      const response = await server.fetch('/oauth/token', { method });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('POST, OPTIONS');
    }
  });
});

describe('token endpoint (RFC 6749 section 3.2), the client', () => {
  it('E8: is unknown: invalid_client with 401, so that it drops its registration', async () => {
    const form = { ...grant('x'), client_id: 'nobody' };
    const response = await server.post('/oauth/token', form);
    expect(response.headers.get('www-authenticate')).toBeNull();
    expect(await answerOf(response)).toMatchObject({
      status: 401,
      body: { error: 'invalid_client' },
    });
    expect((await server.post('/oauth/token', grant('x'))).status).toBe(401);
  });

  it('E8: gets a challenge when it tried Basic, whatever is wrong with it', async () => {
    const secret = await server.register({ token_endpoint_auth_method: 'client_secret_basic' });
    for (const headers of [
      basic('nobody', 'x'),
      basic(secret.client_id, 'wrong'),
      basic(secret.client_id, ''),
      basic(client.client_id, 'x'),
      { authorization: 'Basic' },
      { authorization: 'Basic !!!' },
      { authorization: `Basic ${Buffer.from('no colon').toString('base64')}` },
      { authorization: `Basic ${Buffer.from('%zz:x').toString('base64')}` },
      { authorization: 'Bearer fjmcp_at_x' },
    ]) {
      const response = await server.post('/oauth/token', grant('x'), headers);
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Basic realm="fjmcp-broker"');
      expect(await response.json()).toMatchObject({ error: 'invalid_client' });
    }
  });

  it('E8: proves itself in the way it has registered, and in no other', async () => {
    const byBasic = await server.register({ token_endpoint_auth_method: 'client_secret_basic' });
    const byPost = await server.register({ token_endpoint_auth_method: 'client_secret_post' });
    const send = async (of: Registered, method: 'basic' | 'post' | 'none') => {
      const id = { client_id: of.client_id };
      const secret = of.client_secret ?? 'any';
      const form = grant(await code(of));
      if (method === 'basic') return server.post('/oauth/token', form, basic(of.client_id, secret));
      if (method === 'none') return server.post('/oauth/token', { ...form, ...id });
      return server.post('/oauth/token', { ...form, ...id, client_secret: secret });
    };
    for (const [of, right] of [
      [byBasic, 'basic'],
      [byPost, 'post'],
      [client, 'none'],
    ] as const) {
      for (const method of ['basic', 'post', 'none'] as const) {
        const { status } = await send(of, method);
        expect({ right, method, status }).toEqual({
          right,
          method,
          status: method === right ? 200 : 401,
        });
      }
    }
  });

  it('E8: may send parameters without a value: they count as absent', async () => {
    const form = {
      ...grant(await code()),
      client_id: client.client_id,
      client_secret: '',
      scope: '',
    };
    expect((await server.post('/oauth/token', { ...form, resource: '' })).status).toBe(200);
  });

  it('E8: may not use two ways at once, nor name two clients', async () => {
    const secret = await server.register({ token_endpoint_auth_method: 'client_secret_basic' });
    const headers = basic(secret.client_id, secret.client_secret ?? '');
    for (const more of [
      { client_secret: secret.client_secret ?? '' },
      { client_id: client.client_id },
    ]) {
      const response = await server.post(
        '/oauth/token',
        { ...grant('x'), ...more } as Record<string, string>,
        headers,
      );
      expect(await answerOf(response)).toMatchObject({
        status: 400,
        body: { error: 'invalid_request' },
      });
    }
    const same = { ...grant(await code(secret)), client_id: secret.client_id };
    expect((await server.post('/oauth/token', same, headers)).status).toBe(200);
  });

  it('E8: takes Basic credentials that are form-encoded', async () => {
    const id = 'a client:with colon+plus';
    const secretText = 'p%w: d+';
    await server.store.clients.syncStatic([
      { id, name: 'Bot', redirectUris: [REDIRECT_URI], secretDigest: digestOf(secretText) },
    ]);
    const headers = basic(id, secretText);
    const form = grant(await code({ client_id: id }));
    expect((await server.post('/oauth/token', form, headers)).status).toBe(200);
  });

  it('R8: is one of the configuration and sends its secret either way, but must send it', async () => {
    const bot = { id: 'bot', name: 'Bot', redirectUris: [REDIRECT_URI] };
    const open = { id: 'open', name: 'Open', redirectUris: [REDIRECT_URI], secretDigest: null };
    await server.store.clients.syncStatic([{ ...bot, secretDigest: digestOf('s3cret') }, open]);
    const of = { client_id: 'bot' };
    const byPost = { ...grant(await code(of)), ...of, client_secret: 's3cret' };
    expect((await server.post('/oauth/token', byPost)).status).toBe(200);
    const byBasic = grant(await code(of));
    expect((await server.post('/oauth/token', byBasic, basic('bot', 's3cret'))).status).toBe(200);
    const without = { ...grant(await code(of)), ...of };
    expect((await server.post('/oauth/token', without)).status).toBe(401);
    const anyone = { ...grant(await code({ client_id: 'open' })), client_id: 'open' };
    expect((await server.post('/oauth/token', anyone)).status).toBe(200);
    await server.store.clients.syncStatic([]);
    expect((await server.post('/oauth/token', byPost)).status).toBe(401);
  });
});

describe('token endpoint (RFC 6749 section 3.2), the answer', () => {
  it('E8: holds everything a client needs and is not kept by caches', async () => {
    const response = await server.exchange(client, await code());
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toStartWith('application/json');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.json()).toEqual({
      access_token: expect.stringMatching(/^fjmcp_at_[A-Za-z0-9_-]{43}$/),
      token_type: 'Bearer',
      expires_in: (8 * HOUR) / 1000,
      refresh_token: expect.stringMatching(/^fjmcp_rt_[A-Za-z0-9_-]{43}$/),
      scope: 'forgejo:read forgejo:write',
    });
  });

  it('E8: keeps its refusals out of caches too', async () => {
    const response = await server.exchange(client, 'unknown');
    expect(response.status).toBe(400);
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  it('E11: has a refresh token and the granted scope, whatever scope was asked for', async () => {
    for (const [scope, granted] of [
      [undefined, 'forgejo:read forgejo:write'],
      ['offline_access', 'forgejo:read forgejo:write'],
      [' offline_access', 'forgejo:read forgejo:write'],
      ['openid', 'forgejo:read forgejo:write'],
      ['forgejo:read', 'forgejo:read'],
      ['forgejo:delete  x', 'forgejo:read forgejo:write forgejo:delete'],
    ] as const) {
      const url = await new TestBrowser(server).signIn(authorizeUrl(client.client_id, { scope }));
      const answer = await server.exchange(client, url.searchParams.get('code') ?? '');
      const tokens = (await answer.json()) as Tokens;
      expect(tokens.scope).toBe(granted);
      expect(tokens.refresh_token).toStartWith('fjmcp_rt_');
    }
  });

  it('is given at the root of the origin too, without a redirect', async () => {
    const form = { ...grant(await code()), client_id: client.client_id };
    expect((await server.post('/token', form)).status).toBe(200);
  });

  it('can be read by the scripts of the listed origins, refusals too', async () => {
    for (const [origin, allowed] of [
      [BROWSER_CLIENT, BROWSER_CLIENT],
      [ORIGIN, ORIGIN],
      ['https://evil.example', null],
    ] as const) {
      const form = { ...grant('x'), client_id: client.client_id };
      const response = await server.post('/oauth/token', form, { origin });
      expect(response.headers.get('access-control-allow-origin')).toBe(allowed);
      expect(response.headers.get('vary')).toBe('Origin');
      const otherMethod = await server.fetch('/oauth/token', { headers: { origin } });
      expect(otherMethod.status).toBe(405);
      expect(otherMethod.headers.get('access-control-allow-origin')).toBe(allowed);
      expect(otherMethod.headers.get('vary')).toBe('Origin');
      const preflight = await server.fetch('/oauth/token', {
        method: 'OPTIONS',
        headers: { origin },
      });
      expect(preflight.status).toBe(allowed === null ? 403 : 204);
    }
  });
});
