import { beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import { STATE_LENGTH_MAX } from '../../app/oauth/authorization-request.ts';
import { BROWSER_COOKIE } from '../../app/oauth/browser.ts';
import {
  authorizeUrl,
  CHALLENGE,
  FORGE,
  ORIGIN,
  PRIVATE_USE_URI,
  REDIRECT_URI,
  RESOURCE,
  type Registered,
  STATE,
  TestBrowser,
  TestServer,
} from './harness.ts';

let server: TestServer;
let client: Registered;
let browser: TestBrowser;

beforeEach(async () => {
  server = new TestServer();
  client = await server.register();
  browser = new TestBrowser(server);
});

/** Where an error sends the browser; fails when it stays. */
async function refusal(change: Record<string, string | undefined>, more = ''): Promise<URL> {
  const { response } = await browser.get(authorizeUrl(client.client_id, change) + more);
  expect(response.status).toBe(303);
  const location = new URL(response.headers.get('location') ?? '');
  expect(`${location.origin}${location.pathname}`).toBe(REDIRECT_URI);
  expect(location.searchParams.has('code')).toBe(false);
  return location;
}

async function page(url: string) {
  const shown = await browser.get(url);
  return { status: shown.response.status, location: shown.response.headers.get('location'), shown };
}

describe('authorization endpoint, before client and redirect URI are known', () => {
  it('E1: answers an unknown, missing or repeated client with a page and no redirect', async () => {
    for (const url of [
      authorizeUrl('nobody'),
      authorizeUrl(client.client_id, { client_id: undefined }),
      authorizeUrl(client.client_id, { client_id: '' }),
      `${authorizeUrl(client.client_id)}&client_id=${client.client_id}`,
      `${authorizeUrl(client.client_id)}&client_id=nobody`,
      '/oauth/authorize',
    ]) {
      expect(await page(url)).toMatchObject({ status: 400, location: null });
    }
  });

  it('S8: never redirects to a URI that is not registered, whatever else is wrong', async () => {
    for (const change of [
      { redirect_uri: 'https://evil.example/' },
      { redirect_uri: `${REDIRECT_URI}/` },
      { redirect_uri: `${REDIRECT_URI}?next=https://evil.example` },
      { redirect_uri: `${REDIRECT_URI}#` },
      { redirect_uri: 'javascript:alert(1)' },
      { redirect_uri: 'https://evil.example/', response_type: 'token' },
      { redirect_uri: 'https://evil.example/', code_challenge: undefined },
    ]) {
      const answer = await page(authorizeUrl(client.client_id, change));
      expect(answer).toMatchObject({ status: 400, location: null });
      expect(answer.shown.text).not.toContain('evil.example');
    }
    const twice = `${authorizeUrl(client.client_id)}&redirect_uri=${encodeURIComponent(REDIRECT_URI)}`;
    expect(await page(twice)).toMatchObject({ status: 400, location: null });
  });

  it('[CVE-2025-4143] refuses a redirect URI that is not registered already here', async () => {
    const { shown } = await page(
      authorizeUrl(client.client_id, { redirect_uri: 'https://evil.example/callback' }),
    );
    expect(shown.title).toBe('This link leads somewhere it must not');
    expect(shown.action).toBe('');
    const detail = `client ${client.client_id} asked for https://evil.example/callback`;
    expect(server.log.of('authorization.problem').at(-1)).toMatchObject({ detail });
  });

  it('E1: wants redirect_uri when several are registered, and takes the only one otherwise', async () => {
    const only = await page(authorizeUrl(client.client_id, { redirect_uri: undefined }));
    expect(only.status).toBe(200);
    expect(only.shown.text).toContain('client.example');
    const several = await server.register({ redirect_uris: [REDIRECT_URI, `${REDIRECT_URI}/2`] });
    const unclear = await page(authorizeUrl(several.client_id, { redirect_uri: undefined }));
    expect(unclear).toMatchObject({ status: 400, location: null });
  });

  it('R3: no longer knows a private-use URI that the administrator has taken off the list', async () => {
    const cursor = await server.register({ redirect_uris: [PRIVATE_USE_URI] });
    const change = { redirect_uri: PRIVATE_USE_URI };
    expect((await page(authorizeUrl(cursor.client_id, change))).status).toBe(200);
    const narrowed = new TestServer({ redirectAllowlist: () => [], wrapStore: () => server.store });
    const { response } = await new TestBrowser(narrowed).get(
      authorizeUrl(cursor.client_id, change),
    );
    expect(response.status).toBe(400);
  });

  it('answers another method with 405, and HEAD begins nothing', async () => {
    for (const method of ['HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const response = await server.fetch(authorizeUrl(client.client_id), { method });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('GET');
    }
    expect(server.log.of('authorization.asked')).toHaveLength(0);
  });
});

describe('authorization endpoint, once the redirect URI is known', () => {
  it('E2: redirects every other fault with error, state and iss', async () => {
    const faults: [Record<string, string | undefined>, string][] = [
      [{ response_type: undefined }, 'invalid_request'],
      [{ response_type: 'token' }, 'unsupported_response_type'],
      [{ response_type: 'code id_token' }, 'unsupported_response_type'],
      [{ response_mode: 'fragment' }, 'invalid_request'],
      [{ code_challenge: undefined }, 'invalid_request'],
      [{ resource: 'https://other.example/mcp' }, 'invalid_target'],
    ];
    for (const [change, error] of faults) {
      const location = await refusal(change);
      expect(location.searchParams.get('error')).toBe(error);
      expect(location.searchParams.get('state')).toBe(STATE);
      expect(location.searchParams.get('iss')).toBe(ORIGIN);
    }
  });

  it('E2: refuses each parameter that stands twice, with the same value too', async () => {
    for (const name of [
      'response_type',
      'code_challenge',
      'code_challenge_method',
      'scope',
      'response_mode',
    ]) {
      const base = { scope: 'a', response_mode: 'query' };
      const value = new URLSearchParams(authorizeUrl('x', base).split('?')[1]).get(name) ?? '';
      const location = await refusal(base, `&${new URLSearchParams({ [name]: value })}`);
      expect(location.searchParams.get('error')).toBe('invalid_request');
      expect(location.searchParams.get('state')).toBe(STATE);
    }
  });

  it('E2: gives back no state when there are two to choose from, or none', async () => {
    const two = await refusal({}, '&state=another');
    expect(two.searchParams.get('error')).toBe('invalid_request');
    expect(two.searchParams.has('state')).toBe(false);
    const none = await refusal({ state: undefined, response_type: 'token' });
    expect(none.searchParams.has('state')).toBe(false);
    expect(none.searchParams.get('iss')).toBe(ORIGIN);
  });

  it('E2: takes a state of the longest length and refuses one character more', async () => {
    const longest = 's'.repeat(STATE_LENGTH_MAX);
    expect((await page(authorizeUrl(client.client_id, { state: longest }))).status).toBe(200);
    const location = await refusal({ state: `${longest}s` });
    expect(location.searchParams.get('error')).toBe('invalid_request');
  });

  it('E3: refuses a request without a challenge, with plain, without a method, or misshapen', async () => {
    for (const change of [
      { code_challenge: undefined, code_challenge_method: undefined },
      { code_challenge_method: 'plain' },
      { code_challenge_method: undefined },
      { code_challenge_method: 's256' },
      { code_challenge: CHALLENGE.slice(1) },
      { code_challenge: `${CHALLENGE}=` },
      { code_challenge: `${CHALLENGE.slice(1)}+` },
    ]) {
      expect((await refusal(change)).searchParams.get('error')).toBe('invalid_request');
    }
  });

  it('E5: takes the resource in each form that clients send, and none', async () => {
    for (const resource of [
      undefined,
      RESOURCE,
      `${RESOURCE}/`,
      ORIGIN,
      `${ORIGIN}/`,
      'HTTPS://Broker.Example/mcp',
      'https://BROKER.example/',
    ]) {
      expect((await page(authorizeUrl(client.client_id, { resource }))).status).toBe(200);
    }
    const both = `${authorizeUrl(client.client_id)}&resource=${encodeURIComponent(ORIGIN)}`;
    expect((await page(both)).status).toBe(200);
  });

  it('E5: refuses every other resource with invalid_target', async () => {
    for (const resource of [
      'https://other.example/mcp',
      `${RESOURCE}/x`,
      `${RESOURCE}//`,
      `${ORIGIN}/MCP`,
      `${RESOURCE}?x=1`,
      `${RESOURCE}#x`,
      'https://broker.example:443/mcp',
      'https://broker.example.evil.example/mcp',
      'http://broker.example/mcp',
      'broker.example',
      'mcp',
    ]) {
      expect((await refusal({ resource })).searchParams.get('error')).toBe('invalid_target');
    }
    const mixed = await refusal({}, '&resource=https%3A%2F%2Fother.example%2Fmcp');
    expect(mixed.searchParams.get('error')).toBe('invalid_target');
  });

  it('E11: takes every scope that clients send, and none', async () => {
    for (const scope of [
      undefined,
      '',
      ' offline_access',
      'forgejo:delete  offline_access',
      'openid x',
    ]) {
      expect((await page(authorizeUrl(client.client_id, { scope }))).status).toBe(200);
    }
  });

  it('E7: takes a loopback redirect URI with another port, and goes back to that port', async () => {
    const local = await server.register({ redirect_uris: ['http://localhost/callback'] });
    const uri = 'http://localhost:51234/callback';
    const code = await browser.signIn(authorizeUrl(local.client_id, { redirect_uri: uri }));
    expect(`${code.origin}${code.pathname}`).toBe(uri);
    expect(code.searchParams.get('code')).toStartWith('fjmcp_ac_');
  });

  it('adds to the query of a redirect URI and leaves the rest letter by letter', async () => {
    const uri = 'https://client.example/callback?a=%20b&c';
    const own = await server.register({ redirect_uris: [uri] });
    const url = authorizeUrl(own.client_id, { redirect_uri: uri, response_type: 'token' });
    const { location } = await page(url);
    expect(location).toStartWith(`${uri}&error=unsupported_response_type`);
  });

  it('puts people off when too many sign-ins are on their way, one beyond the limit', async () => {
    server = new TestServer({ limits: { clientsMax: 10, requestsMax: 2 } });
    client = await server.register();
    browser = new TestBrowser(server);
    for (let n = 0; n < 2; n += 1) {
      expect((await page(authorizeUrl(client.client_id))).status).toBe(200);
    }
    const location = await refusal({});
    expect(location.searchParams.get('error')).toBe('temporarily_unavailable');
    expect(location.searchParams.get('state')).toBe(STATE);
    expect(location.searchParams.get('iss')).toBe(ORIGIN);
  });

  it('keeps the answers out of caches and the address out of referrers', async () => {
    const { response } = await browser.get(authorizeUrl(client.client_id, { response_type: 'x' }));
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('referrer-policy')).toBe('same-origin');
  });
});

describe('the consent page', () => {
  it('S1: names client, place and permission before anybody has left for Forgejo', async () => {
    const { response, text, title } = await browser.get(authorizeUrl(client.client_id));
    expect(response.status).toBe(200);
    expect(title).toBe('Allow access to forge.example?');
    expect(text).toContain('calls itself <strong><bdi>A client</bdi></strong>');
    expect(text).toContain('<p class="place">client.example</p>');
    expect(text).toContain('<legend>What it may do</legend>');
    expect(text).toContain('name="scope" value="forgejo:write" checked');
    expect(response.headers.get('location')).toBeNull();
    expect(response.headers.get('refresh')).toBeNull();
    expect(text).not.toContain(FORGE);
  });

  it('S1: is shown every time, to a browser that has allowed the same client before too', async () => {
    for (let n = 0; n < 3; n += 1) {
      await browser.signIn(authorizeUrl(client.client_id));
      const again = await browser.get(authorizeUrl(client.client_id));
      expect(again.response.status).toBe(200);
      expect(again.title).toBe('Allow access to forge.example?');
    }
  });

  it('S1: says which program on the own computer a loopback or private-use URI means', async () => {
    const local = await server.register({
      redirect_uris: ['http://127.0.0.1/callback', PRIVATE_USE_URI],
    });
    const loopback = { redirect_uri: 'http://127.0.0.1:999/callback' };
    const first = await browser.get(authorizeUrl(local.client_id, loopback));
    expect(first.text).toContain('a program on your own computer');
    const own = { redirect_uri: PRIVATE_USE_URI };
    const second = await browser.get(authorizeUrl(local.client_id, own));
    expect(second.text).toContain('the program on this device that opens “cursor:” links');
  });

  it('S1: shows the client as text, whatever it calls itself', async () => {
    const evil = await server.register({ client_name: '</strong><script>alert(1)</script>"' });
    const { text } = await browser.get(authorizeUrl(evil.client_id));
    expect(text).not.toContain('<script');
    expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;&quot;');
  });

  it('S1: shows the login that this browser knows, and no other browser sees it', async () => {
    expect((await browser.get(authorizeUrl(client.client_id))).text).not.toContain('alice');
    await browser.signIn(authorizeUrl(client.client_id));
    expect((await browser.get(authorizeUrl(client.client_id))).text).toContain('<bdi>alice</bdi>');
    const other = await new TestBrowser(server).get(authorizeUrl(client.client_id));
    expect(other.text).not.toContain('alice');
  });

  it('E14: cannot be framed, runs no script and loads nothing', async () => {
    const { response } = await browser.get(authorizeUrl(client.client_id));
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("form-action 'self'");
    expect(response.headers.get('x-frame-options')).toBe('DENY');
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  it('S2: names the browser in one cookie that only this host gets, over TLS, and no script reads', async () => {
    const { response } = await browser.get(authorizeUrl(client.client_id));
    const [cookie = '', ...others] = response.headers.getSetCookie();
    expect(others).toHaveLength(0);
    expect(cookie).toMatch(new RegExp(`^${BROWSER_COOKIE}=[A-Za-z0-9_-]{43}; `));
    const attributes = cookie.split('; ').slice(1).sort();
    expect(attributes).toEqual(['HttpOnly', 'Max-Age=2592000', 'Path=/', 'SameSite=Lax', 'Secure']);
    expect(BROWSER_COOKIE).toStartWith('__Host-');
  });

  it('S2: keeps the name of a browser that has one, and takes none of two or of another shape', async () => {
    await browser.get(authorizeUrl(client.client_id));
    const named = browser.cookie;
    await browser.get(authorizeUrl(client.client_id));
    expect(browser.cookie).toBe(named);
    for (const cookie of [
      `${named}; ${BROWSER_COOKIE}=${'x'.repeat(43)}`,
      `${BROWSER_COOKIE}=short`,
    ]) {
      const answer = await server.fetch(authorizeUrl(client.client_id), { headers: { cookie } });
      const [set = ''] = answer.headers.getSetCookie();
      expect(cookie).not.toContain(set.split(';')[0] ?? '');
    }
  });

  it('is asked for at the root of the origin too, without a redirect', async () => {
    const { response } = await browser.get(authorizeUrl(client.client_id).replace('/oauth', ''));
    expect(response.status).toBe(200);
  });

  it('keeps of the request its digests, and the state of the client sealed', async () => {
    const shown = await browser.get(authorizeUrl(client.client_id));
    expect(shown.fields.request).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(shown.fields.approval).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(digestOf(shown.fields.approval ?? '')).not.toBe(shown.fields.request as never);
    expect(server.log.text()).not.toContain(shown.fields.approval ?? 'none');
    expect(server.log.text()).not.toContain(STATE);
  });
});
