import { describe, expect, it } from 'bun:test';
import { faults, loaded } from './config-input.ts';

const withTables = (text: string) => ({
  argv: ['--config=/c.toml'],
  files: { '/c.toml': text },
});

const client = (members: Record<string, unknown>) =>
  withTables(
    [
      '[[static_clients]]',
      ...Object.entries({
        id: 'desk',
        redirect_uris: ['https://client.example/callback'],
        ...members,
      })
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => `${name} = ${JSON.stringify(value)}`),
    ].join('\n'),
  );

describe('STATIC_CLIENTS (R8)', () => {
  it.each([
    ['a text', 'static_clients = "x"', 'static_clients: must be tables'],
    ['a single table', '[static_clients]\nid = "x"', 'static_clients: must be tables'],
    ['an array of texts', 'static_clients = ["x"]', 'static_clients[0]: must be a table'],
  ])('R8: refuses %s', (_, text, sentence) => {
    expect(faults(withTables(text)).join()).toContain(sentence);
  });

  it.each([
    ['no id', { id: undefined }, 'id:'],
    ['an id with a space', { id: 'a b' }, 'id:'],
    ['an id of 101 characters', { id: 'x'.repeat(101) }, 'id:'],
    ['an id that is a web address', { id: 'https://client.example/id' }, 'id:'],
    ['an empty name', { name: ' ' }, 'name:'],
    ['a name of 101 characters', { name: 'x'.repeat(101) }, 'name:'],
    ['no redirect URI', { redirect_uris: [] }, 'redirect_uris:'],
    [
      'eleven redirect URIs',
      { redirect_uris: Array(11).fill('https://a.example') },
      'redirect_uris:',
    ],
    ['a redirect URI that is no text', { redirect_uris: [7] }, 'redirect_uris:'],
    ['plain http elsewhere', { redirect_uris: ['http://client.example/'] }, 'must be https'],
    ['another loopback address', { redirect_uris: ['http://127.0.0.2/'] }, '127.0.0.1 or [::1]'],
    ['braces', { redirect_uris: ['https://a.example/{x}'] }, 'plain characters'],
    ['a backslash', { redirect_uris: ['https://a.example\\b'] }, 'plain characters'],
    ['a repaired address', { redirect_uris: ['https:/a.example/'] }, 'plain characters'],
    ['an international host', { redirect_uris: ['https://bücher.example/'] }, 'plain characters'],
    ['a web socket', { redirect_uris: ['wss://a.example/'] }, 'must be https'],
    ['a script', { redirect_uris: ['javascript:alert(1)'] }, 'never allowed'],
    ['a fragment', { redirect_uris: ['https://a.example/#x'] }, 'fragment'],
    ['a pattern', { redirect_uris: ['https://a.example/*'] }, 'pattern'],
    ['a user', { redirect_uris: ['https://u@a.example/'] }, 'must not hold a user'],
    ['a clear secret', { secret_sha256: 'not-a-digest' }, 'secret_sha256:'],
    ['an unknown member', { secret: 'canary-a' }, 'secret: no such member'],
  ])('R8: refuses a client with %s, and names it', (_, members, sentence) => {
    const told = faults(client(members)).join();
    expect(told).toContain('static_clients[0]: ');
    expect(told).toContain(sentence);
    expect(told).not.toContain('canary');
  });

  it('R8: refuses an id that stands twice', () => {
    const once = '[[static_clients]]\nid = "a"\nredirect_uris = ["https://a.example/"]\n';
    expect(faults(withTables(once + once))).toEqual(['static_clients[1]: the id "a" stands twice']);
  });

  it('R8: takes public and confidential clients, the digest in hex or base64', () => {
    const digest = new Bun.CryptoHasher('sha256').update('the-secret');
    const bytes = digest.digest();
    const base64url = bytes.toString('base64url');
    for (const text of [bytes.toString('hex'), bytes.toString('base64'), base64url]) {
      expect(loaded(client({ secret_sha256: text })).staticClients).toEqual([
        {
          id: 'desk',
          name: 'desk',
          redirectUris: ['https://client.example/callback'],
          secretSha256: base64url,
        },
      ]);
    }
    expect(loaded(client({ name: 'Desk' })).staticClients[0]).toMatchObject({
      name: 'Desk',
      secretSha256: null,
    });
  });

  it('R8: takes loopback and private-use redirect URIs', () => {
    const uris = ['http://127.0.0.1/callback', 'http://localhost:7/cb', 'com.example.app:/cb'];
    const [first] = loaded(client({ redirect_uris: uris })).staticClients;
    expect(first?.redirectUris).toEqual(uris);
  });

  it('R8: has neither flag nor variable', () => {
    expect(faults({ argv: ['--static-clients=x'] })[0]).toContain('there is no such flag');
    const { warnings } = loaded({ env: { FJMCP_STATIC_CLIENTS: 'x' } });
    expect(warnings.join()).toContain('FJMCP_STATIC_CLIENTS');
  });
});
