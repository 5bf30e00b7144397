import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { Secret } from '../../app/base/secret.ts';
import type { DemoFault } from '../../app/demo/forge-faults.ts';
import { ANSWER_BYTES_MAX, createBoundedFetch } from '../../app/forge/bounded-fetch.ts';
import { TOKEN_CALL_MAX_MS } from '../../app/forge/forgejo.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  CLIENT_ID,
  CLIENT_SECRET,
  type ForgeSetup,
  REDIRECT_URI,
  setUpForge,
  succeeded,
  TOKEN_PATH,
  USER_PATH,
  VERIFIER,
} from './setup.ts';

let setup: ForgeSetup;

beforeEach(async () => {
  setup = await setUpForge();
});
afterEach(() => setup.demo.stop());

async function signedIn(login = 'alice') {
  return succeeded(await setup.forge.exchangeCode(await setup.code(login), VERIFIER));
}

function edited(edit: (body: Record<string, unknown>) => unknown) {
  setup.demo.faults.set({ kind: 'edit', edit }, { on: TOKEN_PATH });
}

describe('authorization URL (RFC 6749 s4.1.1, RFC 7636 s4.3)', () => {
  it('sends the browser to the public address, with everything that binds the answer', async () => {
    const other = await setUpForge(
      {},
      { url: 'https://git.example.org/forge', scopes: ['a', 'b'] },
    );
    const url = other.forge.authorizationUrl({ state: 'st', codeVerifier: VERIFIER });
    await other.demo.stop();
    expect(url.origin + url.pathname).toBe('https://git.example.org/forge/login/oauth/authorize');
    expect(Object.fromEntries(url.searchParams)).toEqual({
      response_type: 'code',
      client_id: CLIENT_ID,
      redirect_uri: REDIRECT_URI,
      state: 'st',
      scope: 'a b',
      code_challenge_method: 'S256',
      code_challenge: new Bun.CryptoHasher('sha256').update(VERIFIER).digest('base64url'),
    });
  });

  it('never shows the browser the secret or the verifier', () => {
    const url = setup.forge.authorizationUrl({ state: 'st', codeVerifier: VERIFIER });
    expect(url.href).not.toContain(CLIENT_SECRET);
    expect(url.href).not.toContain(VERIFIER);
  });
});

describe('token answers that say no', () => {
  it('tells a code that was used from a forge that is away: sign in again', async () => {
    const code = await setup.code('alice');
    succeeded(await setup.forge.exchangeCode(code, VERIFIER));
    expect(await setup.forge.exchangeCode(code, VERIFIER)).toEqual({
      ok: false,
      error: {
        kind: 'sign_in_again',
        detail: 'the token endpoint says unauthorized_client: client is not authorized',
      },
    });
  });

  it('refuses a refresh token of somebody who removed the application: sign in again', async () => {
    const { refreshToken } = await signedIn();
    setup.demo.revokeGrant('alice');
    const answer = await setup.forge.refresh(refreshToken ?? new Secret(''));
    expect(answer).toMatchObject({ ok: false, error: { kind: 'sign_in_again' } });
  });

  it('reads invalid_grant, and an OAuth error under status 200, as sign in again', async () => {
    const body = { error: 'invalid_grant', error_description: 'gone' };
    for (const status of [200, 400, 401]) {
      setup.demo.faults.set({ kind: 'answer', status, body });
      const answer = await setup.forge.refresh(new Secret('x'));
      expect(answer).toMatchObject({ ok: false, error: { kind: 'sign_in_again' } });
      setup.demo.faults.clear();
    }
  });

  it('tells a wrong client secret as misconfigured, loudly and without the secret', async () => {
    const wrong = await setUpForge({}, { clientSecret: new Secret('gto_another-secret') });
    const answer = await wrong.forge.refresh(new Secret('x'));
    await wrong.demo.stop();
    expect(answer).toEqual({
      ok: false,
      error: {
        kind: 'misconfigured',
        detail: 'the token endpoint says invalid_client: invalid client secret',
      },
    });
    expect(wrong.logged.of('forge.misconfigured')).toMatchObject([
      { level: 'error', call: 'refresh' },
    ]);
    expect(wrong.logged.text()).not.toContain('gto_another-secret');
  });

  it('tells a wrong secret as misconfigured also where it is an unauthorized_client', async () => {
    const body = { error: 'unauthorized_client', error_description: 'invalid client secret' };
    setup.demo.faults.set({ kind: 'answer', status: 400, body });
    const answer = await setup.forge.exchangeCode(new Secret('x'), VERIFIER);
    expect(answer).toMatchObject({ ok: false, error: { kind: 'misconfigured' } });
  });

  it('tells a redirect URI that Forgejo does not know as misconfigured', async () => {
    const wrong = await setUpForge({}, { redirectUri: 'http://127.0.0.1:8080/elsewhere' });
    const answer = await wrong.forge.exchangeCode(new Secret('x'), VERIFIER);
    await wrong.demo.stop();
    expect(answer).toEqual({
      ok: false,
      error: {
        kind: 'misconfigured',
        detail: 'the token endpoint says unauthorized_client: unexpected redirect URI',
      },
    });
  });

  it.each([
    ['an error code that nobody knows', 400, { error: 'computer_says_no' }],
    ['server_error', 400, { error: 'server_error' }],
    ['a 400 that is not OAuth', 400, { message: 'bad gateway' }],
    ['a 401 that is not OAuth', 401, {}],
    ['a 503 with a member named error', 503, { error: 'invalid_grant' }],
    ['a 429 with a member named error', 429, { error: 'invalid_grant' }],
  ])('signs nobody out for %s: try later', async (_, status, body) => {
    setup.demo.faults.set({ kind: 'answer', status, body });
    const answer = await setup.forge.refresh(new Secret('x'));
    expect(answer).toMatchObject({ ok: false, error: { kind: 'try_later' } });
  });
});

describe('a forge that is not itself', () => {
  const faults: [string, DemoFault, string, string][] = [
    ['429', { kind: 'status', status: 429 }, 'try_later', 'status 429'],
    ['500', { kind: 'status', status: 500 }, 'try_later', 'status 500'],
    ['502', { kind: 'status', status: 502 }, 'try_later', 'status 502'],
    ['HTML with 200', { kind: 'html' }, 'try_later', 'status 200 without a JSON object'],
    ['404', { kind: 'status', status: 404 }, 'misconfigured', 'status 404'],
    [
      'an answer that is JSON, but no object',
      { kind: 'answer', status: 200, body: ['a'] },
      'try_later',
      'status 200 without a JSON object',
    ],
    ['a closed port', { kind: 'refuse' }, 'try_later', 'no answer (ECONNREFUSED)'],
    [
      'too much',
      { kind: 'oversized', bytes: ANSWER_BYTES_MAX },
      'try_later',
      `the answer has more than ${ANSWER_BYTES_MAX} bytes`,
    ],
  ];

  it.each(faults)('%s', async (_, fault, kind, detail) => {
    setup.demo.faults.set(fault);
    const expected = { ok: false, error: { kind, detail } };
    const { forge } = setup;
    expect<unknown>(await forge.refresh(new Secret('x'))).toEqual(expected);
    expect<unknown>(await forge.exchangeCode(new Secret('x'), VERIFIER)).toEqual(expected);
    expect<unknown>(await forge.user(new Secret('x'))).toEqual(expected);
    expect<unknown>(await forge.version()).toEqual(expected);
  });

  it('an answer cut short: try later', async () => {
    const { accessToken, refreshToken } = await signedIn();
    setup.demo.faults.set({ kind: 'cut' });
    const { forge } = setup;
    for (const answer of [
      await forge.refresh(refreshToken ?? new Secret('')),
      await forge.user(accessToken),
      await forge.version(),
    ]) {
      expect(answer).toMatchObject({ ok: false, error: { kind: 'try_later' } });
    }
  });

  it('a redirect is never followed, and the log names its origin only', async () => {
    const trap = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => {
        caught += 1;
        return new Response('caught');
      },
    });
    let caught = 0;
    const location = `${trap.url.origin}/login?ticket=canary`;
    setup.demo.faults.set({ kind: 'redirect', location });
    const { forge } = setup;
    const answers = [
      await forge.refresh(new Secret('x')),
      await forge.exchangeCode(new Secret('x'), VERIFIER),
      await forge.user(new Secret('x')),
      await forge.version(),
    ];
    await trap.stop(true);
    const detail = `a redirect (302) to ${trap.url.origin}, which is not followed`;
    for (const answer of answers) {
      expect<unknown>(answer).toEqual({ ok: false, error: { kind: 'misconfigured', detail } });
    }
    expect(caught).toBe(0);
    expect(setup.logged.text()).not.toContain('canary');
  });

  it('silence ends at the hard limit: try later', async () => {
    const clock = new FakeClock();
    const called = Promise.withResolvers<void>();
    const fetch = createBoundedFetch({
      fetch: () => {
        called.resolve();
        return new Promise(() => undefined);
      },
      clock,
      userAgent: 'test',
    });
    const silent = await setUpForge({}, { fetch, clock });
    await silent.demo.stop();
    const call = silent.forge.refresh(new Secret('x'));
    await called.promise;
    clock.advance(TOKEN_CALL_MAX_MS);
    expect(await call).toMatchObject({ ok: false, error: { kind: 'try_later' } });
    expect(await silent.metrics.forgeCallSeconds.get()).toMatchObject({
      values: expect.arrayContaining([
        expect.objectContaining({
          metricName: 'fjmcp_forge_call_seconds_sum',
          value: TOKEN_CALL_MAX_MS / 1000,
        }),
      ]),
    });
  });
});

describe('token answers (RFC 6749 s5.1)', () => {
  it('calls the internal address, never the public one', async () => {
    const other = await setUpForge({}, { url: 'http://127.0.0.1:1/public' });
    const answers = [await other.forge.refresh(new Secret('x')), await other.forge.version()];
    await other.demo.stop();
    expect(answers).toMatchObject([
      { ok: false, error: { kind: 'sign_in_again' } },
      { ok: true, value: '7.0.8' },
    ]);
  });

  it('takes token_type in lower case, as Forgejo writes it, and in any other', async () => {
    await signedIn();
    edited((body) => ({ ...body, token_type: 'BEARER' }));
    await signedIn();
  });

  it.each([undefined, 'mac', 7])('refuses the token type %p: misconfigured', async (type) => {
    edited((body) => ({ ...body, token_type: type }));
    const answer = await setup.forge.exchangeCode(await setup.code('alice'), VERIFIER);
    expect(answer).toMatchObject({ ok: false, error: { kind: 'misconfigured' } });
  });

  it.each([undefined, '', 7, null])('refuses the access token %p: misconfigured', async (token) => {
    edited((body) => ({ ...body, access_token: token }));
    const answer = await setup.forge.exchangeCode(await setup.code('alice'), VERIFIER);
    expect(answer).toMatchObject({ ok: false, error: { kind: 'misconfigured' } });
  });

  it.each([undefined, '', null])('has no refresh token when the answer has %p', async (token) => {
    edited((body) => ({ ...body, refresh_token: token }));
    expect(await signedIn()).toMatchObject({ refreshToken: null, refreshExpiresAt: null });
  });

  it('counts both lives from the moment of the question', async () => {
    const clock = new FakeClock(Date.UTC(2026, 0, 5, 12));
    const other = await setUpForge({ clock, accessTtlS: 60, refreshTtlS: 600 }, {}, clock);
    const code = await other.code('alice');
    const held = other.demo.faults.set({ kind: 'hold' }, { on: TOKEN_PATH });
    const answer = other.forge.exchangeCode(code, VERIFIER);
    await held.reached;
    const askedAt = clock.now();
    clock.advance(5000);
    held.release();
    expect(succeeded(await answer)).toMatchObject({
      accessExpiresAt: askedAt + 60_000,
      refreshExpiresAt: askedAt + 600_000,
    });
    await other.demo.stop();
  });

  it.each([undefined, '3600', 0, -5, 1e300, null])(
    'takes the life from the token itself when expires_in is %p',
    async (expiresIn) => {
      const clock = new FakeClock();
      const other = await setUpForge({ clock, accessTtlS: 77 }, {}, clock);
      const edit = (body: Record<string, unknown>) => ({ ...body, expires_in: expiresIn });
      other.demo.faults.set({ kind: 'edit', edit }, { on: TOKEN_PATH });
      const tokens = succeeded(await other.forge.exchangeCode(await other.code('bob'), VERIFIER));
      await other.demo.stop();
      expect(tokens.accessExpiresAt).toBe(clock.now() + 77_000);
    },
  );

  it('falls back to an hour, and to the set refresh life, where nothing tells', async () => {
    const clock = new FakeClock();
    const other = await setUpForge({ clock }, { refreshTokenTtlMs: 123_000 }, clock);
    const body = { access_token: 'opaque', token_type: 'bearer', refresh_token: 'a.b.c' };
    other.demo.faults.set({ kind: 'answer', status: 200, body }, { on: TOKEN_PATH });
    const tokens = succeeded(await other.forge.refresh(new Secret('x')));
    await other.demo.stop();
    expect(tokens).toMatchObject({
      accessExpiresAt: clock.now() + 3_600_000,
      refreshExpiresAt: clock.now() + 123_000,
    });
  });

  it('[Gitea/Forgejo upstream] S2: sends PKCE, and it counts where Forgejo checks it', async () => {
    await signedIn();
    await signedIn();
    const answer = await setup.forge.exchangeCode(await setup.code('alice'), 'w'.repeat(43));
    expect(answer).toMatchObject({ ok: false, error: { kind: 'sign_in_again' } });
  });

  it('S10: prints no token, whatever happens', async () => {
    const { accessToken, refreshToken } = await signedIn();
    setup.demo.revokeGrant('alice');
    await setup.forge.user(accessToken);
    await setup.forge.refresh(refreshToken ?? new Secret(''));
    for (const secret of [accessToken, refreshToken, new Secret(CLIENT_SECRET)]) {
      expect(setup.logged.text()).not.toContain(secret?.reveal() ?? '');
    }
    expect(setup.logged.entries().length).toBeGreaterThan(0);
  });

  it('counts calls by their outcome', async () => {
    await setup.forge.version();
    await setup.forge.user(new Secret('x'));
    expect((await setup.metrics.forgeCalls.get()).values).toMatchObject([
      { value: 1, labels: { call: 'version', outcome: 'ok' } },
      { value: 1, labels: { call: 'user', outcome: 'sign_in_again' } },
    ]);
  });
});

describe('who it is (/api/v1/user)', () => {
  it('refuses a token that has not expired and is dead all the same: sign in again', async () => {
    const { accessToken } = await signedIn();
    setup.demo.revokeGrant('alice');
    expect(await setup.forge.user(accessToken)).toEqual({
      ok: false,
      error: { kind: 'sign_in_again', detail: 'the API refuses the token (401)' },
    });
  });

  it.each([
    ['This account is not activated.', 'inactive'],
    [
      'This account is prohibited from signing in, please contact your site administrator.',
      'prohibited',
    ],
  ])('reads "%s" as the word of the forge\'s admin', async (message, reason) => {
    setup.demo.faults.set({ kind: 'answer', status: 403, body: { message } });
    const answer = await setup.forge.user(new Secret('x'));
    expect<unknown>(answer).toEqual({ ok: false, error: { kind: 'refused', reason, login: null } });
  });

  it.each([
    ['token does not have at least one of required scope(s): [read:user]', 'misconfigured'],
    [
      'You must change your password. Change it at: https://h/user/change_password',
      'sign_in_again',
    ],
  ] as const)('reads "%s" as %s', async (message, kind) => {
    setup.demo.faults.set({ kind: 'answer', status: 403, body: { message } });
    const answer = await setup.forge.user(new Secret('x'));
    expect(answer).toMatchObject({ ok: false, error: { kind } });
  });

  it.each([
    ['id', '1'],
    ['id', 0],
    ['id', 1.5],
    ['id', 2 ** 53],
    ['login', ''],
    ['login', undefined],
    ['is_admin', 'yes'],
    ['active', undefined],
    ['prohibit_login', undefined],
  ])('guesses nothing when %s is %p: misconfigured', async (field, value) => {
    const { accessToken } = await signedIn();
    const edit = (body: Record<string, unknown>) => ({ ...body, [field]: value });
    setup.demo.faults.set({ kind: 'edit', edit }, { on: USER_PATH });
    const answer = await setup.forge.user(accessToken);
    expect(answer).toMatchObject({ ok: false, error: { kind: 'misconfigured' } });
  });

  it('tells the user, with both locks', async () => {
    expect(succeeded(await setup.forge.user((await signedIn()).accessToken))).toEqual({
      id: 1,
      login: 'alice',
      fullName: 'Alice Liddell',
      isAdmin: true,
      active: true,
      prohibitLogin: false,
    });
    setup.demo.disable('bob');
    setup.demo.prohibit('bob');
    const { accessToken } = await signedIn('bob');
    expect(succeeded(await setup.forge.user(accessToken))).toMatchObject({
      login: 'bob',
      active: false,
      prohibitLogin: true,
    });
  });
});

describe('the version', () => {
  it.each([401, 403])('counts as there when it is kept from strangers (%p)', async (status) => {
    const body = { message: 'Only signed in user is allowed to call APIs.' };
    setup.demo.faults.set({ kind: 'answer', status, body });
    expect(await setup.forge.version()).toEqual({ ok: true, value: 'unknown' });
  });

  it('is misconfigured where something else answers', async () => {
    setup.demo.faults.set({ kind: 'answer', status: 200, body: { name: 'another program' } });
    const answer = await setup.forge.version();
    expect(answer).toMatchObject({ ok: false, error: { kind: 'misconfigured' } });
  });
});
