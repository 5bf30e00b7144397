import { beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import { type Permission, parsePermission } from '../../app/tools/permission.ts';
import { SCOPES, scopeText } from '../../app/tools/scopes.ts';
import { TARGETS_MAX } from '../../app/tools/targets.ts';
import { TOOLSETS } from '../../app/tools/toolsets.ts';
import {
  authorizeUrl,
  type Registered,
  type Shown,
  stateOf,
  TestBrowser,
  TestServer,
  type Tokens,
} from './harness.ts';

let server: TestServer;
let client: Registered;
let browser: TestBrowser;

beforeEach(async () => {
  server = new TestServer();
  client = await server.register();
  browser = new TestBrowser(server);
});

interface Chosen {
  readonly scope?: string | readonly string[];
  readonly toolsets?: readonly string[];
  readonly targets?: string;
}

const ask = (scope?: string) => browser.get(authorizeUrl(client.client_id, { scope }));

/** The page as a person left it. */
function left(page: Shown, { scope = 'forgejo:read', toolsets, targets = '' }: Chosen): Shown {
  const scopes = typeof scope === 'string' ? [scope] : scope;
  return {
    ...page,
    fields: { ...page.fields, targets },
    ticked: [
      ...scopes.map((value) => ['scope', value] as const),
      ...(toolsets ?? TOOLSETS).map((value) => ['toolset', value] as const),
    ],
  };
}

const chosenOn = (page: Shown, name: string) =>
  page.ticked.filter(([field]) => field === name).map(([, value]) => value);

/** From what was left on the page to tokens, and what the grant of it holds. */
async function granted(page: Shown): Promise<{ tokens: Tokens; permission: Permission }> {
  const back = await browser.comeBack(stateOf(await browser.press(page, 'allow')));
  const location =
    back.response.headers.get('location') ??
    (await browser.press(back, 'allow')).response.headers.get('refresh')?.slice('0; url='.length);
  const code = new URL(location ?? '').searchParams.get('code') ?? '';
  const tokens = (await (await server.exchange(client, code)).json()) as Tokens;
  const proof = await server.store.tokens.findAccess(digestOf(tokens.access_token));
  const permission = parsePermission(proof?.permission ?? null);
  if (!permission.ok) throw new Error(permission.error);
  return { tokens, permission: permission.value };
}

describe('the choice on the consent page, refused', () => {
  it('when the page never sent it: no scope, an unknown one, two, or an unknown set of tools', async () => {
    const page = await ask();
    for (const chosen of [
      { scope: [] },
      { scope: 'forgejo:admin' },
      { scope: 'FORGEJO:READ' },
      { scope: 'forgejo:read forgejo:delete' },
      { scope: ['forgejo:read', 'forgejo:delete'] },
      { toolsets: ['issues', 'everything'] },
      { toolsets: ['Issues'] },
    ] satisfies Chosen[]) {
      const { response, title } = await browser.press(left(page, chosen), 'allow');
      expect({ chosen, status: response.status }).toEqual({ chosen, status: 400 });
      expect(title).toBe('This form cannot be read');
    }
    expect(server.log.of('authorization.approved')).toEqual([]);
    expect((await browser.press(left(page, {}), 'allow')).response.status).toBe(200);
  });

  it('with the same page and a sentence, when there is no tool in it', async () => {
    const again = await browser.press(left(await ask(), { toolsets: [] }), 'allow');
    expect(again.response.status).toBe(400);
    expect(again.text).toContain('choose at least one kind of tool');
    expect(chosenOn(again, 'toolset')).toEqual([]);
    const { permission } = await granted(left(again, { toolsets: ['wiki'] }));
    expect(permission.toolsets).toEqual(['wiki']);
  });

  it('with the same page, the sentence and what was written, when a place is none', async () => {
    for (const targets of [
      'a/b/c',
      '../x',
      'a b/',
      'https://git.example/a/b',
      '<script>',
      '*',
      '*/x',
    ]) {
      const page = left(await ask(), { scope: 'forgejo:read', targets, toolsets: ['issues'] });
      const again = await browser.press(page, 'allow');
      expect({ targets, status: again.response.status }).toEqual({ targets, status: 400 });
      expect(again.text).toContain('The list of places:');
      expect(again.text).not.toContain('<script');
      expect(again.fields.targets).toBe(Bun.escapeHTML(targets));
      expect(chosenOn(again, 'scope')).toEqual(['forgejo:read']);
      expect(chosenOn(again, 'toolset')).toEqual(['issues']);
    }
    expect(server.log.of('authorization.approved')).toEqual([]);
  });

  it('beyond the number of places, not at it', async () => {
    const places = (count: number) =>
      Array.from({ length: count }, (_, index) => `a/r${index}`).join('\n');
    const page = await ask();
    const beyond = await browser.press(left(page, { targets: places(TARGETS_MAX + 1) }), 'allow');
    expect(beyond.response.status).toBe(400);
    expect(beyond.text).toContain(`more than ${TARGETS_MAX}`);
    const { permission } = await granted(left(beyond, { targets: places(TARGETS_MAX) }));
    expect(permission.targets).toHaveLength(TARGETS_MAX);
  });

  it('S12: above the ceiling, which may have been lowered while the page was open', async () => {
    const page = await ask();
    server.scopes = { maxScope: 'forgejo:read', defaultScope: 'forgejo:write' };
    const again = await browser.press(left(page, { scope: 'forgejo:write' }), 'allow');
    expect(again.response.status).toBe(400);
    expect(again.text).toContain('just lowered');
    expect(again.text).not.toContain('value="forgejo:write"');
    expect(chosenOn(again, 'scope')).toEqual(['forgejo:read']);
    expect((await granted(again)).tokens.scope).toBe('forgejo:read');
  });

  it('not at all when the person refuses: nothing of the choice is read', async () => {
    const refused = await browser.press(left(await ask(), { scope: 'x' }), 'deny');
    expect(refused.response.headers.get('refresh')).toContain('error=access_denied');
  });
});

describe('the choice on the consent page, proposed', () => {
  it('S12: is the default for a client that asks for nothing of ours', async () => {
    for (const scope of [undefined, '', 'offline_access', ' offline_access', 'openid profile']) {
      expect(chosenOn(await ask(scope), 'scope')).toEqual(['forgejo:write']);
    }
    server.scopes = { maxScope: 'forgejo:delete', defaultScope: 'forgejo:read' };
    expect(chosenOn(await ask(), 'scope')).toEqual(['forgejo:read']);
  });

  it('S12: is what the client asks for, the largest it names, cut by the ceiling', async () => {
    for (const scope of SCOPES) {
      expect(chosenOn(await ask(scope), 'scope')).toEqual([scope]);
      expect(chosenOn(await ask(`${scopeText(scope)} offline_access`), 'scope')).toEqual([scope]);
    }
    server.scopes = { maxScope: 'forgejo:write', defaultScope: 'forgejo:write' };
    const page = await ask('forgejo:delete');
    expect(chosenOn(page, 'scope')).toEqual(['forgejo:write']);
    expect(page.text).not.toContain('value="forgejo:delete"');
    expect(page.text).toContain('does not allow more');
  });

  it('has every tool and every place for a person who is new here', async () => {
    const page = await ask();
    expect(chosenOn(page, 'toolset')).toEqual([...TOOLSETS]);
    expect(page.fields.targets).toBe('');
  });

  it('keeps the limits that the person gave the same client before, also when it asks for more', async () => {
    await granted(left(await ask(), { toolsets: ['issues', 'wiki'], targets: 'a/b c/*' }));
    const more = await ask('forgejo:read forgejo:write');
    expect(chosenOn(more, 'scope')).toEqual(['forgejo:write']);
    expect(chosenOn(more, 'toolset')).toEqual(['issues', 'wiki']);
    expect(more.fields.targets).toBe('a/b\nc/*');
    expect(chosenOn(await ask(), 'scope')).toEqual(['forgejo:read']);

    const stranger = new TestBrowser(server);
    const fresh = await stranger.get(authorizeUrl(client.client_id));
    expect(chosenOn(fresh, 'toolset')).toEqual([...TOOLSETS]);
    expect(fresh.fields.targets).toBe('');
    const other = await server.register({ client_name: 'Another' });
    const page = await browser.get(authorizeUrl(other.client_id));
    expect(chosenOn(page, 'toolset')).toEqual([...TOOLSETS]);
  });

  it('says nothing of a grant that has ended', async () => {
    await granted(left(await ask(), { targets: 'a/b' }));
    for (const grant of await server.grants()) await server.store.grants.end(grant.id, 'revoked');
    expect((await ask()).fields.targets).toBe('');
  });
});

describe('the choice on the consent page, taken', () => {
  it('is what the grant holds and what the token answer tells', async () => {
    for (const scope of SCOPES) {
      const { tokens, permission } = await granted(left(await ask(), { scope }));
      expect(permission).toEqual({ scope, toolsets: 'all', targets: 'all' });
      expect(tokens.scope).toBe(scopeText(scope));
    }
    const chosen = {
      toolsets: ['wiki', 'issues'],
      targets: ' Anna/Repo,\r\nacme/* acme\nanna/repo ',
    };
    const { permission } = await granted(left(await ask(), chosen));
    expect(permission).toEqual({
      scope: 'forgejo:read',
      toolsets: ['issues', 'wiki'],
      targets: ['acme', 'acme/*', 'anna/repo'],
    });
  });

  it('may be less than the client asked for, and more', async () => {
    const less = left(await ask('forgejo:delete'), { scope: 'forgejo:read' });
    expect((await granted(less)).tokens.scope).toBe('forgejo:read');
    const more = left(await ask('forgejo:read'), { scope: 'forgejo:delete' });
    expect((await granted(more)).tokens.scope).toBe(scopeText('forgejo:delete'));
  });

  it('is told once more, in words, on the page that names the account', async () => {
    const page = left(await ask(), { toolsets: ['issues', 'pull_requests'], targets: 'acme/*' });
    const confirm = await browser.comeBack(stateOf(await browser.press(page, 'allow')));
    expect(confirm.title).toBe('Connect as alice?');
    expect(confirm.text).toContain('<strong>Read only</strong>');
    expect(confirm.text).toContain('Only these kinds of tools: Issues, Pull requests.');
    expect(confirm.text).toContain('<li><code>acme/*</code></li>');
    expect(confirm.text).not.toContain('class="warning"');
  });

  it('S12: gives no token beyond the ceiling of the moment, and says so', async () => {
    const page = left(await ask(), { scope: 'forgejo:delete' });
    const state = stateOf(await browser.press(page, 'allow'));
    server.scopes = { maxScope: 'forgejo:write', defaultScope: 'forgejo:write' };
    const confirm = await browser.comeBack(state);
    expect(confirm.text).toContain('<strong>Read and write</strong>');
    const answer = await browser.press(confirm, 'allow');
    const url = new URL(answer.response.headers.get('refresh')?.slice('0; url='.length) ?? '');
    const code = url.searchParams.get('code') ?? '';
    const tokens = (await (await server.exchange(client, code)).json()) as Tokens;
    expect(tokens.scope).toBe(scopeText('forgejo:write'));
  });

  it('is everything for a request that a release before has approved, and for a grant of it', async () => {
    const old = { scope: 'forgejo:delete', permission: null };
    const { issue } = server.store.authorizationCodes;
    const answer = await browser.comeBack(stateOf(await browser.press(await ask(), 'allow')));
    await browser.press(answer, 'allow');
    const code = 'fjmcp_ac_of-a-release-before';
    await issue({
      codeDigest: digestOf(code),
      requestDigest: digestOf('gone'),
      clientId: client.client_id,
      accountId: 7,
      redirectUri: 'https://client.example/callback',
      codeChallenge: digestOf('verifier-verifier-verifier-verifier-verifier'),
      resource: 'https://broker.example/mcp',
      codeExpiresAt: server.clock.now() + 1000,
      ...old,
    });
    const tokens = (await (await server.exchange(client, code)).json()) as Tokens;
    expect(tokens.scope).toBe(scopeText('forgejo:delete'));
    // Everything was never chosen, so it is not what the next page proposes.
    expect(chosenOn(await ask(), 'scope')).toEqual(['forgejo:write']);
  });
});
