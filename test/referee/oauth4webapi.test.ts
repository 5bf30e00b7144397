import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import * as oauth from 'oauth4webapi';
import { DEMO_REDIRECT_URI } from '../../app/demo/client.ts';
import { SkippingClock } from '../support/skipping-clock.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

/** What the tests' broker proposes to every client. */
const EVERYTHING = 'forgejo:read forgejo:write forgejo:delete';

/** A library that refuses every answer that is not as the RFCs want it; loopback has no TLS. */
const HTTP = { [oauth.allowInsecureRequests]: true } as const;
const AUTH_METHODS = ['none', 'client_secret_basic', 'client_secret_post'] as const;
type AuthMethod = (typeof AUTH_METHODS)[number];
const TTL_S = 600;

let clock: SkippingClock;
let system: TestSystem;
let as: oauth.AuthorizationServer;
beforeAll(async () => {
  clock = new SkippingClock();
  system = await startSystem({ clock, config: { accessTokenTtlMs: TTL_S * 1000 } });
  as = await discover();
});
afterAll(() => system.stop());

async function discover(): Promise<oauth.AuthorizationServer> {
  const issuer = new URL(system.origin);
  const answer = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...HTTP });
  return oauth.processDiscoveryResponse(issuer, answer);
}

interface Registered {
  readonly client: oauth.Client;
  readonly auth: oauth.ClientAuth;
}

async function register(authMethod: AuthMethod, changes = {}): Promise<Registered> {
  const metadata = {
    client_name: `Referee with ${authMethod}`,
    redirect_uris: [DEMO_REDIRECT_URI],
    token_endpoint_auth_method: authMethod,
    ...changes,
  };
  const answer = await oauth.dynamicClientRegistrationRequest(as, metadata, HTTP);
  const client = await oauth.processDynamicClientRegistrationResponse(answer);
  return { client, auth: authenticationOf(authMethod, String(client.client_secret)) };
}

function authenticationOf(authMethod: AuthMethod, secret: string): oauth.ClientAuth {
  switch (authMethod) {
    case 'none':
      return oauth.None();
    case 'client_secret_basic':
      return oauth.ClientSecretBasic(secret);
    case 'client_secret_post':
      return oauth.ClientSecretPost(secret);
  }
}

/** Where the person's browser ends after an authorization request with these changes. */
async function authorize(
  client: oauth.Client,
  verifier: string,
  state: string,
  changes: Readonly<Record<string, string>> = {},
): Promise<URL> {
  const url = new URL(as.authorization_endpoint ?? '');
  const parameters = {
    client_id: client.client_id,
    redirect_uri: DEMO_REDIRECT_URI,
    response_type: 'code',
    scope: 'forgejo:delete offline_access',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    resource: system.mcpUrl,
    state,
    ...changes,
  };
  url.search = new URLSearchParams(parameters).toString();
  return system.person().authorize(url, DEMO_REDIRECT_URI);
}

async function codeFor({ client }: Registered) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const back = await authorize(client, verifier, state);
  return { verifier, callback: oauth.validateAuthResponse(as, client, back, state) };
}

type Code = Awaited<ReturnType<typeof codeFor>>;

async function exchange(
  { client, auth }: Registered,
  { callback, verifier }: Code,
  changes: { readonly redirectUri?: string; readonly resource?: string } = {},
): Promise<oauth.TokenEndpointResponse> {
  const { redirectUri = DEMO_REDIRECT_URI, resource = system.mcpUrl } = changes;
  const options = { additionalParameters: { resource }, ...HTTP };
  const answer = await oauth.authorizationCodeGrantRequest(
    ...([as, client, auth, callback, redirectUri, verifier, options] as const),
  );
  expect(answer.headers.get('cache-control')).toBe('no-store');
  return oauth.processAuthorizationCodeResponse(as, client, answer);
}

async function refresh(
  { client, auth }: Registered,
  token = '',
): Promise<oauth.TokenEndpointResponse> {
  const answer = await oauth.refreshTokenGrantRequest(as, client, auth, token, HTTP);
  expect(answer.headers.get('cache-control')).toBe('no-store');
  return oauth.processRefreshTokenResponse(as, client, answer);
}

async function revoke({ client, auth }: Registered, token = '', hint?: string): Promise<void> {
  const additionalParameters: Record<string, string> =
    hint === undefined ? {} : { token_type_hint: hint };
  const options = { additionalParameters, ...HTTP };
  const answer = await oauth.revocationRequest(as, client, auth, token, options);
  await oauth.processRevocationResponse(answer);
}

async function signIn(authMethod: AuthMethod = 'none') {
  const registered = await register(authMethod);
  const tokens = await exchange(registered, await codeFor(registered));
  return { registered, tokens };
}

/** The status of a ping without a session: 400 when the token is good, since that comes after it. */
async function knock(token: string, method = 'POST'): Promise<number> {
  const headers = new Headers({ 'content-type': 'application/json' });
  const body = method === 'POST' ? '{"jsonrpc":"2.0","id":1,"method":"ping"}' : undefined;
  const url = new URL(system.mcpUrl);
  const answer = await oauth.protectedResourceRequest(token, method, url, headers, body, HTTP);
  await answer.body?.cancel();
  return answer.status;
}

/** The one challenge with which a request was refused, as the library has parsed it. */
async function challengeOf(request: Promise<unknown>) {
  const error = await request.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof oauth.WWWAuthenticateChallengeError)) {
    throw new Error('the answer holds no challenge', { cause: error });
  }
  expect(error.cause).toHaveLength(1);
  return { status: error.status, ...error.cause[0] };
}

/** The RFC body with which a request was refused. */
async function bodyErrorOf(request: Promise<unknown>) {
  const error = await request.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof oauth.ResponseBodyError)) {
    throw new Error('the answer holds no OAuth error', { cause: error });
  }
  const { status, error: code, error_description: description } = error;
  expect(description?.length ?? 0).toBeGreaterThan(0);
  expect(error.response.headers.get('cache-control')).toBe('no-store');
  return { status, code };
}

describe('oauth4webapi validates discovery', () => {
  it('D1 D2: of the protected resource (RFC 9728), by its own well-known path', async () => {
    const resource = new URL(system.mcpUrl);
    const answer = await oauth.resourceDiscoveryRequest(resource, HTTP);
    expect(answer.url).toBe(`${system.origin}/.well-known/oauth-protected-resource/mcp`);
    const found = await oauth.processResourceDiscoveryResponse(resource, answer);
    expect(found.resource).toBe(system.mcpUrl);
    expect(found.authorization_servers).toEqual([system.origin]);
    expect(found.bearer_methods_supported).toEqual(['header']);
  });

  it('D4: of the protected resource, by the address in the challenge', async () => {
    const challenge = await challengeOf(knock('nobody'));
    const address = challenge.parameters?.resource_metadata ?? '';
    const found = await oauth.processResourceDiscoveryResponse(
      new URL(system.mcpUrl),
      await fetch(address),
    );
    expect(found.scopes_supported?.join(' ')).toBe(challenge.parameters?.scope ?? '');
  });

  it('D5 D6 D9: of the authorization server (RFC 8414), whose issuer is the origin itself', async () => {
    const metadata = await discover();
    // Character by character: the library compares URLs, clients compare strings.
    expect(metadata.issuer).toBe(system.origin);
    expect(metadata.authorization_response_iss_parameter_supported).toBe(true);
    expect(metadata.code_challenge_methods_supported).toEqual(['S256']);
  });
});

describe('oauth4webapi validates the whole way', () => {
  it.each(AUTH_METHODS)(
    'R1 E4 E8 E12: registration, code, tokens, refresh, revocation with %s',
    async (authMethod) => {
      const registered = await register(authMethod);
      expect(registered.client.token_endpoint_auth_method).toBe(authMethod);
      expect(registered.client.client_secret === undefined).toBe(authMethod === 'none');

      const code = await codeFor(registered);
      expect(code.callback.get('iss')).toBe(as.issuer);
      const first = await exchange(registered, code);
      expect(first).toMatchObject({
        token_type: 'bearer',
        scope: EVERYTHING,
        expires_in: TTL_S,
      });
      expect(await knock(first.access_token)).toBe(400);

      const second = await refresh(registered, first.refresh_token);
      expect(second.refresh_token).not.toBe(first.refresh_token ?? '');
      expect(second).toMatchObject({ scope: EVERYTHING, expires_in: TTL_S });
      expect(await knock(second.access_token)).toBe(400);

      await revoke(registered, second.refresh_token, 'refresh_token');
      expect(await challengeOf(knock(second.access_token))).toMatchObject({ status: 401 });
      expect(await bodyErrorOf(refresh(registered, second.refresh_token))).toEqual({
        status: 400,
        code: 'invalid_grant',
      });
    },
  );

  it('E12: a revocation of an access token, of an unknown token, and of one twice', async () => {
    const { registered, tokens } = await signIn();
    await revoke(registered, 'never issued');
    expect(await knock(tokens.access_token)).toBe(400);
    await revoke(registered, tokens.access_token, 'refresh_token');
    expect(await challengeOf(knock(tokens.access_token))).toMatchObject({ status: 401 });
    await revoke(registered, tokens.access_token);
  });

  it("E12: a revocation of another client's token, which changes nothing", async () => {
    const { tokens } = await signIn();
    await revoke(await register('client_secret_post'), tokens.refresh_token);
    expect(await knock(tokens.access_token)).toBe(400);
  });

  it('E11: any scope that a client may ask for, and tells what it granted', async () => {
    const registered = await register('none');
    for (const [scope, granted] of [
      ['', EVERYTHING],
      [' offline_access', EVERYTHING],
      ['openid profile', EVERYTHING],
      ['forgejo:read openid', 'forgejo:read'],
    ] as const) {
      const verifier = oauth.generateRandomCodeVerifier();
      const back = await authorize(registered.client, verifier, 's', { scope });
      const callback = oauth.validateAuthResponse(as, registered.client, back, 's');
      const tokens = await exchange(registered, { callback, verifier });
      expect(tokens.scope).toBe(granted);
      expect(tokens.refresh_token).toBeString();
    }
  });
});

describe('oauth4webapi reads the challenges of the resource', () => {
  const expected = (error?: string) => ({
    status: 401,
    scheme: 'bearer',
    parameters: {
      resource_metadata: `${system.origin}/.well-known/oauth-protected-resource/mcp`,
      scope: EVERYTHING,
      ...(error === undefined ? {} : { error }),
    },
  });

  it('B1: without an error when there were no credentials', async () => {
    // The library always sends a bearer token; credentials of another scheme are none here.
    const headers = { authorization: 'Negotiate abc' };
    const url = new URL(system.mcpUrl);
    const options = {
      ...HTTP,
      [oauth.customFetch]: (address: string, { method }: { readonly method: string }) =>
        fetch(address, { method, headers }),
    };
    const request = oauth.protectedResourceRequest('x', 'POST', url, undefined, null, options);
    const challenge = await challengeOf(request);
    expect(challenge).toMatchObject(expected());
    expect(challenge.parameters?.error).toBeUndefined();
  });

  it.each(['POST', 'GET', 'DELETE'])('B2: invalid_token for garbage with %s', async (method) => {
    expect(await challengeOf(knock('garbage', method))).toMatchObject(expected('invalid_token'));
  });

  it('B2: invalid_token for a token that has expired', async () => {
    const { tokens } = await signIn();
    clock.skip(TTL_S * 1000);
    expect(await challengeOf(knock(tokens.access_token))).toMatchObject(expected('invalid_token'));
  });

  it('B2: invalid_token for a revoked token and for a refresh token', async () => {
    const { registered, tokens } = await signIn();
    expect(await challengeOf(knock(tokens.refresh_token ?? ''))).toMatchObject(
      expected('invalid_token'),
    );
    await revoke(registered, tokens.refresh_token);
    expect(await challengeOf(knock(tokens.access_token))).toMatchObject(expected('invalid_token'));
  });
});

describe('oauth4webapi reads the errors of the authorization server', () => {
  it('E8: invalid_client, with the challenge of the scheme that was tried', async () => {
    const basic = await register('client_secret_basic');
    const guess = { ...basic, auth: oauth.ClientSecretBasic('a guess') };
    expect(await challengeOf(refresh(guess, 'x'))).toMatchObject({ status: 401, scheme: 'basic' });
    const inTheBody = {
      ...basic,
      auth: oauth.ClientSecretPost(String(basic.client.client_secret)),
    };
    expect(await bodyErrorOf(refresh(inTheBody, 'x'))).toEqual({
      status: 401,
      code: 'invalid_client',
    });
    const unknown = { client: { client_id: 'dcr_unknown' }, auth: oauth.None() };
    expect(await bodyErrorOf(revoke(unknown, 'x'))).toEqual({
      status: 401,
      code: 'invalid_client',
    });
  });

  it('E3 E5 E6 E7: what is wrong with an exchange, and what its second use ends', async () => {
    const registered = await register('none');
    const code = await codeFor(registered);
    const stranger = await register('client_secret_post');
    const grantError = { status: 400, code: 'invalid_grant' };

    const otherVerifier = { ...code, verifier: oauth.generateRandomCodeVerifier() };
    expect(await bodyErrorOf(exchange(registered, otherVerifier))).toEqual(grantError);
    const otherUri = { redirectUri: `${DEMO_REDIRECT_URI}/other` };
    expect(await bodyErrorOf(exchange(registered, code, otherUri))).toEqual(grantError);
    const otherResource = { resource: 'https://elsewhere.example' };
    expect(await bodyErrorOf(exchange(registered, code, otherResource))).toEqual({
      status: 400,
      code: 'invalid_target',
    });
    expect(await bodyErrorOf(exchange(stranger, code))).toEqual(grantError);

    const tokens = await exchange(registered, code);
    expect(await knock(tokens.access_token)).toBe(400);
    expect(await bodyErrorOf(exchange(registered, code))).toEqual(grantError);
    expect(await challengeOf(knock(tokens.access_token))).toMatchObject({ status: 401 });
  });

  it('E6: a code that has expired', async () => {
    const registered = await register('none');
    const code = await codeFor(registered);
    clock.skip(60_000);
    expect(await bodyErrorOf(exchange(registered, code))).toEqual({
      status: 400,
      code: 'invalid_grant',
    });
  });

  it('E8: unsupported_grant_type', async () => {
    const { client, auth } = await register('none');
    const answer = await oauth.genericTokenEndpointRequest(
      ...([as, client, auth, 'password', { username: 'alice' }, HTTP] as const),
    );
    const processed = oauth.processGenericTokenEndpointResponse(as, client, answer);
    expect(await bodyErrorOf(processed)).toEqual({ status: 400, code: 'unsupported_grant_type' });
  });

  it('R2: registrations that are refused', async () => {
    const refused = (changes: object) => bodyErrorOf(register('none', changes));
    expect(await refused({ redirect_uris: ['http://elsewhere.example/callback'] })).toEqual({
      status: 400,
      code: 'invalid_redirect_uri',
    });
    expect(await refused({ token_endpoint_auth_method: 'private_key_jwt' })).toEqual({
      status: 400,
      code: 'invalid_client_metadata',
    });
  });

  it.each([
    ['unsupported_response_type', { response_type: 'token' }],
    ['invalid_request', { code_challenge_method: 'plain' }],
    ['invalid_request', { code_challenge: '' }],
    ['invalid_target', { resource: 'https://elsewhere.example' }],
  ] as const)('E2 E4: %s comes back with state and iss', async (error, changes) => {
    const { client } = await register('none');
    const back = await authorize(client, oauth.generateRandomCodeVerifier(), 'my state', changes);
    expect(() => oauth.validateAuthResponse(as, client, back, 'my state')).toThrow(
      expect.objectContaining({ code: oauth.AUTHORIZATION_RESPONSE_ERROR, error }),
    );
    // Both are checked before the error is read.
    expect(() => oauth.validateAuthResponse(as, client, back, 'another state')).toThrow(
      expect.objectContaining({ code: oauth.INVALID_RESPONSE }),
    );
    expect(back.searchParams.get('iss')).toBe(as.issuer);
  });
});
