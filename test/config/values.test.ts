import { describe, expect, it } from 'bun:test';
import fc from 'fast-check';
import { faults, loaded } from './config-input.ts';

const publicUrl = (text: string) => ({ argv: [`--public-url=${text}`] });

describe('PUBLIC_URL', () => {
  it.each([
    'http://mcp.example.org',
    'http://127.0.0.1.evil.example',
    'http://localhost.evil.example',
    'http://10.0.0.1',
    'https://mcp.example.org/path',
    'https://mcp.example.org//',
    'https://mcp.example.org/?',
    'https://mcp.example.org?a=b',
    'https://mcp.example.org#',
    'https://mcp.example.org/#a',
    'https://user@mcp.example.org',
    'https://user:pw@mcp.example.org',
    'https://@mcp.example.org',
    'https://',
    'https:///mcp',
    'https:mcp.example.org',
    'mcp.example.org',
    'ftp://mcp.example.org',
    'https://mcp.example.org:99999',
    'https://mcp.example.org:',
    'https://mcp.example.org:08443',
    'https://mcp example.org',
    'https://mcp.example.org\\evil',
    'https://exämple.org',
    'https://*.example.org',
    'http://127.1',
    'http://0x7f000001',
  ])('refuses %s', (text) => {
    const told = faults(publicUrl(text));
    expect(told).toHaveLength(1);
    expect(told[0]).toStartWith('--public-url (FJMCP_PUBLIC_URL, public_url): ');
  });

  it('D6: keeps the issuer byte for byte, without a trailing slash', () => {
    const cases = {
      'https://mcp.example.org': 'https://mcp.example.org',
      'https://mcp.example.org/': 'https://mcp.example.org',
      'HTTPS://MCP.Example.ORG': 'https://mcp.example.org',
      'https://mcp.example.org:8443': 'https://mcp.example.org:8443',
      'https://xn--exmple-cua.org': 'https://xn--exmple-cua.org',
      'http://127.0.0.1:8080': 'http://127.0.0.1:8080',
      'http://localhost:8080/': 'http://localhost:8080',
      'http://[::1]:8080': 'http://[::1]:8080',
    };
    for (const [text, issuer] of Object.entries(cases)) {
      const config = loaded(publicUrl(text));
      expect(config.publicOrigin).toBe(issuer);
      expect(config.warnings).toEqual([]);
    }
  });

  it('D6: drops a default port, and says so', () => {
    const https = loaded(publicUrl('https://mcp.example.org:443'));
    expect(https.publicOrigin).toBe('https://mcp.example.org');
    expect(https.warnings.join()).toContain('the default port is dropped');
    expect(loaded(publicUrl('http://localhost:80')).publicOrigin).toBe('http://localhost');
    expect(loaded(publicUrl('http://localhost:443')).publicOrigin).toBe('http://localhost:443');
  });

  it('D6: accepts only what a browser would send as Origin, whatever the text', () => {
    const text = fc.oneof(
      fc.webUrl({ withFragments: true, withQueryParameters: true }),
      fc.domain().map((host) => `https://${host}`),
      fc.tuple(fc.domain(), fc.nat(70_000)).map(([host, port]) => `https://${host}:${port}/`),
      fc.string().map((rest) => `https://${rest}`),
    );
    fc.assert(
      fc.property(text, (candidate) => {
        let origin: string;
        try {
          origin = loaded({ env: { FJMCP_PUBLIC_URL: candidate } }).publicOrigin;
        } catch {
          return;
        }
        expect(new URL(origin).origin).toBe(origin);
        expect(origin.endsWith('/')).toBe(false);
      }),
    );
  });
});

describe('LISTEN', () => {
  it.each(['8080', ':8080', '127.0.0.1', '127.0.0.1:', '127.0.0.1:65536', '127.0.0.1:-1', 'a b:1'])(
    'refuses %s',
    (text) => {
      expect(faults({ argv: [`--listen=${text}`] })[0]).toContain(
        'must be HOST:PORT or unix:/PATH',
      );
    },
  );

  it('T3: is loopback unless something else is asked for, which is warned of', () => {
    expect(loaded().warnings).toEqual([]);
    for (const text of ['127.0.0.1:65535', 'localhost:1', '[::1]:0']) {
      expect(loaded({ argv: [`--listen=${text}`] }).warnings).toEqual([]);
    }
    const open = loaded({ argv: ['--listen=0.0.0.0:8080'] });
    expect(open.warnings.join()).toContain('reachable from other machines');
    const { listen } = loaded({ argv: ['--listen=[::1]:9'] });
    expect(listen).toEqual({ kind: 'tcp', hostname: '::1', port: 9 });
  });

  it.each(['unix:', 'unix:http.sock', 'unix:/', 'unix:/run/x/', 'unix:/run/a\nb'])(
    'refuses %s',
    (text) => {
      expect(faults({ argv: [`--listen=${text}`] })[0]).toContain('absolute path');
    },
  );

  it('may be a unix socket, of 102 bytes at most: five more are needed beside it', () => {
    const longest = `/${'x'.repeat(101)}`;
    const { listen, warnings } = loaded({ argv: [`--listen=unix:${longest}`] });
    expect(listen).toEqual({ kind: 'unix', path: longest });
    expect(warnings).toEqual([]);
    expect(faults({ argv: [`--listen=unix:${longest}x`] })[0]).toContain('at most 102 bytes');
  });
});

describe('FORGEJO_URL', () => {
  it.each([
    'git.example.org',
    'ftp://git.example.org',
    'https://git.example.org?a=b',
    'https://git.example.org/#a',
    'https://user@git.example.org',
  ])('refuses %s', (text) => {
    expect(faults({ argv: [`--forgejo-url=${text}`] })).toHaveLength(1);
    expect(faults({ argv: [`--forgejo-internal-url=${text}`] })).toHaveLength(1);
  });

  it('keeps a path prefix, drops trailing slashes', () => {
    const config = loaded({ argv: ['--forgejo-url=https://example.org/git//'] });
    expect(config.forgejoUrl).toBe('https://example.org/git');
    expect(config.forgejoInternalUrl).toBe('https://example.org/git');
  });

  it('E13: warns when passwords would travel in the clear, but not on loopback or inside', () => {
    const open = loaded({ argv: ['--forgejo-url=http://git.example.org'] });
    expect(open.warnings.join()).toContain('people sign in over plain http');
    const inside = loaded({
      argv: ['--forgejo-url=http://127.0.0.1:3000', '--forgejo-internal-url=http://forgejo:3000'],
    });
    expect(inside.warnings).toEqual([]);
  });
});

describe('durations, sizes and numbers', () => {
  it.each([
    ['--session-idle-timeout', '15'],
    ['--session-idle-timeout', '15 m'],
    ['--session-idle-timeout', '1.5m'],
    ['--session-idle-timeout', '-1m'],
    ['--session-idle-timeout', '15M'],
    ['--session-idle-timeout', '0ms'],
    ['--session-idle-timeout', '25d'],
    ['--access-token-ttl', '999ms'],
    ['--stop-grace', '601s'],
    ['--max-body', '4MB'],
    ['--max-body', '4'],
    ['--max-body', '1023B'],
    ['--max-message', '2GiB'],
    ['--max-sessions', '0'],
    ['--max-sessions', '100001'],
    ['--max-sessions', '1e3'],
    ['--max-sessions', '0x10'],
  ])('refuses %s %s', (flag, text) => {
    const told = faults({ argv: [`${flag}=${text}`] });
    expect(told).toHaveLength(1);
    expect(told[0]).toStartWith(`${flag} (FJMCP_`);
  });

  it('says the bounds in units that can be typed', () => {
    expect(faults({ argv: ['--stop-grace=11m'] })[0]).toContain('between 0ms and 10m, not 11m');
  });

  it('accepts each bound itself', () => {
    expect(loaded({ argv: ['--session-idle-timeout=1ms'] }).sessionIdleTimeoutMs).toBe(1);
    expect(loaded({ argv: ['--access-token-ttl=1s'] }).accessTokenTtlMs).toBe(1000);
    expect(loaded({ argv: ['--stop-grace=0ms'] }).stopGraceMs).toBe(0);
    expect(loaded({ argv: ['--stop-grace=10m'] }).stopGraceMs).toBe(600_000);
    expect(loaded({ argv: ['--max-body=1KiB'] }).maxBodyBytes).toBe(1024);
    expect(loaded({ argv: ['--max-message=1gib'] }).maxMessageBytes).toBe(1024 ** 3);
    expect(loaded({ argv: ['--max-sessions=100000'] }).maxSessions).toBe(100_000);
  });

  it('refuses a wait that a timer cannot hold: it would fire at once', () => {
    expect(loaded({ argv: ['--request-timeout=2147483647ms'] }).requestTimeoutMs).toBe(2 ** 31 - 1);
    expect(faults({ argv: ['--request-timeout=2147483648ms'] })).toHaveLength(1);
  });
});

describe('lists of addresses', () => {
  it.each([
    'https://a.example/',
    'https://a.example/path',
    'a.example',
    'null',
    '*',
    'https://*.example',
    'HTTPS://a.example',
    'https://a.example:443',
  ])('ALLOWED_ORIGINS refuses %s', (text) => {
    expect(faults({ argv: [`--allowed-origins=${text}`] })).toHaveLength(1);
  });

  it('ALLOWED_ORIGINS tells every wrong member', () => {
    const [fault = ''] = faults({ argv: ['--allowed-origins=https://a.example,x,y'] });
    expect(fault).toContain('"x"');
    expect(fault).toContain('"y"');
  });

  it.each([
    'https://a.example/callback',
    'http://127.0.0.1/callback',
    'javascript:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    'cursor://a/b#c',
    'cursor://a/*',
    '/callback',
  ])('R3: REDIRECT_ALLOWLIST refuses %s', (text) => {
    expect(faults({ argv: [`--redirect-allowlist=${text}`] })).toHaveLength(1);
  });

  it('R3: REDIRECT_ALLOWLIST can be emptied and extended', () => {
    expect(loaded({ argv: ['--redirect-allowlist='] }).redirectAllowlist).toEqual([]);
    const two = ['cursor://anysphere.cursor-mcp/oauth/callback', 'com.example.app:/callback'];
    const argv = [`--redirect-allowlist=${two.join(' ')}`];
    expect(loaded({ argv }).redirectAllowlist).toEqual(two);
  });

  it('S12: MAX_SCOPE and DEFAULT_SCOPE are one of the three scopes, by their full names', () => {
    for (const flag of ['max-scope', 'default-scope']) {
      for (const text of ['read', 'FORGEJO:READ', 'forgejo:read forgejo:write', 'all']) {
        const [told, ...more] = faults({ argv: [`--${flag}=${text}`] });
        expect(told).toContain('must be forgejo:read or forgejo:write or forgejo:delete');
        expect(more).toEqual([]);
      }
    }
    expect(loaded()).toMatchObject({ maxScope: 'forgejo:delete', defaultScope: 'forgejo:write' });
    const argv = ['--max-scope=forgejo:read', '--default-scope=forgejo:read'];
    expect(loaded({ argv })).toMatchObject({
      maxScope: 'forgejo:read',
      defaultScope: 'forgejo:read',
    });
  });

  it('FORGEJO_SCOPES refuses what is no scope token (RFC 6749 section 3.3)', () => {
    expect(faults({ argv: ['--forgejo-scopes=read:misc "x"'] })).toHaveLength(1);
    expect(loaded({ argv: ['--forgejo-scopes=read:misc'] }).forgejoScopes).toEqual(['read:misc']);
  });
});
