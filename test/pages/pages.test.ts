import { describe, expect, it } from 'bun:test';
import { authorizationPages } from '../../app/pages/authorization-pages.ts';
import { STYLESHEET } from '../../app/pages/stylesheet.ts';
import type { ChoicesView, ClientView, PermissionView } from '../../app/pages/views.ts';

const EVIL = '"><script>alert(1)</script>';
const CLIENT: ClientView = {
  name: 'Claude',
  verified: false,
  returnsTo: { kind: 'web', host: 'claude.ai' },
};
const FORM = { action: '/oauth/consent', request: 'the-request', approval: 'the-approval' };
const COMMON = { forgeHost: 'forge.example', form: FORM };
const CHOICES: ChoicesView = {
  scopes: [
    {
      value: 'forgejo:read',
      title: 'Read only',
      detail: 'and change nothing',
      chosen: false,
      isGrave: false,
    },
    { value: 'forgejo:write', title: 'Read and write', detail: '', chosen: true, isGrave: false },
  ],
  isCut: false,
  toolsets: [
    { value: 'issues', title: 'Issues', detail: 'and labels', chosen: true, isGrave: false },
    { value: 'wiki', title: 'Wiki pages', detail: '', chosen: false, isGrave: false },
  ],
  targets: '',
  isNarrowed: false,
  fault: null,
};
const PERMISSION: PermissionView = {
  isEverything: false,
  scope: { title: 'Read and write', detail: 'also change things' },
  toolsets: null,
  targets: null,
};

function consent(client: Partial<ClientView> = {}, login: string | null = null): Response {
  return choosing({}, client, login);
}

function choosing(
  change: Partial<ChoicesView>,
  client: Partial<ClientView> = {},
  login: string | null = null,
): Response {
  const choices = { ...CHOICES, ...change };
  return authorizationPages.consent({
    ...COMMON,
    client: { ...CLIENT, ...client },
    choices,
    login,
  });
}

function confirm(login: string, permission: Partial<PermissionView> = {}): Response {
  return authorizationPages.confirm({
    ...COMMON,
    client: CLIENT,
    permission: { ...PERMISSION, ...permission },
    login,
    forgeUrl: 'https://forge.example',
    restartUrl: 'https://broker.example/oauth/authorize?a=1&b=2',
  });
}

function goingOn(): Response {
  const url = 'https://forge.example/login?a=1&b="2"';
  return authorizationPages.goingOn({ to: 'forge', url, destination: 'forge.example' });
}

function problem(title = 'Something is wrong'): Response {
  const links = [{ href: 'https://broker.example/?a=1&b=2', label: 'Try again' }];
  return authorizationPages.problem({ status: 503, title, paragraphs: ['One.', EVIL], links });
}

const PAGES = { consent, confirm: () => confirm('alice'), goingOn, problem };

describe('every page', () => {
  for (const [name, render] of Object.entries(PAGES)) {
    it(`${name}: allows only its own stylesheet, by its digest, and forms to this origin`, async () => {
      const response = render();
      const policy = response.headers.get('content-security-policy') ?? '';
      const style = /<style>([\s\S]*?)<\/style>/.exec(await response.text())?.[1] ?? '';
      expect(style).toBe(STYLESHEET);
      const digest = new Bun.CryptoHasher('sha256').update(style).digest('base64');
      expect(policy.split('; ').sort()).toEqual([
        "base-uri 'none'",
        "default-src 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        'img-src data:',
        `style-src 'sha256-${digest}'`,
      ]);
    });

    it(`${name}: has the headers that keep it from frames, caches and sniffing`, () => {
      const { headers } = render();
      expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('cache-control')).toBe('no-store');
      // `no-referrer` would turn the Origin of the page's own form into null.
      expect(headers.get('referrer-policy')).toBe('same-origin');
    });

    it(`${name}: runs no script, has no style of its own parts, and loads nothing`, async () => {
      const text = await render().text();
      expect(text).not.toMatch(/<script/i);
      expect(text).not.toMatch(/ (style|on\w+)=/i);
      expect(text).not.toMatch(/ src=/i);
      expect(text).not.toMatch(/url\(/i);
      for (const [, href = ''] of text.matchAll(/<link [^>]*href="([^"]*)"/g)) {
        expect(href).toStartWith('data:');
      }
    });

    it(`[double-click class] ${name}: has no button, box or link that an address can put the focus on`, async () => {
      const text = await render().text();
      // A fragment gives the focus to whatever has its id; a key held down would then press it.
      expect(text).not.toMatch(/<(button|input|a|summary)[^>]* (id|autofocus)\b/i);
    });

    it(`${name}: can be read aloud and on a phone: language, title, one heading, one main part`, async () => {
      const text = await render().text();
      expect(text).toStartWith('<!doctype html>\n<html lang="en">');
      expect(text).toContain('name="viewport" content="width=device-width, initial-scale=1"');
      const title = /<title>(.+?)<\/title>/.exec(text)?.[1] ?? '';
      expect(text.match(/<h1>(.+?)<\/h1>/g)).toEqual([`<h1>${title}</h1>`]);
      expect(text.match(/<main>/g)).toHaveLength(1);
    });
  }

  it('has colours for light and dark', () => {
    expect(STYLESHEET).toContain('prefers-color-scheme: dark');
    expect(STYLESHEET).toContain('color-scheme: light dark');
  });
});

describe('the consent page', () => {
  it('marks a name as the claim of the client, unless the administrator wrote it', async () => {
    expect(await consent().text()).toContain('calls itself <strong><bdi>Claude</bdi></strong>');
    const verified = await consent({ verified: true }).text();
    expect(verified).not.toContain('calls itself');
    expect(verified).toContain('which the administrator of this server has set up');
    expect(await consent({ name: '' }).text()).toContain('An application that gives no name');
  });

  it('shows a name as text, never as markup', async () => {
    const text = await consent({ name: EVIL }, EVIL).text();
    expect(text).not.toContain('<script');
    expect(text).toContain('&quot;&gt;&lt;script&gt;');
  });

  it('says where access is handed to', async () => {
    expect(await consent().text()).toContain('<p class="place">claude.ai</p>');
    const loopback = await consent({ returnsTo: { kind: 'loopback', host: '[::1]' } }).text();
    expect(loopback).toContain('a program on your own computer');
    expect(loopback).toContain('[::1]');
    const own = await consent({ returnsTo: { kind: 'private_use', scheme: 'cursor' } }).text();
    expect(own).toContain('“cursor:” links');
  });

  it('sends the answer by POST, with the request, the one-time value and the button', async () => {
    const text = await consent().text();
    expect(text).toContain('<form method="post" action="/oauth/consent">');
    expect(text).toContain('name="request" value="the-request"');
    expect(text).toContain('name="approval" value="the-approval"');
    expect(text).toContain('<button name="decision" value="allow">Allow</button>');
    expect(text).toContain('value="deny"');
  });

  it('offers what can be allowed, with what is proposed chosen', async () => {
    const text = await consent().text();
    const inputs = [...text.matchAll(/<input type="(?:radio|checkbox)" (.*?)>/g)];
    expect(inputs.map(([, attributes]) => attributes)).toEqual([
      'name="scope" value="forgejo:read"',
      'name="scope" value="forgejo:write" checked',
      'name="toolset" value="issues" checked',
      'name="toolset" value="wiki"',
    ]);
    expect(text).toContain('<strong>Read only</strong> <span class="soft">and change nothing');
    expect(text).toContain('<legend>What it may do</legend>');
    expect(text).toContain('<label for="targets">');
  });

  it('says when the administrator does not allow more', async () => {
    expect(await consent().text()).not.toContain('does not allow more');
    expect(await choosing({ isCut: true }).text()).toContain('does not allow more');
  });

  it('folds the narrower choices away, unless one is in force or wrong', async () => {
    expect(await consent().text()).toContain('<details>');
    expect(await choosing({ isNarrowed: true }).text()).toContain('<details open>');
    const wrong = choosing({ fault: 'Wrong <i>.', targets: '</textarea><script>' });
    expect(wrong.status).toBe(400);
    const text = await wrong.text();
    expect(text).toContain('<details open>');
    expect(text).toContain('<p class="fault" role="alert">Wrong &lt;i&gt;.</p>');
    expect(text).not.toContain('<script');
  });

  it('says who signed in here before', async () => {
    expect(await consent({}, 'alice').text()).toContain('<bdi>alice</bdi>');
    expect(await consent().text()).toContain('You will sign in at');
  });
});

describe('the other pages', () => {
  it('say what was chosen, in words', async () => {
    const all = await confirm('alice').text();
    expect(all).toContain('<strong>Read and write</strong>: also change things');
    expect(all).not.toContain('Only');
    expect(all).not.toContain('class="warning"');
    const most = await confirm('alice', { isEverything: true }).text();
    expect(most).toContain('class="warning"');
    const some = confirm('alice', { toolsets: ['Issues', 'Wiki pages'], targets: ['a/b', 'c/*'] });
    const text = await some.text();
    expect(text).toContain('Only these kinds of tools: Issues, Wiki pages.');
    expect(text).toContain('<li><code>a/b</code></li><li><code>c/*</code></li>');
  });

  it('name the account and the way to another one', async () => {
    const text = await confirm(EVIL).text();
    expect(text).not.toContain('<script');
    expect(text).toContain('Not you, or another account?');
    expect(text).toContain('href="https://forge.example"');
    expect(text).toContain('href="https://broker.example/oauth/authorize?a=1&amp;b=2"');
  });

  it('go on by a Refresh header and by a link', async () => {
    const response = goingOn();
    expect(response.headers.get('refresh')).toBe('0; url=https://forge.example/login?a=1&b="2"');
    expect(await response.text()).toContain(
      'href="https://forge.example/login?a=1&amp;b=&quot;2&quot;"',
    );
    const url = 'cursor://anysphere.cursor-mcp/oauth/callback?code=x';
    const back = authorizationPages.goingOn({ to: 'client', url, destination: 'the program' });
    expect(await back.text()).toContain('you can close this page');
  });

  it('tell a problem with its status, its text as text, and what to do', async () => {
    const response = problem();
    expect(response.status).toBe(503);
    const text = await response.text();
    expect(text).toContain('<p>One.</p>');
    expect(text).not.toContain('<script');
    expect(text).toContain(
      '<a class="button" href="https://broker.example/?a=1&amp;b=2">Try again</a>',
    );
    const bare = { status: 400, title: 'x', paragraphs: ['y'], links: [] };
    expect(await authorizationPages.problem(bare).text()).not.toContain('<a ');
  });
});
