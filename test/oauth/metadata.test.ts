import { describe, expect, it } from 'bun:test';
import { answerOf, BROWSER_CLIENT, ORIGIN, RESOURCE, TestServer } from './harness.ts';

const PATH = '/.well-known/oauth-authorization-server';
const server = new TestServer();

async function metadata(init: RequestInit = {}): Promise<Record<string, unknown>> {
  return (await answerOf(await server.fetch(PATH, init))).body;
}

describe('authorization server metadata (RFC 8414)', () => {
  it('D5: is served as JSON at the well-known address', async () => {
    const response = await server.fetch(PATH);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toStartWith('application/json');
  });

  it('D6: names the issuer without a trailing slash, letter by letter the public origin', async () => {
    expect((await metadata()).issuer).toBe(ORIGIN);
  });

  it('D8: says that PKCE with S256, and nothing else, is supported', async () => {
    expect((await metadata()).code_challenge_methods_supported).toEqual(['S256']);
  });

  it('D9: promises iss in every authorization response', async () => {
    expect((await metadata()).authorization_response_iss_parameter_supported).toBe(true);
  });

  it('D11: names every endpoint and everything that is supported there', async () => {
    expect(await metadata()).toMatchObject({
      authorization_endpoint: `${ORIGIN}/oauth/authorize`,
      token_endpoint: `${ORIGIN}/oauth/token`,
      registration_endpoint: `${ORIGIN}/oauth/register`,
      revocation_endpoint: `${ORIGIN}/oauth/revoke`,
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
      revocation_endpoint_auth_methods_supported: [
        'none',
        'client_secret_basic',
        'client_secret_post',
      ],
      service_documentation: `${ORIGIN}/docs`,
      protected_resources: [RESOURCE],
    });
  });

  it('D11: promises no client id documents while there are none', async () => {
    expect(await metadata()).not.toHaveProperty('client_id_metadata_document_supported');
  });

  it('D12: lists offline_access beside the scopes, and says what each scope allows', async () => {
    const body = await metadata();
    expect(body.scopes_supported).toEqual(['forgejo:read', 'forgejo:write', 'offline_access']);
    expect(body.scope_descriptions).toEqual({
      'forgejo:read': expect.stringContaining('change nothing'),
      'forgejo:write': expect.stringContaining('create and change'),
      'forgejo:delete': expect.stringContaining('deleting included'),
    });
  });

  it('S12: lists no scope beyond the usual, and describes none beyond the ceiling', async () => {
    const own = new TestServer();
    const read = async () => (await answerOf(await own.fetch(PATH))).body;
    own.scopes = { maxScope: 'forgejo:write', defaultScope: 'forgejo:read' };
    const body = await read();
    expect(body.scopes_supported).toEqual(['forgejo:read', 'offline_access']);
    expect(Object.keys(body.scope_descriptions as object)).toEqual([
      'forgejo:read',
      'forgejo:write',
    ]);
    own.scopes = { maxScope: 'forgejo:read', defaultScope: 'forgejo:write' };
    expect((await read()).scopes_supported).toEqual(['forgejo:read', 'offline_access']);
  });

  it('D13: is readable by the scripts of every origin, without a token', async () => {
    const response = await server.fetch(PATH, { headers: { origin: 'https://anyone.example' } });
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    const preflight = await server.fetch(PATH, {
      method: 'OPTIONS',
      headers: { origin: 'https://anyone.example', 'access-control-request-method': 'GET' },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
    expect(preflight.headers.get('access-control-allow-methods')).toContain('GET');
  });

  it('E14: offers neither the implicit nor the password grant', async () => {
    const body = await metadata();
    expect(body.response_types_supported).not.toContain('token');
    expect(body.grant_types_supported).not.toContain('password');
    expect(body.grant_types_supported).not.toContain('implicit');
  });

  it('[CVE-2025-6514] [GHSA-g53w-w6mj-hrpp] is made of the configured public URL, whatever the request says', async () => {
    const expected = await metadata();
    const lies = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'javascript',
      forwarded: 'host=evil.example;proto=http',
      'x-original-url': '/evil',
    };
    expect(await metadata({ headers: lies })).toEqual(expected);
    const elsewhere = await server.fetch(`https://evil.example${PATH}`);
    expect(await elsewhere.json()).toEqual(expected);
  });

  it('refuses another method with 405 and says which there are', async () => {
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const response = await server.fetch(PATH, { method });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('GET, HEAD, OPTIONS');
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
    }
  });
});

describe('other well-known documents', () => {
  it('D7: are a plain 404 in JSON, readable from everywhere, never a page and never a 401', async () => {
    const paths = [
      '/.well-known/openid-configuration',
      '/.well-known/openid-configuration/mcp',
      '/.well-known/oauth-authorization-server/mcp',
      '/.well-known/anything',
    ];
    for (const path of paths) {
      const response = await server.fetch(path, {
        headers: { accept: 'text/html', origin: BROWSER_CLIENT },
      });
      expect(response.status).toBe(404);
      expect(response.headers.get('content-type')).toStartWith('application/json');
      expect(response.headers.get('www-authenticate')).toBeNull();
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(await response.json()).toMatchObject({ error: 'not_found' });
    }
    const preflight = await server.fetch(paths[0] ?? '', { method: 'OPTIONS' });
    expect(preflight.status).toBe(204);
  });
});
