import { describe, expect, it } from 'bun:test';
import * as oauth from 'oauth4webapi';
import {
  authorizeUrl,
  ORIGIN,
  REDIRECT_URI,
  RESOURCE,
  STATE,
  TestBrowser,
  TestServer,
} from './harness.ts';

/** Everything that a strict client of another hand checks of our answers. */
async function discover(server: TestServer) {
  const options = {
    [oauth.customFetch]: (
      url: string,
      { method, headers, body }: oauth.CustomFetchOptions<string, BodyInit | null | undefined>,
    ) => server.fetch(url, { method, headers, body: body ?? null }),
  };
  const issuer = new URL(ORIGIN);
  const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options });
  return { as: await oauth.processDiscoveryResponse(issuer, response), options };
}

const METHODS = {
  none: () => oauth.None(),
  client_secret_basic: (secret: string) => oauth.ClientSecretBasic(secret),
  client_secret_post: (secret: string) => oauth.ClientSecretPost(secret),
};

describe('a strict client (oauth4webapi)', () => {
  for (const [method, authentication] of Object.entries(METHODS)) {
    it(`E8: accepts every answer from discovery to revocation (${method})`, async () => {
      const server = new TestServer();
      const { as, options } = await discover(server);
      const registration = await oauth.dynamicClientRegistrationRequest(
        as,
        { redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: method },
        options,
      );
      const client = await oauth.processDynamicClientRegistrationResponse(registration);
      const auth = authentication(String(client.client_secret));

      const verifier = oauth.generateRandomCodeVerifier();
      const url = authorizeUrl(client.client_id, {
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      });
      const back = await new TestBrowser(server).signIn(url);
      const parameters = oauth.validateAuthResponse(as, client, back, STATE);
      const answer = await oauth.authorizationCodeGrantRequest(
        as,
        client,
        auth,
        parameters,
        REDIRECT_URI,
        verifier,
        { ...options, additionalParameters: { resource: RESOURCE } },
      );
      const tokens = await oauth.processAuthorizationCodeResponse(as, client, answer);
      expect(tokens.scope).toBe('forgejo:read forgejo:write');

      const refresh = String(tokens.refresh_token);
      const refreshed = await oauth.processRefreshTokenResponse(
        as,
        client,
        await oauth.refreshTokenGrantRequest(as, client, auth, refresh, options),
      );
      expect(refreshed.refresh_token).not.toBe(refresh);
      const revoked = await oauth.revocationRequest(
        as,
        client,
        auth,
        String(refreshed.refresh_token),
        options,
      );
      await oauth.processRevocationResponse(revoked);
      const gone = await oauth.refreshTokenGrantRequest(as, client, auth, refresh, options);
      await expect(oauth.processRefreshTokenResponse(as, client, gone)).rejects.toMatchObject({
        error: 'invalid_grant',
        status: 400,
      });
    });
  }

  it('E4: finds state and iss in an error answer too', async () => {
    const server = new TestServer();
    const { as } = await discover(server);
    const client = await server.register();
    const browser = new TestBrowser(server);
    const url = authorizeUrl(client.client_id, { response_type: 'token' });
    const { response } = await browser.get(url);
    const back = new URL(response.headers.get('location') ?? '');
    const validate = () =>
      oauth.validateAuthResponse(as, { client_id: client.client_id }, back, STATE);
    expect(validate).toThrow(oauth.AuthorizationResponseError);
  });

  it('S7: tells by iss that an answer is of another server', async () => {
    const server = new TestServer();
    const { as } = await discover(server);
    const client = await server.register();
    const back = await new TestBrowser(server).signIn(authorizeUrl(client.client_id));
    const other = { ...as, issuer: 'https://other.example' };
    const of = { client_id: client.client_id };
    expect(() => oauth.validateAuthResponse(other, of, back, STATE)).toThrow('iss');
    back.searchParams.delete('iss');
    expect(() => oauth.validateAuthResponse(as, of, back, STATE)).toThrow('iss');
  });
});
