import { beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import { FORM_BYTES_MAX } from '../../app/oauth/parameters.ts';
import { STAGE_TTL_MS } from '../../app/oauth/running-request.ts';
import {
  authorizeUrl,
  FORGE,
  linksOf,
  ORIGIN,
  PRIVATE_USE_URI,
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
let consent: Shown;

beforeEach(async () => {
  server = new TestServer();
  client = await server.register();
  browser = new TestBrowser(server);
  consent = await browser.get(authorizeUrl(client.client_id));
});

/** True while nobody was sent to Forgejo. */
function nobodyLeft(): boolean {
  return server.log.of('authorization.approved').length === 0;
}

describe('the answer to the consent page, refused', () => {
  it('S1: when it comes from another origin, from a sandbox, or from no browser', async () => {
    for (const headers of [
      { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
      { origin: 'https://evil.example' },
      { origin: 'https://evil.broker.example', 'sec-fetch-site': 'same-site' },
      { origin: 'http://broker.example' },
      { origin: `${ORIGIN}:8443` },
      { origin: 'null' },
      { origin: 'null', 'sec-fetch-site': 'same-origin' },
      { origin: '', 'sec-fetch-site': 'same-origin' },
      { origin: ORIGIN, 'sec-fetch-site': 'cross-site' },
      { origin: ORIGIN, 'sec-fetch-site': 'none' },
      { origin: ORIGIN, 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'cross-site' },
      {},
    ] as Record<string, string>[]) {
      const { response, title } = await browser.press(consent, 'allow', headers);
      expect({ headers, status: response.status }).toEqual({ headers, status: 403 });
      expect(title).toBe('This answer did not come from our page');
    }
    expect(nobodyLeft()).toBe(true);
    expect((await browser.press(consent, 'allow')).response.status).toBe(200);
  });

  it('[GHSA-6x8h-498w-gv8c] when another site presses the button in the browser of the person', async () => {
    await browser.signIn(authorizeUrl(client.client_id));
    consent = await browser.get(authorizeUrl(client.client_id));
    const evil = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    const { response } = await browser.press(consent, 'allow', evil);
    expect(response.status).toBe(403);
    expect(await server.grants()).toHaveLength(1);
  });

  it('[GHSA-c2jp-c369-7pvx] when the one-time value is missing, wrong or of another page', async () => {
    const other = await browser.get(authorizeUrl(client.client_id));
    const { request = '', approval = '' } = consent.fields;
    for (const fields of [
      { request },
      { request, approval: '' },
      { request, approval: 'x'.repeat(43) },
      { request, approval: other.fields.approval ?? '' },
      { request: other.fields.request ?? '', approval },
      { request: digestOf(request), approval },
      { approval },
    ] as Record<string, string>[]) {
      const { response } = await browser.press({ ...consent, fields }, 'allow');
      expect(response.status).toBe(400);
    }
    expect(nobodyLeft()).toBe(true);
  });

  it('[CVE-2026-27124] when it comes from another browser, or from one without the cookie', async () => {
    const other = new TestBrowser(server);
    await other.get(authorizeUrl(client.client_id));
    for (const wrong of [other, new TestBrowser(server)]) {
      const { response, title } = await wrong.press(consent, 'allow');
      expect(response.status).toBe(403);
      expect(title).toBe('Go on in the browser where you began');
    }
    expect(nobodyLeft()).toBe(true);
    expect((await browser.press(consent, 'allow')).response.status).toBe(200);
  });

  it('S2: the second time, with a way to start again', async () => {
    await browser.press(consent, 'allow');
    const again = await browser.press(consent, 'allow');
    expect(again.response.status).toBe(400);
    expect(again.title).toBe('This sign-in is already over');
    const [restart = ''] = linksOf(again);
    expect((await browser.get(restart)).title).toBe('Allow access to forge.example?');
    expect(server.log.of('authorization.approved')).toHaveLength(1);
  });

  it('S2: in a later stage, a refusal too: what was allowed goes on', async () => {
    const gone = await browser.press(consent, 'allow');
    expect((await browser.press(consent, 'deny')).response.status).toBe(400);
    expect((await browser.comeBack(stateOf(gone))).title).toBe('Connect as alice?');
  });

  it('S2: when two answers race, but for one', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => browser.press(consent, 'allow')));
    expect(answers.map((answer) => answer.response.status).sort()).toEqual([200, 400, 400]);
  });

  it('S2: ten minutes later', async () => {
    server.clock.advance(STAGE_TTL_MS - 1);
    const late = await browser.get(authorizeUrl(client.client_id));
    server.clock.advance(1);
    expect((await browser.press(consent, 'allow')).response.status).toBe(400);
    expect((await browser.press(late, 'allow')).response.status).toBe(200);
  });

  it('when the form is none, too large, repeats itself or says neither yes nor no', async () => {
    const headers = { cookie: browser.cookie, origin: ORIGIN };
    const post = (body: string, type = 'application/x-www-form-urlencoded') =>
      server.fetch('/oauth/consent', {
        method: 'POST',
        headers: { ...headers, 'content-type': type },
        body,
      });
    const fields = new URLSearchParams({ ...consent.fields, decision: 'allow' });
    expect((await post(`${fields}`, 'text/plain')).status).toBe(415);
    expect((await post(`${fields}&x=${'x'.repeat(FORM_BYTES_MAX)}`)).status).toBe(413);
    expect((await post(`${fields}&decision=allow`)).status).toBe(400);
    expect((await post(`${fields}&approval=x`)).status).toBe(400);
    expect((await post(`${new URLSearchParams(consent.fields)}`)).status).toBe(400);
    fields.set('decision', 'maybe');
    expect((await post(`${fields}`)).status).toBe(400);
    expect(nobodyLeft()).toBe(true);
  });

  it('when the client was removed meanwhile', async () => {
    const bot = { id: 'bot', name: 'Bot', redirectUris: ['https://client.example/callback'] };
    await server.store.clients.syncStatic([{ ...bot, secretDigest: null }]);
    consent = await browser.get(authorizeUrl('bot'));
    await server.store.clients.syncStatic([]);
    expect((await browser.press(consent, 'allow')).title).toBe(
      'This application is not known here',
    );
  });

  it('with 405 and a page that says what to do, for another method', async () => {
    const { response, title, text } = await browser.get('/oauth/consent');
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
    expect(title).toBe('This address cannot be opened by itself');
    expect(text).toContain('connect from there once more');
    for (const method of ['GET', 'HEAD', 'PUT']) {
      const response = await server.fetch('/oauth/consent', { method });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('POST');
    }
  });
});

describe('the answer to the consent page, accepted', () => {
  it('S1: without Sec-Fetch-Site when the Origin is ours, and the other way round', async () => {
    const first = await browser.press(consent, 'allow', { origin: ORIGIN });
    expect(first.response.status).toBe(200);
    const next = await browser.get(authorizeUrl(client.client_id));
    const second = await browser.press(next, 'allow', { 'sec-fetch-site': 'same-origin' });
    expect(second.response.status).toBe(200);
  });

  it('S2: goes on to Forgejo with a fresh state each time, and PKCE', async () => {
    const gone = await browser.press(consent, 'allow');
    const url = targetOf(gone);
    expect(url.origin).toBe(FORGE);
    expect(url.searchParams.get('state')).toMatch(/^[A-Za-z0-9_-]{43}[0-9a-f]{8}$/);
    expect(url.searchParams.get('code_challenge_method')).toBe('S256');
    const next = await browser.press(await browser.get(authorizeUrl(client.client_id)), 'allow');
    expect(stateOf(next)).not.toBe(stateOf(gone));
    expect(targetOf(next).searchParams.get('code_challenge')).not.toBe(
      url.searchParams.get('code_challenge'),
    );
  });

  it('E14: goes on by a page of ours, so that form-action stays strict', async () => {
    const gone = await browser.press(consent, 'allow');
    expect(gone.response.status).toBe(200);
    expect(gone.response.headers.get('location')).toBeNull();
    expect(gone.response.headers.get('content-security-policy')).toContain("form-action 'self'");
    expect(linksOf(gone)).toContain(targetOf(gone).href);
  });

  it('lets a person refuse: the client hears access_denied with state and iss', async () => {
    const refused = await browser.press(consent, 'deny');
    expect(refused.response.status).toBe(200);
    const { searchParams } = targetOf(refused);
    expect(searchParams.get('error')).toBe('access_denied');
    expect(searchParams.get('state')).toBe(STATE);
    expect(searchParams.get('iss')).toBe(ORIGIN);
    expect(nobodyLeft()).toBe(true);
    expect((await browser.press(consent, 'allow')).response.status).toBe(400);
  });

  it('goes back to a private-use URI by the same page', async () => {
    const cursor = await server.register({ redirect_uris: [PRIVATE_USE_URI] });
    const url = authorizeUrl(cursor.client_id, { redirect_uri: PRIVATE_USE_URI });
    const refused = await browser.press(await browser.get(url), 'deny');
    expect(targetOf(refused).href).toStartWith(`${PRIVATE_USE_URI}?error=access_denied&`);
    expect(refused.title).toBe('Continue to the program for “cursor:” links');
  });

  it('tells the program on the own computer where a loopback URI leads', async () => {
    const local = await server.register({ redirect_uris: ['http://localhost/callback'] });
    const url = authorizeUrl(local.client_id, { redirect_uri: 'http://localhost:1/callback' });
    const refused = await browser.press(await browser.get(url), 'deny');
    expect(refused.title).toBe('Continue to the program on your computer');
  });

  it('keeps two sign-ins of one browser apart, in any order', async () => {
    const other = await server.register({ client_name: 'Another' });
    const second = await browser.get(authorizeUrl(other.client_id, { state: 'second' }));
    const [goneSecond, goneFirst] = [
      await browser.press(second, 'allow'),
      await browser.press(consent, 'allow'),
    ];
    const first = await browser.press(await browser.comeBack(stateOf(goneFirst)), 'allow');
    const last = await browser.comeBack(stateOf(goneSecond));
    expect(targetOf(first).searchParams.get('state')).toBe(STATE);
    // The account is known by now, but the second page was shown before it was.
    expect(targetOf(await browser.press(last, 'allow')).searchParams.get('state')).toBe('second');
    expect(await server.grants()).toHaveLength(2);
  });
});
