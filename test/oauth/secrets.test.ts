import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  authorizeUrl,
  linksOf,
  REDIRECT_URI,
  STATE,
  stateOf,
  TestBrowser,
  TestServer,
  type Tokens,
  targetOf,
  UPSTREAM_ACCESS,
  UPSTREAM_REFRESH,
  VERIFIER,
} from './harness.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-oauth-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** One connection with everything that can go wrong on the way; all secrets that came up. */
async function wholeLife(server: TestServer) {
  const client = await server.register({ token_endpoint_auth_method: 'client_secret_post' });
  const secret = { client_secret: client.client_secret ?? '' };
  const browser = new TestBrowser(server);
  const consent = await browser.get(authorizeUrl(client.client_id));
  const gone = await browser.press(consent, 'allow');
  const upstreamState = stateOf(gone);
  const confirm = await browser.comeBack(upstreamState, { code: 'gta_canary_code' });
  const code = targetOf(await browser.press(confirm, 'allow')).searchParams.get('code') ?? '';
  const tokens = (await (await server.exchange(client, code, secret)).json()) as Tokens;
  const refreshed = await server.refresh(client, tokens.refresh_token, secret);
  const second = (await refreshed.json()) as Tokens;
  await server.exchange(client, code, { client_secret: 'a-wrong-secret-canary' });
  await server.refresh(client, 'fjmcp_rt_a-wrong-token-canary', secret);
  await server.exchange(client, code, secret);
  server.forge.failure = { kind: 'try_later', detail: 'away' };
  const away = await browser.approve(authorizeUrl(client.client_id));
  await browser.get(linksOf(away)[0] ?? '');
  return [
    secret.client_secret,
    browser.cookie.split('=')[1] ?? '',
    consent.fields.approval ?? '',
    confirm.fields.approval ?? '',
    upstreamState,
    server.parts.keyring.upstreamVerifier(upstreamState),
    'gta_canary_code',
    code,
    tokens.access_token,
    tokens.refresh_token,
    second.access_token,
    second.refresh_token,
    'a-wrong-secret-canary',
    'a-wrong-token-canary',
    UPSTREAM_ACCESS,
    UPSTREAM_REFRESH,
    STATE,
    VERIFIER,
  ];
}

describe('secrets of a whole connection', () => {
  it('[logging class] stand in no line of the log', async () => {
    const server = new TestServer();
    const secrets = await wholeLife(server);
    const log = server.log.text();
    expect(log).toContain('token.issued');
    expect(log).toContain('grant.ended');
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(10);
      expect(log).not.toContain(secret);
    }
  });

  it('E13: stand nowhere in the store, but as digests or sealed', async () => {
    const server = new TestServer({ storeOptions: { path: join(directory, 'store.db') } });
    const secrets = await wholeLife(server);
    const files = readdirSync(directory);
    expect(files.length).toBeGreaterThan(0);
    const bytes = Buffer.concat(files.map((name) => readFileSync(join(directory, name))));
    expect(bytes.includes(REDIRECT_URI)).toBe(true);
    for (const secret of secrets) expect(bytes.includes(secret)).toBe(false);
    await server.store.close();
  });

  it('S3: of Forgejo reach neither client nor person, in no answer', async () => {
    const server = new TestServer();
    const answers: string[] = [];
    const fetch = server.fetch.bind(server);
    server.fetch = async (url, init) => {
      const response = await fetch(url, init);
      answers.push(JSON.stringify([...response.headers]), await response.clone().text());
      return response;
    };
    await wholeLife(server);
    expect(answers.length).toBeGreaterThan(20);
    for (const secret of [UPSTREAM_ACCESS, UPSTREAM_REFRESH, 'gta_canary_code']) {
      expect(answers.join('\n')).not.toContain(secret);
    }
  });

  it('S3: of Forgejo are worth nothing here', async () => {
    const server = new TestServer();
    const client = await server.register();
    await server.connect(client);
    expect(await server.use(UPSTREAM_ACCESS)).toBe(false);
    expect((await server.refresh(client, UPSTREAM_REFRESH)).status).toBe(400);
    expect((await server.exchange(client, 'gta_canary_code')).status).toBe(400);
  });

  it('E13: are asked for and sent at addresses of the public origin alone', async () => {
    const server = new TestServer();
    const metadata = await (await server.fetch('/.well-known/oauth-authorization-server')).json();
    for (const [name, value] of Object.entries(metadata as Record<string, unknown>)) {
      if (name.endsWith('_endpoint')) expect(value).toStartWith('https://broker.example/oauth/');
    }
  });
});
