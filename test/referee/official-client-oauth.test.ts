import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import {
  discoverAuthorizationServerMetadata,
  discoverOAuthProtectedResourceMetadata,
  discoverOAuthServerInfo,
  exchangeAuthorization,
  extractWWWAuthenticateParams,
  refreshAuthorization,
  registerClient,
  startAuthorization,
} from '@modelcontextprotocol/sdk/client/auth.js';
import {
  InvalidClientError,
  InvalidGrantError,
  InvalidTargetError,
} from '@modelcontextprotocol/sdk/server/auth/errors.js';
import type {
  OAuthClientInformationFull,
  OAuthTokens,
} from '@modelcontextprotocol/sdk/shared/auth.js';
import { ClientMemory, DEMO_REDIRECT_URI } from '../../app/demo/client.ts';
import { startSystem, type TestSystem } from '../support/system.ts';
import { connect, RefereeTransport, whoIs } from './sdk-client.ts';

/** What the tests' broker proposes to every client. */
const EVERYTHING = 'forgejo:read forgejo:write forgejo:delete';

let system: TestSystem;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system.stop());

type Metadata = Awaited<ReturnType<typeof discoverAuthorizationServerMetadata>>;

const discover = () => discoverAuthorizationServerMetadata(system.origin);

const register = (metadata: Metadata, authMethod: string, redirectUri = DEMO_REDIRECT_URI) =>
  registerClient(system.origin, {
    ...(metadata === undefined ? {} : { metadata }),
    clientMetadata: {
      client_name: `Client with ${authMethod}`,
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: authMethod,
    },
  });

/** The person's way to a code, and everything that the exchange of it needs. */
async function codeFor(
  metadata: Metadata,
  clientInformation: OAuthClientInformationFull,
  resource = system.mcpUrl,
) {
  const common = {
    clientInformation,
    resource,
    ...(metadata === undefined ? {} : { metadata }),
  };
  const { authorizationUrl, codeVerifier } = await startAuthorization(system.origin, {
    ...common,
    redirectUrl: DEMO_REDIRECT_URI,
    state: 'a state',
  });
  const back = await system.person().authorize(authorizationUrl, DEMO_REDIRECT_URI);
  const authorizationCode = back.searchParams.get('code') ?? '';
  return {
    authorizationUrl,
    exchange: { ...common, authorizationCode, codeVerifier, redirectUri: DEMO_REDIRECT_URI },
  };
}

/** Whom the resource takes the tokens for. */
async function ownerOf(tokens: OAuthTokens): Promise<string> {
  const memory = new ClientMemory('Holder of tokens');
  memory.current = tokens;
  const client = await connect(new RefereeTransport(system.mcpUrl, memory));
  const login = await whoIs(client);
  await client.close();
  return login;
}

describe('the discovery of the official client', () => {
  it('finds all from the challenge of a 401', async () => {
    const refused = await fetch(system.mcpUrl, { method: 'POST' });
    const challenge = extractWWWAuthenticateParams(refused);
    expect(challenge.resourceMetadataUrl?.href).toBe(
      `${system.origin}/.well-known/oauth-protected-resource/mcp`,
    );
    expect(challenge.scope).toBe(EVERYTHING);
    expect(challenge.error).toBeUndefined();
  });

  it('finds the same without the challenge, by either form of the well-known path', async () => {
    const byPath = await discoverOAuthProtectedResourceMetadata(system.mcpUrl);
    const byRoot = await discoverOAuthProtectedResourceMetadata(system.origin);
    expect(byPath.resource).toBe(system.mcpUrl);
    expect(byRoot).toEqual(byPath);
    const found = await discoverOAuthServerInfo(system.mcpUrl);
    expect(found.authorizationServerUrl).toBe(system.origin);
    expect(found.authorizationServerMetadata?.issuer).toBe(system.origin);
  });
});

describe('the token requests of the official client', () => {
  it.each(['none', 'client_secret_basic', 'client_secret_post'])(
    'are good with the method %s',
    async (authMethod) => {
      const metadata = await discover();
      const client = await register(metadata, authMethod);
      expect(client.token_endpoint_auth_method).toBe(authMethod);
      expect(client.client_secret === undefined).toBe(authMethod === 'none');

      const { exchange } = await codeFor(metadata, client);
      const first = await exchangeAuthorization(system.origin, exchange);
      expect(await ownerOf(first)).toBe('alice');
      const second = await refreshAuthorization(system.origin, {
        ...exchange,
        refreshToken: first.refresh_token ?? '',
      });
      expect(second.access_token).not.toBe(first.access_token);
      expect(second.refresh_token).not.toBe(first.refresh_token ?? '');
      expect(await ownerOf(second)).toBe('alice');
    },
  );

  it('D11: are good without metadata, at the paths of the oldest revision', async () => {
    const client = await register(undefined, 'none');
    const { authorizationUrl, exchange } = await codeFor(undefined, client);
    expect(authorizationUrl.pathname).toBe('/authorize');
    const tokens = await exchangeAuthorization(system.origin, exchange);
    const { refresh_token: refreshToken = '' } = tokens;
    const renewed = await refreshAuthorization(system.origin, { ...exchange, refreshToken });
    expect(await ownerOf(renewed)).toBe('alice');
  });

  it('E5: may name the resource in each way that clients write it', async () => {
    const metadata = await discover();
    const client = await register(metadata, 'none');
    for (const resource of [`${system.mcpUrl}/`, system.origin, `${system.origin}/`]) {
      const { exchange } = await codeFor(metadata, client, resource);
      const tokens = await exchangeAuthorization(system.origin, exchange);
      expect(await ownerOf(tokens)).toBe('alice');
    }
  });

  it('are refused in the words of the SDK', async () => {
    const metadata = await discover();
    const client = await register(metadata, 'client_secret_post');
    const { exchange } = await codeFor(metadata, client);
    const request = (changes: Partial<typeof exchange>) =>
      exchangeAuthorization(system.origin, { ...exchange, ...changes });

    const unknown = { ...client, client_id: 'dcr_unknown' };
    await expect(request({ clientInformation: unknown })).rejects.toThrow(InvalidClientError);
    const guessed = { ...client, client_secret: 'a guess' };
    await expect(request({ clientInformation: guessed })).rejects.toThrow(InvalidClientError);
    const elsewhere = 'https://elsewhere.example/mcp';
    await expect(request({ resource: elsewhere })).rejects.toThrow(InvalidTargetError);
    const verifier = 'v'.repeat(43);
    await expect(request({ codeVerifier: verifier })).rejects.toThrow(InvalidGrantError);
    const other = 'http://127.0.0.1:33418/other';
    await expect(request({ redirectUri: other })).rejects.toThrow(InvalidGrantError);

    // None of these has spent the code; its second use ends what the first gave.
    const tokens = await request({});
    await expect(request({})).rejects.toThrow(InvalidGrantError);
    const refresh = { ...exchange, refreshToken: tokens.refresh_token ?? '' };
    await expect(refreshAuthorization(system.origin, refresh)).rejects.toThrow(InvalidGrantError);
  });

  it('E9: get the same successor twice, and end the grant with a spent token', async () => {
    const metadata = await discover();
    const client = await register(metadata, 'none');
    const { exchange } = await codeFor(metadata, client);
    const first = await exchangeAuthorization(system.origin, exchange);
    const refresh = (refreshToken = '') =>
      refreshAuthorization(system.origin, { ...exchange, refreshToken });

    const lost = await refresh(first.refresh_token);
    const again = await refresh(first.refresh_token);
    expect(again.refresh_token).toBe(lost.refresh_token ?? '');
    expect(await ownerOf(again)).toBe('alice');
    await expect(refresh(first.refresh_token)).rejects.toThrow(InvalidGrantError);
    await expect(refresh(again.refresh_token)).rejects.toThrow(InvalidGrantError);
  });
});
