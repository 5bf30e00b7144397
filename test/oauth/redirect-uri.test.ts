import { describe, expect, it } from 'bun:test';
import { REDIRECT_URI_LENGTH_MAX, redirectTarget } from '../../app/base/redirect-target.ts';
import { redirectUriMatches } from '../../app/oauth/redirect-uri.ts';
import { PRIVATE_USE_URI } from './harness.ts';

const ALLOWLIST = [PRIVATE_USE_URI];

describe('a redirect URI that somebody wants to register', () => {
  const refused: Record<string, readonly string[]> = {
    'http off the loopback': [
      'http://client.example/callback',
      'http://127.0.0.2/callback',
      'http://localhost.evil.example/callback',
      'http://[::2]/callback',
      'http://0x7f.1/callback',
      'http://2130706433/callback',
    ],
    'a fragment, an empty one too': [
      'https://client.example/callback#part',
      'https://client.example/callback#',
      'http://localhost/callback#',
    ],
    'a user name in the authority': [
      'https://user@client.example/callback',
      'https://user:password@client.example/',
      'https://@client.example/',
      'https://client.example@evil.example/',
    ],
    'a wildcard': ['https://*.client.example/callback', 'https://client.example/*', 'http://*/'],
    'a scheme that runs or shows what it holds': [
      'javascript:alert(1)',
      'JavaScript://client.example/%0aalert(1)',
      'data:text/html,x',
      'file:///etc/passwd',
      'vbscript:x',
      'blob:https://client.example/x',
      'about:blank',
    ],
    'a private-use URI that is not on the list': [
      'cursor://anysphere.cursor-mcp/oauth/other',
      `${PRIVATE_USE_URI}?x=1`,
      `${PRIVATE_USE_URI}/`,
      PRIVATE_USE_URI.toUpperCase(),
      'com.example.app:/callback',
    ],
    'what is no absolute URI, or reads differently to two parsers': [
      '',
      '/callback',
      'client.example/callback',
      'https:client.example/callback',
      'https:/client.example/callback',
      'https:///callback',
      'https://',
      'https:\\\\client.example\\callback',
      'https://client.example\\@evil.example/',
      'https://client.example/call back',
      'https://client.example/\n',
      ' https://client.example/',
      'https://cliént.example/',
      'https://client.example:99999/',
      'https://client.example:/callback:x#',
      'https://client%2eexample/',
      'https://0x7f.1/',
    ],
  };
  for (const [why, uris] of Object.entries(refused)) {
    it(`R3: is refused for ${why}`, () => {
      const taken = uris.filter((uri) => redirectTarget(uri, ALLOWLIST) !== undefined);
      expect(taken).toEqual([]);
    });
  }

  it('R3: is refused for a dangerous scheme even where the list has it', () => {
    expect(redirectTarget('javascript:alert(1)', ['javascript:alert(1)'])).toBeUndefined();
    expect(redirectTarget('data:text/html,x', ['data:text/html,x'])).toBeUndefined();
  });

  it('R6: is refused one character beyond the limit', () => {
    const start = 'https://client.example/';
    const longest = start + 'a'.repeat(REDIRECT_URI_LENGTH_MAX - start.length);
    expect(redirectTarget(longest, [])?.kind).toBe('web');
    expect(redirectTarget(`${longest}a`, [])).toBeUndefined();
  });

  it('R3: is taken for https, and shown by host and port', () => {
    expect(redirectTarget('https://claude.ai/api/mcp/auth_callback', [])).toEqual({
      kind: 'web',
      host: 'claude.ai',
    });
    expect(redirectTarget('HTTPS://Client.Example:8443/a?b=c', [])).toEqual({
      kind: 'web',
      host: 'client.example:8443',
    });
  });

  it('R3: is taken for http on the three loopback names', () => {
    for (const host of ['localhost', '127.0.0.1', '[::1]']) {
      const target = redirectTarget(`http://${host}:8787/callback`, []);
      expect(target).toEqual({ kind: 'loopback', host });
    }
  });

  it('R3: is taken for a private-use URI that is on the list, letter by letter', () => {
    expect(redirectTarget(PRIVATE_USE_URI, ALLOWLIST)).toEqual({
      kind: 'private_use',
      scheme: 'cursor',
    });
  });
});

describe('a redirect URI in a request', () => {
  it('E7: is refused when it differs in anything from the registered one', () => {
    const registered = ['https://client.example/callback', PRIVATE_USE_URI];
    for (const uri of [
      'https://client.example/callback/',
      'https://client.example/callback?x=1',
      'https://client.example/callback/../callback',
      'https://client.example:443/callback',
      'https://CLIENT.example/callback',
      'http://client.example/callback',
      'https://client.example/Callback',
      'https://client.example/%63allback',
      'https://client.example.evil.example/callback',
      `${PRIVATE_USE_URI}/`,
      '',
    ]) {
      expect({ uri, matches: redirectUriMatches(uri, registered) }).toEqual({
        uri,
        matches: false,
      });
    }
    expect(redirectUriMatches('https://client.example/callback', registered)).toBe(true);
  });

  it('E7: may have any port on the loopback, and nothing else may differ', () => {
    const registered = [
      'http://localhost/callback?a=1',
      'http://127.0.0.1:33418/',
      'http://[::1]:1/x',
    ];
    for (const uri of [
      'http://localhost:51234/callback?a=1',
      'http://localhost/callback?a=1',
      'http://127.0.0.1:9/',
      'http://127.0.0.1',
      'http://[::1]:65535/x',
      'http://[::1]/x',
    ]) {
      expect({ uri, matches: redirectUriMatches(uri, registered) }).toEqual({ uri, matches: true });
    }
    for (const uri of [
      'http://127.0.0.1:51234/callback?a=1',
      'http://localhost:51234/callback',
      'http://localhost:51234/callback?a=2',
      'http://localhost:51234/callback/?a=1',
      'https://localhost:51234/callback?a=1',
      'http://localhost:65536/callback?a=1',
      'http://user@localhost:51234/callback?a=1',
      'http://localhost:51234@evil.example/callback?a=1',
      'http://[::1]:1/x#',
    ]) {
      expect({ uri, matches: redirectUriMatches(uri, registered) }).toEqual({
        uri,
        matches: false,
      });
    }
  });

  it('E7: has no free port off the loopback, nor on https', () => {
    expect(redirectUriMatches('https://client.example:8443/a', ['https://client.example/a'])).toBe(
      false,
    );
    expect(redirectUriMatches('https://localhost:2/a', ['https://localhost:1/a'])).toBe(false);
  });
});
