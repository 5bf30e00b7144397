import { beforeEach, describe, expect, it } from 'bun:test';
import {
  answerOf,
  BROWSER_CLIENT,
  DAY,
  type Registered,
  TestServer,
  type Tokens,
} from './harness.ts';

let server: TestServer;
let client: Registered;
let tokens: Tokens;

beforeEach(async () => {
  server = new TestServer();
  client = await server.register();
  tokens = await server.connect(client);
});

function revoke(of: Registered, form: Record<string, string>) {
  return server.post('/oauth/revoke', { client_id: of.client_id, ...form });
}

async function empty(response: Response): Promise<void> {
  expect(response.status).toBe(200);
  expect(await response.text()).toBe('');
  expect(response.headers.get('cache-control')).toBe('no-store');
}

describe('revocation (RFC 7009), without effect', () => {
  it('E12: for the token of another client, which stays good', async () => {
    const other = await server.register({ client_name: 'Another' });
    await empty(await revoke(other, { token: tokens.refresh_token }));
    await empty(await revoke(other, { token: tokens.access_token }));
    expect(await server.use(tokens.access_token)).toBe(true);
    expect((await server.refresh(client, tokens.refresh_token)).status).toBe(200);
    expect(server.ended).toHaveLength(0);
  });

  it('E12: for an unknown token, with the same empty 200', async () => {
    await empty(await revoke(client, { token: 'unknown' }));
    await empty(await revoke(client, { token: 'fjmcp_ac_code', token_type_hint: 'code' }));
    expect(server.ended).toHaveLength(0);
  });

  it('E12: for a client that is unknown or does not prove who it is', async () => {
    const secret = await server.register({ token_endpoint_auth_method: 'client_secret_basic' });
    const of = await answerOf(
      await revoke({ client_id: 'nobody' }, { token: tokens.refresh_token }),
    );
    expect(of).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    const bare = await answerOf(await revoke(secret, { token: tokens.refresh_token }));
    expect(bare).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    expect(await server.use(tokens.access_token)).toBe(true);
    expect(server.log.of('revocation.refused')).toHaveLength(2);
  });

  it('E12: without a token, with two, as JSON or in the query', async () => {
    expect(await answerOf(await revoke(client, {}))).toMatchObject({
      status: 400,
      body: { error: 'invalid_request' },
    });
    const twice: [string, string][] = [
      ['client_id', client.client_id],
      ['token', tokens.refresh_token],
      ['token', tokens.refresh_token],
    ];
    expect((await server.post('/oauth/revoke', twice)).status).toBe(400);
    const query = new URLSearchParams({ client_id: client.client_id, token: tokens.refresh_token });
    expect((await server.post(`/oauth/revoke?${query}`, {})).status).toBe(401);
    const json = await server.fetch('/oauth/revoke', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ client_id: client.client_id, token: tokens.refresh_token }),
    });
    expect(json.status).toBe(415);
    expect(await server.use(tokens.access_token)).toBe(true);
  });

  it('with another method, with 405 and Allow', async () => {
    const query = new URLSearchParams({ client_id: client.client_id, token: tokens.refresh_token });
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      const response = await server.fetch(`/oauth/revoke?${query}`, { method });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('POST, OPTIONS');
    }
    expect(await server.use(tokens.access_token)).toBe(true);
  });
});

describe('revocation (RFC 7009), with effect', () => {
  it('E12: a refresh token takes its whole family and every access token with it', async () => {
    const second = (await (await server.refresh(client, tokens.refresh_token)).json()) as Tokens;
    await empty(await revoke(client, { token: second.refresh_token }));
    expect(await server.use(tokens.access_token)).toBe(false);
    expect(await server.use(second.access_token)).toBe(false);
    expect((await server.refresh(client, second.refresh_token)).status).toBe(400);
    expect((await server.refresh(client, tokens.refresh_token)).status).toBe(400);
    expect(server.ended).toMatchObject([{ reason: 'revoked' }]);
  });

  it('E12: an access token ends the connection too', async () => {
    await empty(await revoke(client, { token: tokens.access_token }));
    expect(await server.use(tokens.access_token)).toBe(false);
    expect((await server.refresh(client, tokens.refresh_token)).status).toBe(400);
    expect(server.ended).toMatchObject([{ reason: 'revoked' }]);
  });

  it('E12: whatever the hint says, and once', async () => {
    await empty(
      await revoke(client, { token: tokens.refresh_token, token_type_hint: 'access_token' }),
    );
    await empty(await revoke(client, { token: tokens.access_token, token_type_hint: 'nonsense' }));
    expect(server.ended).toHaveLength(1);
  });

  it('E12: a token that has expired still names its connection', async () => {
    server.clock.advance(DAY);
    await empty(await revoke(client, { token: tokens.access_token }));
    expect(server.ended).toHaveLength(1);
  });

  it('E12: ends this connection only, not another of the same person and client', async () => {
    const other = await server.connect(client);
    await empty(await revoke(client, { token: tokens.refresh_token }));
    expect(await server.use(other.access_token)).toBe(true);
  });

  it('E12: by a client with a secret, and at the root of the origin', async () => {
    const secret = await server.register({ token_endpoint_auth_method: 'client_secret_post' });
    const url = await server.signIn(secret);
    const withSecret = { client_secret: secret.client_secret ?? '' };
    const answer = await server.exchange(secret, url.searchParams.get('code') ?? '', withSecret);
    const theirs = (await answer.json()) as Tokens;
    const form = { client_id: secret.client_id, ...withSecret, token: theirs.refresh_token };
    await empty(await server.post('/revoke', form));
    expect(await server.use(theirs.access_token)).toBe(false);
  });

  it('can be asked by the scripts of the listed origins', async () => {
    const headers = { origin: BROWSER_CLIENT };
    const form = { client_id: client.client_id, token: 'x' };
    const response = await server.post('/oauth/revoke', form, headers);
    expect(response.headers.get('access-control-allow-origin')).toBe(BROWSER_CLIENT);
    const otherMethod = await server.fetch('/oauth/revoke', { headers });
    expect(otherMethod.headers.get('access-control-allow-origin')).toBe(BROWSER_CLIENT);
    const preflight = await server.fetch('/oauth/revoke', { method: 'OPTIONS', headers });
    expect(preflight.status).toBe(204);
  });
});
