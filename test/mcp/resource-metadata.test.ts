import { describe, expect, it } from 'bun:test';
import { ORIGIN, resourceUnderTest, tokenNamed } from './harness.ts';

const PATH_FORM = '/.well-known/oauth-protected-resource/mcp';
const ROOT_FORM = '/.well-known/oauth-protected-resource';

function get(path: string, headers: Record<string, string> = {}, host = 'localhost') {
  const { plugin } = resourceUnderTest();
  return plugin.handle(new Request(`http://${host}${path}`, { headers }));
}

describe('protected resource metadata (RFC 9728)', () => {
  it('D1: names the authorization server, the scopes and the header as the one method', async () => {
    const document = await (await get(PATH_FORM)).json();
    expect(document).toMatchObject({
      authorization_servers: [ORIGIN],
      scopes_supported: ['forgejo:read', 'forgejo:write'],
      bearer_methods_supported: ['header'],
    });
  });

  it('S12: lists what a connection usually needs, not everything that there is', async () => {
    const document = (await (await get(PATH_FORM)).json()) as { scopes_supported: string[] };
    expect(document.scopes_supported).not.toContain('forgejo:delete');
  });

  it('D2: answers at the path-inserted address with resource byte for byte', async () => {
    const response = await get(PATH_FORM);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain(`"resource":"${ORIGIN}/mcp"`);
  });

  it('D3: answers the same document at the root form', async () => {
    const [byPath, byRoot] = [await get(PATH_FORM), await get(ROOT_FORM)];
    expect(byRoot.status).toBe(200);
    expect(await byRoot.text()).toBe(await byPath.text());
  });

  it('D6: lists the issuer without a trailing slash', async () => {
    const text = await (await get(ROOT_FORM)).text();
    expect(text).toContain(`"authorization_servers":["${ORIGIN}"]`);
  });

  it('D12: does not list offline_access', async () => {
    expect(await (await get(PATH_FORM)).text()).not.toContain('offline_access');
  });

  for (const path of [PATH_FORM, ROOT_FORM]) {
    it(`D13: ${path} is public JSON that any origin's script may read`, async () => {
      const response = await get(path, { origin: 'https://anywhere.example' });
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('application/json');
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
    });

    it(`D13: ${path} does not care about a bad token`, async () => {
      const response = await get(path, { authorization: `Bearer ${tokenNamed('nobody')}` });
      expect(response.status).toBe(200);
    });

    it(`D13: ${path} answers a preflight with the headers that clients send`, async () => {
      const { plugin } = resourceUnderTest();
      const response = await plugin.handle(
        new Request(`http://localhost${path}`, {
          method: 'OPTIONS',
          headers: { origin: 'https://anywhere.example' },
        }),
      );
      expect(response.status).toBe(204);
      expect(response.headers.get('access-control-allow-headers')?.toLowerCase()).toContain(
        'mcp-protocol-version',
      );
    });

    it(`${path} answers another method with 405 and Allow, to the scripts of every origin`, async () => {
      const { plugin } = resourceUnderTest();
      const request = new Request(`http://localhost${path}`, {
        method: 'POST',
        headers: { origin: 'https://somewhere.example' },
      });
      const response = await plugin.handle(request);
      expect(response.status).toBe(405);
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(response.headers.get('allow')).toBe('GET, HEAD, OPTIONS');
    });
  }

  it('[CVE-2025-6514] is built from the configured address, whatever the Host says', async () => {
    const headers = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' };
    const text = await (await get(PATH_FORM, headers, 'evil.example')).text();
    expect(text).not.toContain('evil.example');
    expect(text).toContain(`"resource":"${ORIGIN}/mcp"`);
  });
});
