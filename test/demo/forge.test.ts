import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { type DemoForge, type DemoForgeOptions, startDemoForge } from '../../app/demo/forge.ts';
import type { DemoForgeEvent } from '../../app/demo/forge-event.ts';
import { Person, type PersonStep } from '../../app/demo/person.ts';
import { FakeClock } from '../support/fake-clock.ts';

const CLIENT_ID = 'a-client';
const CLIENT_SECRET = 'gto_a-secret';
const CALLBACK = 'http://127.0.0.1:1/callback';
const VERIFIER = 'v'.repeat(43);

let forge: DemoForge;
let events: DemoForgeEvent[];
let clock: FakeClock;

beforeEach(() => start());
afterEach(() => forge.stop());

async function start(options: Partial<DemoForgeOptions> = {}): Promise<void> {
  await forge?.stop();
  events = [];
  clock = new FakeClock();
  forge = await startDemoForge({
    clientId: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    redirectUris: [CALLBACK],
    onEvent: (event) => events.push(event),
    clock,
    ...options,
  });
}

function authorizeUrl(change: Record<string, string> = {}): URL {
  const url = new URL(`${forge.url}/login/oauth/authorize`);
  const asked = {
    client_id: CLIENT_ID,
    redirect_uri: CALLBACK,
    response_type: 'code',
    state: 'st',
    scope: 'read:user',
    code_challenge_method: 'S256',
    code_challenge: new Bun.CryptoHasher('sha256').update(VERIFIER).digest('base64url'),
    ...change,
  };
  for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
  return url;
}

function person(login: string, steps: PersonStep[] = []): Person {
  const password = forge.users.find((user) => user.login === login)?.password ?? '';
  return new Person({ login, password, onStep: (step) => steps.push(step) });
}

async function codeOf(who: Person, change: Record<string, string> = {}): Promise<string> {
  const back = await who.authorize(authorizeUrl(change), CALLBACK);
  return back.searchParams.get('code') ?? '';
}

interface Answer {
  readonly status: number;
  readonly body: Record<string, string>;
}

async function token(fields: Record<string, string>, headers: Record<string, string> = {}) {
  const answer = await fetch(`${forge.url}/login/oauth/access_token`, {
    method: 'POST',
    body: new URLSearchParams(fields),
    headers,
  });
  return { status: answer.status, body: await answer.json() } as Answer;
}

const CLIENT = { client_id: CLIENT_ID, client_secret: CLIENT_SECRET };

function exchange(code: string, change: Record<string, string> = {}): Promise<Answer> {
  return token({
    ...CLIENT,
    grant_type: 'authorization_code',
    code,
    redirect_uri: CALLBACK,
    code_verifier: VERIFIER,
    ...change,
  });
}

function refresh(refreshToken: string | undefined): Promise<Answer> {
  return token({ ...CLIENT, grant_type: 'refresh_token', refresh_token: refreshToken ?? '' });
}

function api(path: string, accessToken: string | undefined, init: RequestInit = {}) {
  return fetch(`${forge.url}/api/v1${path}`, {
    ...init,
    headers: { authorization: `Bearer ${accessToken}` },
  });
}

async function signIn(login: string): Promise<Record<string, string>> {
  return (await exchange(await codeOf(person(login)))).body;
}

describe('the login form', () => {
  it('is where a browser that is not signed in is sent, with 303', async () => {
    const answer = await fetch(authorizeUrl(), { redirect: 'manual' });
    expect(answer.status).toBe(303);
    expect(answer.headers.get('location')).toBe('/user/login');
  });

  it('has the fields of Forgejo, and works without any script', async () => {
    const page = await (await fetch(`${forge.url}/user/login`)).text();
    for (const field of ['_csrf', 'user_name', 'password'])
      expect(page).toContain(`name="${field}"`);
    expect(page).not.toContain('<script');
  });

  it('refuses a form that another site has sent', async () => {
    const answer = await fetch(`${forge.url}/user/login`, {
      method: 'POST',
      body: new URLSearchParams({ user_name: 'alice', password: 'wonderland', _csrf: 'guess' }),
    });
    expect(answer.status).toBe(400);
  });

  it('shows itself again for a wrong password', async () => {
    const stranger = new Person({ login: 'alice', password: 'wrong' });
    await expect(stranger.authorize(authorizeUrl(), CALLBACK)).rejects.toThrow('steps');
    expect(events.map(({ kind }) => kind)).not.toContain('signed_in');
  });

  it.each(['https://evil.example/', '//evil.example', '/\\evil.example'])(
    'sends nobody to %s afterwards',
    async (target) => {
      const page = await fetch(`${forge.url}/user/login`);
      const csrf = (await page.text()).match(/name="_csrf" value="([^"]+)"/)?.[1] ?? '';
      const cookies = page.headers.getSetCookie().map((value) => value.split(';')[0]);
      const answer = await fetch(`${forge.url}/user/login`, {
        method: 'POST',
        redirect: 'manual',
        body: new URLSearchParams({ user_name: 'bob', password: 'workshop', _csrf: csrf }),
        headers: { cookie: [...cookies, `redirect_to=${encodeURIComponent(target)}`].join('; ') },
      });
      expect([answer.status, answer.headers.get('location')]).toEqual([303, '/']);
    },
  );
});

describe('the grant page', () => {
  it('is shown once; the second time a code comes at once, with the scope of the first', async () => {
    const steps: PersonStep[] = [];
    const alice = person('alice', steps);
    await codeOf(alice);
    expect(steps.map(({ page }) => page)).toEqual([
      'Sign In - Demo Forgejo',
      'Authorize Application - Demo Forgejo',
    ]);
    const code = await codeOf(alice, { scope: 'write:repository' });
    expect(steps).toHaveLength(2);
    const { access_token } = (await exchange(code)).body;
    const introspected = await fetch(`${forge.url}/login/oauth/introspect`, {
      method: 'POST',
      body: new URLSearchParams({ token: access_token ?? '' }),
      headers: { authorization: `Basic ${btoa(`${CLIENT_ID}:${CLIENT_SECRET}`)}` },
    });
    expect(await introspected.json()).toMatchObject({
      active: true,
      scope: 'read:user',
      sub: '1',
      aud: [CLIENT_ID],
    });
  });

  it('tells a refusal as Forgejo does', async () => {
    const no = new Person({ login: 'alice', password: 'wonderland', consents: false });
    const back = await no.authorize(authorizeUrl(), CALLBACK);
    expect(back.search).toBe(
      '?error=access_denied&error_description=the+request+is+denied&state=st',
    );
  });

  it.each([
    ['another client id', { client_id: 'other' }],
    ['another redirect URI', { redirect_uri: 'http://127.0.0.1:2/callback' }],
  ])('never redirects for %s', async (_, change) => {
    await expect(person('alice').authorize(authorizeUrl(change), CALLBACK)).rejects.toThrow(
      'Authorization failed',
    );
  });

  it('loses the code challenge: a wrong verifier gets tokens after it, and only after it', async () => {
    const alice = person('alice');
    const first = await exchange(await codeOf(alice), { code_verifier: 'w'.repeat(43) });
    expect(first.status).toBe(200);
    const second = await exchange(await codeOf(alice), { code_verifier: 'w'.repeat(43) });
    expect(second).toEqual({
      status: 400,
      body: { error: 'unauthorized_client', error_description: 'failed PKCE code challenge' },
    });
  });
});

describe('the token endpoint', () => {
  it.each([
    ['an unknown code', { code: 'gta_unknown' }, 'unauthorized_client', 'client is not authorized'],
    [
      'another redirect URI',
      { redirect_uri: 'http://127.0.0.1:2/callback' },
      'unauthorized_client',
      'unexpected redirect URI',
    ],
    ['a wrong secret', { client_secret: 'wrong' }, 'invalid_client', 'invalid client secret'],
    [
      'an unknown client',
      { client_id: 'other' },
      'invalid_client',
      'cannot load client with client id: "other"',
    ],
  ])('refuses %s in the words of Forgejo', async (_, change, error, description) => {
    const answer = await exchange(await codeOf(person('alice')), change);
    expect(answer).toEqual({ status: 400, body: { error, error_description: description } });
  });

  it('takes a code once', async () => {
    const code = await codeOf(person('alice'));
    expect(code).toStartWith('gta_');
    expect((await exchange(code)).status).toBe(200);
    expect((await exchange(code)).body).toEqual({
      error: 'unauthorized_client',
      error_description: 'client is not authorized',
    });
  });

  it('answers with long JWTs, bearer in lower case, no scope and no id_token', async () => {
    const tokens = await signIn('alice');
    expect(Object.keys(tokens).sort()).toEqual([
      'access_token',
      'expires_in',
      'refresh_token',
      'token_type',
    ]);
    expect(tokens).toMatchObject({ token_type: 'bearer', expires_in: 3600 });
    for (const value of [tokens.access_token, tokens.refresh_token]) {
      expect(value?.split('.')).toHaveLength(3);
      expect(value?.length).toBeWithin(800, 900);
    }
  });

  it('adds an id_token when the grant has openid', async () => {
    const code = await codeOf(person('alice'), { scope: 'openid read:user' });
    expect(await exchange(code)).toMatchObject({ body: { id_token: expect.any(String) } });
  });

  it('takes the client by HTTP Basic, and JSON in place of a form', async () => {
    const basic = { authorization: `Basic ${btoa(`${CLIENT_ID}:${CLIENT_SECRET}`)}` };
    const code = await codeOf(person('alice'));
    const byBasic = await token({ grant_type: 'authorization_code', code }, basic);
    expect(byBasic.status).toBe(200);
    const byJson = await fetch(`${forge.url}/login/oauth/access_token`, {
      method: 'POST',
      body: JSON.stringify({
        ...CLIENT,
        grant_type: 'refresh_token',
        refresh_token: byBasic.body.refresh_token,
      }),
      headers: { 'content-type': 'application/json' },
    });
    expect(byJson.status).toBe(200);
  });

  it('refuses what is no refresh token, an access token too', async () => {
    const { access_token } = await signIn('alice');
    for (const value of ['', 'garbage', 'a.b.c', access_token]) {
      expect((await refresh(value)).body).toEqual({
        error: 'unauthorized_client',
        error_description: 'unable to parse refresh token',
      });
    }
  });

  it('has no revocation endpoint', async () => {
    const answer = await fetch(`${forge.url}/login/oauth/revoke`, { method: 'POST' });
    expect(answer.status).toBe(404);
  });

  it('lets tokens expire', async () => {
    await start({ accessTtlS: 60, refreshTtlS: 120 });
    const tokens = await signIn('alice');
    clock.advance(60_000);
    expect((await api('/user', tokens.access_token)).status).toBe(401);
    const renewed = await refresh(tokens.refresh_token);
    expect((await api('/user', renewed.body.access_token)).status).toBe(200);
    clock.advance(60_000);
    expect((await refresh(tokens.refresh_token)).status).toBe(400);
  });
});

describe('rotation', () => {
  it('off, as by default: the old refresh token and the old access token keep working', async () => {
    const tokens = await signIn('alice');
    expect((await refresh(tokens.refresh_token)).status).toBe(200);
    expect((await refresh(tokens.refresh_token)).status).toBe(200);
    expect((await api('/user', tokens.access_token)).status).toBe(200);
  });

  it('on: a refresh makes every older refresh token of that user invalid', async () => {
    await start({ rotation: true });
    const first = await signIn('alice');
    const second = (await refresh(first.refresh_token)).body;
    expect((await refresh(first.refresh_token)).body).toEqual({
      error: 'unauthorized_client',
      error_description: 'token was already used',
    });
    expect(forge.honours(second.refresh_token ?? '')).toBe(true);
  });

  it('on: a sign-in does so too, in whatever browser; access tokens live on', async () => {
    await start({ rotation: true });
    const first = await signIn('alice');
    const second = await signIn('alice');
    expect(forge.honours(first.refresh_token ?? '')).toBe(false);
    expect(forge.honours(second.refresh_token ?? '')).toBe(true);
    expect((await api('/user', first.access_token)).status).toBe(200);
  });

  it('on: another user is not touched', async () => {
    await start({ rotation: true });
    const bob = await signIn('bob');
    await signIn('alice');
    expect((await refresh(bob.refresh_token)).status).toBe(200);
  });

  it('on: a refused call changes nothing', async () => {
    await start({ rotation: true });
    const tokens = await signIn('alice');
    await refresh('garbage');
    await exchange('gta_unknown');
    expect((await refresh(tokens.refresh_token)).status).toBe(200);
  });
});

describe('dead tokens', () => {
  it.each(['revokeGrant', 'disable', 'prohibit'] as const)('%s', async (how) => {
    const alice = await signIn('alice');
    const bob = await signIn('bob');
    forge[how]('alice');
    const answer = await api('/user', alice.access_token);
    expect(answer.status).toBe(401);
    expect(await answer.json()).toEqual({
      message: expect.any(String),
      url: `${forge.url}/api/swagger`,
    });
    expect((await api('/user', bob.access_token)).status).toBe(200);
  });

  it('answers text at userinfo', async () => {
    const answer = await fetch(`${forge.url}/login/oauth/userinfo`);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('content-type')).toStartWith('text/plain');
  });

  it('cannot be renewed once the grant is gone, and the grant page comes again', async () => {
    const steps: PersonStep[] = [];
    const alice = person('alice', steps);
    const tokens = (await exchange(await codeOf(alice))).body;
    forge.revokeGrant('alice');
    expect((await refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
    await codeOf(alice);
    expect(steps.at(-1)?.page).toBe('Authorize Application - Demo Forgejo');
  });
});

describe('the API', () => {
  it('tells its version to everyone, and who it is to the bearer in both spellings', async () => {
    expect(await (await fetch(`${forge.url}/api/v1/version`)).json()).toEqual({ version: '7.0.8' });
    const { access_token } = await signIn('bob');
    for (const scheme of ['Bearer', 'token']) {
      const answer = await fetch(`${forge.url}/api/v1/user`, {
        headers: { authorization: `${scheme} ${access_token}` },
      });
      expect(await answer.json()).toMatchObject({
        id: 2,
        login: 'bob',
        is_admin: false,
        active: true,
        prohibit_login: false,
      });
    }
    const userinfo = await fetch(`${forge.url}/login/oauth/userinfo`, {
      headers: { authorization: `Bearer ${access_token}` },
    });
    expect(await userinfo.json()).toMatchObject({ sub: '2', preferred_username: 'bob' });
  });

  it('does not enforce the scopes of a token, and hides what belongs to others', async () => {
    const { access_token } = await signIn('bob');
    const body = JSON.stringify({ title: 'A gate is missing', body: 'by the pond' });
    const made = await api('/repos/bob/diary/issues', access_token, { method: 'POST', body });
    expect(made.status).toBe(201);
    const listed = await api('/repos/bob/diary/issues', access_token);
    expect(await listed.json()).toMatchObject([{ number: 1, title: 'A gate is missing' }]);
    expect(forge.issueTitles('bob', 'diary')).toEqual(['A gate is missing']);
    const other = await signIn('alice');
    expect((await api('/repos/bob/diary/issues', other.access_token)).status).toBe(404);
    expect((await api('/repos/bob/garden', other.access_token)).status).toBe(200);
  });

  it('lists and makes repositories', async () => {
    const { access_token } = await signIn('alice');
    const body = JSON.stringify({ name: 'pond', private: true });
    const made = await api('/user/repos', access_token, { method: 'POST', body });
    expect(made.status).toBe(201);
    const again = await api('/user/repos', access_token, { method: 'POST', body });
    expect(again.status).toBe(409);
    const second = await api('/user/repos?limit=2&page=2', access_token);
    expect(second.headers.get('x-total-count')).toBe('3');
    expect(await second.json()).toMatchObject([{ full_name: 'alice/pond', private: true }]);
  });
});

describe('what it tells of itself', () => {
  it('counts requests and keeps their paths, and no query', async () => {
    await codeOf(person('alice'));
    expect(forge.count('/login/oauth/authorize', 'GET')).toBe(2);
    expect(JSON.stringify(forge.requests)).not.toContain('code_challenge');
  });

  it('narrates without any secret', async () => {
    const tokens = await signIn('alice');
    await api('/user', tokens.access_token);
    expect(events.map(({ kind }) => kind)).toEqual([
      'login_page_shown',
      'signed_in',
      'grant_page_shown',
      'granted',
      'tokens_issued',
      'api_called',
    ]);
    const text = JSON.stringify(events);
    for (const secret of [tokens.access_token, tokens.refresh_token, CLIENT_SECRET, 'wonderland']) {
      expect(text).not.toContain(secret ?? '');
    }
  });

  it('goes by the name it was given', async () => {
    await start({ hostname: 'localhost' });
    expect(forge.url).toStartWith('http://localhost:');
    expect((await fetch(`${forge.url}/api/v1/version`)).status).toBe(200);
  });
});
