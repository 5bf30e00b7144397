import { beforeEach, describe, expect, it } from 'bun:test';
import { STAGE_TTL_MS } from '../../app/oauth/running-request.ts';
import {
  authorizeUrl,
  DAY,
  linksOf,
  ORIGIN,
  REDIRECT_URI,
  type Registered,
  type Shown,
  STATE,
  stateOf,
  TestBrowser,
  TestServer,
  targetOf,
} from './harness.ts';

let server: TestServer;
let client: Registered;
let browser: TestBrowser;

beforeEach(async () => {
  server = new TestServer();
  client = await server.register();
  browser = new TestBrowser(server);
});

/** Approves in `browser`; the upstream state with which Forgejo sends it back. */
async function approve(): Promise<string> {
  const consent = await browser.get(authorizeUrl(client.client_id));
  return stateOf(await browser.press(consent, 'allow'));
}

function location(page: Shown): URL {
  expect(page.response.status).toBe(303);
  return new URL(page.response.headers.get('location') ?? '');
}

describe('the return from Forgejo, refused', () => {
  it('S2: without state, with an unknown or repeated one, and without code', async () => {
    const state = await approve();
    for (const query of [
      '',
      'code=x',
      'code=x&state=',
      `code=x&state=${'x'.repeat(43)}`,
      `code=x&state=${state}&state=${state}`,
      `code=x&code=y&state=${state}`,
      `state=${state}`,
    ]) {
      const page = await browser.get(`/oauth/callback?${query}`);
      expect({ query, status: page.response.status }).toEqual({ query, status: 400 });
      expect(page.title).toBe('This sign-in is already over');
    }
    expect(server.forge.exchanges).toHaveLength(0);
    expect((await browser.comeBack(state)).response.status).toBe(200);
  });

  it('[GHSA-rww4-4w9c-7733] in another browser than the one that approved, and nothing is taken', async () => {
    const state = await approve();
    const victim = new TestBrowser(server);
    await victim.get(authorizeUrl(client.client_id));
    for (const wrong of [victim, new TestBrowser(server)]) {
      const page = await wrong.comeBack(state);
      expect(page.response.status).toBe(403);
      expect(page.title).toBe('Go on in the browser where you began');
      // No way on: a link here would carry a stranger through the sign-in of an attacker.
      expect(linksOf(page)).toHaveLength(0);
    }
    expect(server.forge.exchanges).toHaveLength(0);
    expect((await browser.comeBack(state)).response.status).toBe(200);
  });

  it('[GHSA-c2jp-c369-7pvx] when nobody approved: there is no state to come back with', async () => {
    const consent = await browser.get(authorizeUrl(client.client_id));
    for (const state of Object.values(consent.fields)) {
      expect((await browser.comeBack(state)).response.status).toBe(400);
    }
    expect(server.forge.exchanges).toHaveLength(0);
    expect(await server.grants()).toHaveLength(0);
  });

  it('[Gitea/Forgejo upstream] the second time, with a page that helps, and without a second exchange', async () => {
    const state = await approve();
    await browser.comeBack(state);
    const again = await browser.comeBack(state);
    expect(again.response.status).toBe(400);
    expect(again.title).toBe('This sign-in is already over');
    expect(again.text).toContain('If your application is connected, you can close this page.');
    expect(server.forge.exchanges).toHaveLength(1);
  });

  it('S2: when two loads race, but for one', async () => {
    const state = await approve();
    const pages = await Promise.all([1, 2, 3].map(() => browser.comeBack(state)));
    expect(pages.map((page) => page.response.status).sort()).toEqual([200, 400, 400]);
    expect(server.forge.exchanges).toHaveLength(1);
  });

  it('S2: ten minutes after the approval', async () => {
    const state = await approve();
    server.clock.advance(STAGE_TTL_MS);
    expect((await browser.comeBack(state)).response.status).toBe(400);
  });

  it('with 405 for another method; HEAD takes nothing', async () => {
    const state = await approve();
    for (const method of ['HEAD', 'POST']) {
      const response = await server.fetch(`/oauth/callback?code=x&state=${state}`, {
        method,
        headers: { cookie: browser.cookie },
      });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('GET');
    }
    expect((await browser.comeBack(state)).response.status).toBe(200);
  });
});

describe('the return from Forgejo without a sign-in', () => {
  it('tells the client access_denied when the person refused at Forgejo', async () => {
    const back = location(await browser.comeBack(await approve(), { error: 'access_denied' }));
    expect(`${back.origin}${back.pathname}`).toBe(REDIRECT_URI);
    expect(back.searchParams.get('error')).toBe('access_denied');
    expect(back.searchParams.get('state')).toBe(STATE);
    expect(back.searchParams.get('iss')).toBe(ORIGIN);
    expect(server.forge.exchanges).toHaveLength(0);
  });

  it('shows a page with a retry that works while Forgejo is away', async () => {
    server.forge.failure = { kind: 'try_later', detail: 'connect ECONNREFUSED 10.0.0.7:3000' };
    const away = await browser.comeBack(await approve());
    expect(away.response.status).toBe(503);
    expect(away.response.headers.get('retry-after')).toBe('5');
    expect(away.title).toBe('Forgejo cannot be reached now');
    expect(away.text).not.toContain('ECONNREFUSED');
    expect(server.log.text()).toContain('ECONNREFUSED');
    server.forge.failure = undefined;
    const [retry = ''] = linksOf(away);
    const code = await browser.signIn(retry);
    expect(code.searchParams.get('state')).toBe(STATE);
    const tokens = await server.exchange(client, code.searchParams.get('code') ?? '');
    expect(tokens.status).toBe(200);
  });

  it('retries a request that named neither redirect URI nor state as it was', async () => {
    server.forge.failure = { kind: 'try_later', detail: 'away' };
    const bare = { redirect_uri: undefined, state: undefined };
    const away = await browser.approve(authorizeUrl(client.client_id, bare));
    server.forge.failure = undefined;
    const code = await browser.signIn(linksOf(away)[0] ?? '');
    expect(code.searchParams.has('state')).toBe(false);
  });

  it('tells Forgejo away from Forgejo refusing this server, by its error too', async () => {
    for (const error of ['server_error', 'temporarily_unavailable']) {
      expect((await browser.comeBack(await approve(), { error })).response.status).toBe(503);
    }
    for (const error of ['unauthorized_client', 'invalid_scope', '<script>', 'x\ny']) {
      const page = await browser.comeBack(await approve(), { error });
      expect(page.response.status).toBe(502);
      expect(page.text).not.toContain('script>');
    }
    expect(server.log.text()).not.toContain('script');
  });

  it('sends people to the administrator when this server is misconfigured, and leaks nothing', async () => {
    server.forge.failure = { kind: 'misconfigured', detail: 'invalid_client: wrong secret' };
    const page = await browser.comeBack(await approve());
    expect(page.response.status).toBe(502);
    expect(page.text).toContain('tell the administrator');
    expect(page.text).not.toContain('invalid_client');
    const [line] = server.log.of('authorization.problem');
    expect(line).toMatchObject({ level: 'error', detail: 'invalid_client: wrong secret' });
  });

  it('offers to start again when Forgejo does not take its own code', async () => {
    server.forge.failure = { kind: 'sign_in_again', detail: 'unauthorized_client' };
    const page = await browser.comeBack(await approve());
    expect(page.response.status).toBe(400);
    server.forge.failure = undefined;
    expect((await browser.get(linksOf(page)[0] ?? '')).response.status).toBe(200);
  });

  it('refuses a person whom Forgejo has locked out, with a page and without a code', async () => {
    for (const [reason, login, words] of [
      ['inactive', 'mallory', 'The account mallory is not active'],
      ['prohibited', 'mallory', 'The account mallory is not allowed to sign in'],
      ['prohibited', null, 'This account is not allowed to sign in'],
    ] as const) {
      server.forge.failure = { kind: 'refused', reason, login };
      const page = await browser.comeBack(await approve());
      expect(page.response.status).toBe(403);
      expect(page.text).toContain(words);
      expect(page.response.headers.get('location')).toBeNull();
      const back = new URL(linksOf(page)[0] ?? '');
      expect(back.searchParams.get('error')).toBe('access_denied');
      expect(back.searchParams.get('state')).toBe(STATE);
    }
    expect(await server.grants()).toHaveLength(0);
  });
});

describe('the return from Forgejo with a sign-in', () => {
  it('[Gitea/Forgejo upstream] exchanges the code with the verifier of this very state', async () => {
    const state = await approve();
    await browser.comeBack(state, { code: 'gta_one' });
    const codeVerifier = server.parts.keyring.upstreamVerifier(state);
    expect(server.forge.exchanges).toEqual([{ code: 'gta_one', codeVerifier }]);
    expect(codeVerifier).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  it('S1: names the account and asks, when the consent page showed none', async () => {
    const page = await browser.comeBack(await approve());
    expect(page.response.status).toBe(200);
    expect(page.title).toBe('Connect as alice?');
    expect(page.action).toBe('/oauth/confirm');
    expect(await server.grants()).toHaveLength(0);
  });

  it('[CVE-2026-27124] names the account and asks, when it is another than the consent page showed', async () => {
    await browser.signIn(authorizeUrl(client.client_id));
    server.forge.user = { id: 8, login: 'bob', isAdmin: false };
    const page = await browser.comeBack(await approve());
    expect(page.title).toBe('Connect as bob?');
    expect(await server.store.grants.listLive(8)).toHaveLength(0);
  });

  it('S1: asks when another account has taken over the login that was shown', async () => {
    await browser.signIn(authorizeUrl(client.client_id));
    server.forge.user = { id: 9, login: 'alice', isAdmin: false };
    expect((await browser.comeBack(await approve())).title).toBe('Connect as alice?');
  });

  it('S1: asks when somebody else signed in with the browser after the page was shown', async () => {
    await browser.signIn(authorizeUrl(client.client_id));
    const shownAlice = await browser.get(authorizeUrl(client.client_id));
    server.forge.user = { id: 8, login: 'bob', isAdmin: false };
    await browser.signIn(authorizeUrl(client.client_id));
    const gone = await browser.press(shownAlice, 'allow');
    expect((await browser.comeBack(stateOf(gone))).title).toBe('Connect as bob?');
  });

  it('E4: goes straight back with code, state and iss when it is the account that was shown', async () => {
    await browser.signIn(authorizeUrl(client.client_id));
    const page = await browser.comeBack(await approve());
    const back = location(page);
    expect(`${back.origin}${back.pathname}`).toBe(REDIRECT_URI);
    expect([...back.searchParams.keys()].sort()).toEqual(['code', 'iss', 'state']);
    expect(back.searchParams.get('code')).toMatch(/^fjmcp_ac_[A-Za-z0-9_-]{43}$/);
    expect(back.searchParams.get('state')).toBe(STATE);
    expect(back.searchParams.get('iss')).toBe(ORIGIN);
    expect(page.response.headers.get('cache-control')).toBe('no-store');
    expect(page.response.headers.get('referrer-policy')).toBe('same-origin');
  });

  it('E14: goes back with 303, never with a status that repeats a POST', async () => {
    await browser.signIn(authorizeUrl(client.client_id));
    expect((await browser.comeBack(await approve())).response.status).toBe(303);
  });

  it('forgets the account of a browser that was away for a month', async () => {
    await browser.signIn(authorizeUrl(client.client_id));
    server.clock.advance(30 * DAY);
    expect((await browser.get(authorizeUrl(client.client_id))).text).not.toContain('alice');
    expect((await browser.comeBack(await approve())).title).toBe('Connect as alice?');
  });
});

describe('the answer to the page that names the account', () => {
  async function confirmPage(): Promise<Shown> {
    return browser.comeBack(await approve());
  }

  it('S1: brings the code to the client, and the browser remembers the account', async () => {
    const page = await confirmPage();
    expect((await browser.get(authorizeUrl(client.client_id))).text).not.toContain('alice');
    const gone = await browser.press(page, 'allow');
    const target = targetOf(gone);
    expect(target.searchParams.get('code')).toStartWith('fjmcp_ac_');
    expect(target.searchParams.get('state')).toBe(STATE);
    expect(target.searchParams.get('iss')).toBe(ORIGIN);
    expect((await browser.get(authorizeUrl(client.client_id))).text).toContain('alice');
    expect(await server.grants()).toMatchObject([{ clientId: client.client_id, accountId: 7 }]);
  });

  it('S1: is refused from another site, from another browser and without the one-time value', async () => {
    const page = await confirmPage();
    const evil = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    expect((await browser.press(page, 'allow', evil)).response.status).toBe(403);
    expect((await new TestBrowser(server).press(page, 'allow')).response.status).toBe(403);
    const { request = '' } = page.fields;
    for (const approval of ['', 'x'.repeat(43)]) {
      const forged = { ...page, fields: { request, approval } };
      expect((await browser.press(forged, 'allow')).response.status).toBe(400);
    }
    expect(await server.grants()).toHaveLength(0);
    expect((await browser.press(page, 'allow')).response.status).toBe(200);
  });

  it('S1: is not the answer to the consent page, nor the other way round', async () => {
    const consent = await browser.get(authorizeUrl(client.client_id));
    const jumped = await browser.press({ ...consent, action: '/oauth/confirm' }, 'allow');
    expect(jumped.response.status).toBe(400);
    const page = await confirmPage();
    const back = await browser.press({ ...page, action: '/oauth/consent' }, 'allow');
    expect(back.response.status).toBe(400);
    expect(await server.grants()).toHaveLength(0);
  });

  it('S1: gives one code, however often it is sent', async () => {
    const page = await confirmPage();
    const answers = await Promise.all([1, 2, 3].map(() => browser.press(page, 'allow')));
    expect(answers.map((answer) => answer.response.status).sort()).toEqual([200, 400, 400]);
    expect(await server.grants()).toHaveLength(1);
  });

  it('tells the client access_denied when the person cancels', async () => {
    const page = await confirmPage();
    const { searchParams } = targetOf(await browser.press(page, 'deny'));
    expect(searchParams.get('error')).toBe('access_denied');
    expect(searchParams.get('iss')).toBe(ORIGIN);
    expect(await server.grants()).toHaveLength(0);
    expect((await browser.press(page, 'allow')).response.status).toBe(400);
  });

  it('explains how to use another account, with a way to start again', async () => {
    const page = await confirmPage();
    expect(page.text).toContain('Not you, or another account?');
    const [forge = '', restart = ''] = linksOf(page);
    expect(forge).toBe('https://forge.example');
    server.forge.user = { id: 8, login: 'bob', isAdmin: false };
    expect((await browser.approve(restart)).title).toBe('Connect as bob?');
  });

  it('is too late after ten minutes', async () => {
    const page = await confirmPage();
    server.clock.advance(STAGE_TTL_MS);
    expect((await browser.press(page, 'allow')).response.status).toBe(400);
  });
});

describe('the return from Forgejo to a broker that hands over', () => {
  it('is a page that tries again, and the next broker finds everything as it was', async () => {
    const state = await approve();
    server.forge.open = false;
    const page = await browser.comeBack(state);
    expect(page.response.status).toBe(503);
    expect(page.title).toBe('One moment');
    // The browser repeats the request as it was.
    expect(page.response.headers.get('refresh')).toBe('1');
    expect(server.forge.exchanges).toHaveLength(0);
    server.forge.open = true;
    expect((await browser.comeBack(state)).response.status).toBe(200);
    expect(server.forge.exchanges).toHaveLength(1);
  });
});
