import { expect, it, setDefaultTimeout } from 'bun:test';
import { chromium, describeWith } from '../../support/requirements.ts';
import { selfSendingForm } from './support/attacker.ts';
import { TEST_PATIENCE_MS } from './support/engine.ts';
import { type Acquaintance, type Connecting, useStage } from './support/stage.ts';
import type { Visitor } from './support/visitor.ts';

setDefaultTimeout(TEST_PATIENCE_MS);

const FORGE_AUTHORIZE = '/login/oauth/authorize';
/** For a test that opens three dozen pages, where others open three. */
const DOZENS_OF_PAGES_MS = 3 * TEST_PATIENCE_MS;

describeWith(chromium, 'attack pages in a real browser', () => {
  const stage = useStage();

  const consentUrl = () => `${stage.system.origin}/oauth/consent`;

  /** How many grants were made for this client; a code never comes without one. */
  function grantsOf({ client }: Connecting): number {
    const id = client.memory.information?.client_id ?? '';
    return stage.system.logLines.filter(
      (line) => line.includes('"grant.created"') && line.includes(`"${id}"`),
    ).length;
  }

  /** A person who has used the broker before: Forgejo answers silently from now on. */
  async function walkedIn(): Promise<Visitor> {
    const person = await stage.visitor();
    const own = await stage.connecting({ name: 'Own client' });
    await person.walkFirstTime(own.authorizationUrl);
    await person.arrives(own.landing);
    expect(grantsOf(own)).toBe(1);
    return person;
  }

  let acquaintance: Promise<Acquaintance> | undefined;

  /** Such a person too, with a copy of a browser that has walked once for all tests. */
  async function victim(): Promise<Visitor> {
    acquaintance ??= walkedIn().then(async ({ login, password, context }) => ({
      ...{ login, password },
      storageState: await context.storageState(),
    }));
    return stage.visitor({ as: await acquaintance });
  }

  /** The attacker's own consent page, in the attacker's browser. */
  async function attackerAtConsent() {
    const connecting = await stage.connecting({ name: 'Own client' });
    const attacker = await stage.visitor();
    await attacker.open(connecting.authorizationUrl);
    await attacker.sees(/^Allow access to/);
    return { attacker, connecting };
  }

  async function postedBy(person: Visitor, url: string): Promise<number> {
    const answer = person.context.waitForEvent('response', {
      predicate: (response) => response.request().method() === 'POST',
    });
    await person.open(url);
    return (await answer).status();
  }

  it('[GHSA-c2jp-c369-7pvx] a link of an attacker gives its client nothing until the person presses', async () => {
    const person = await victim();
    const site = stage.attackSite();
    const evil = await stage.connecting({ name: 'Own client' });
    const atForge = stage.system.forge.count(FORGE_AUTHORIZE);
    const address = Bun.escapeHTML(evil.authorizationUrl.href);
    const path = site.page(`<img src="${address}"><link rel="prefetch" href="${address}">
<iframe src="${address}"></iframe><script>
fetch(${JSON.stringify(evil.authorizationUrl)}, { mode: 'no-cors', credentials: 'include' })
  .finally(() => { location.href = ${JSON.stringify(evil.authorizationUrl)}; });
</script>`);
    await person.open(`${site.foreign}${path}`);
    await person.sees(/^Allow access to/);
    expect(stage.system.forge.count(FORGE_AUTHORIZE)).toBe(atForge);
    await person.press('Refuse');
    const { url } = await person.arrives(evil.landing);
    expect(url.searchParams.get('error')).toBe('access_denied');
    expect(evil.landing.arrivals).toHaveLength(1);
    expect(grantsOf(evil)).toBe(0);
  });

  it('[GHSA-6x8h-498w-gv8c] consent is asked again for the client that was allowed a moment ago', async () => {
    const person = await stage.visitor();
    const { landing, authorizationUrl } = await stage.connecting();
    await person.walkFirstTime(authorizationUrl);
    await person.arrives(landing);
    const atForge = stage.system.forge.count(FORGE_AUTHORIZE);
    await person.open(authorizationUrl);
    await person.sees(/^Allow access to/);
    expect(stage.system.forge.count(FORGE_AUTHORIZE)).toBe(atForge);
    expect(landing.arrivals).toHaveLength(1);
  });

  it('S2: an upstream URL that an attacker makes up comes back to nothing', async () => {
    const person = await victim();
    const forged = new URL(`${stage.system.forge.url}${FORGE_AUTHORIZE}`);
    forged.search = new URLSearchParams({
      client_id: stage.system.config.forgejoClientId,
      redirect_uri: `${stage.system.origin}/oauth/callback`,
      response_type: 'code',
      state: 'made-up',
    }).toString();
    await person.open(forged);
    await person.sees('This sign-in is already over');
  });

  for (const name of ['foreign', 'sibling'] as const) {
    it(`S1: a ${name} page cannot press the button with the values of the attacker's own page`, async () => {
      const person = await victim();
      const { attacker, connecting } = await attackerAtConsent();
      const fields = { ...(await attacker.hiddenFields()), decision: 'allow' };
      const site = stage.attackSite();
      const path = site.page(selfSendingForm(consentUrl(), fields));
      expect(await postedBy(person, `${site[name]}${path}`)).toBe(403);
      await person.sees('This answer did not come from our page');
      expect(grantsOf(connecting)).toBe(0);
      expect(connecting.landing.arrivals).toEqual([]);
    });

    it(`S1: a ${name} page cannot press the button with values stolen from the person's page`, async () => {
      const person = await victim();
      const connecting = await stage.connecting();
      await person.open(connecting.authorizationUrl);
      const consent = person.page;
      const fields = { ...(await person.hiddenFields()), decision: 'allow' };
      const site = stage.attackSite();
      const forms = {
        plain: selfSendingForm(consentUrl(), fields),
        // Makes the browser say `Origin: null`.
        'without referrer': `<meta name="referrer" content="no-referrer">${selfSendingForm(consentUrl(), fields)}`,
        'from a sandbox': `<iframe sandbox="allow-forms allow-scripts allow-top-navigation" srcdoc="${Bun.escapeHTML(selfSendingForm(consentUrl(), fields, '_top'))}"></iframe>`,
      };
      for (const form of Object.values(forms)) {
        await person.newTab();
        expect(await postedBy(person, `${site[name]}${site.page(form)}`)).toBe(403);
        await person.sees('This answer did not come from our page');
      }
      // Nothing was taken, so the person's own answer still counts.
      await person.allow(consent);
      await person.arrives(connecting.landing, consent);
      expect(grantsOf(connecting)).toBe(1);
    });

    it(`S1: a script of a ${name} page can neither read our page nor answer it`, async () => {
      const person = await victim();
      const connecting = await stage.connecting();
      await person.open(connecting.authorizationUrl);
      const consent = person.page;
      const fields = { ...(await person.hiddenFields()), decision: 'allow' };
      const site = stage.attackSite();
      await person.newTab();
      await person.open(`${site[name]}${site.page('')}`);
      const outcome = await person.page.evaluate(
        async ({ readable, action, body }) => {
          const failed = () => 'failed';
          const init = { method: 'POST', credentials: 'include', body } as const;
          const form = () => new URLSearchParams(body);
          return {
            read: await fetch(readable, { credentials: 'include' }).then((r) => r.text(), failed),
            answered: await fetch(action, { ...init, body: form() }).then((r) => r.text(), failed),
            unseen: await fetch(action, { ...init, body: form(), mode: 'no-cors' }).then(
              ({ type }) => type,
              failed,
            ),
          };
        },
        { readable: connecting.authorizationUrl.href, action: consentUrl(), body: fields },
      );
      expect(outcome).toEqual({ read: 'failed', answered: 'failed', unseen: 'opaque' });
      await person.allow(consent);
      await person.arrives(connecting.landing, consent);
    });

    it(`E14: a ${name} page cannot show ours in a frame`, async () => {
      const person = await victim();
      const connecting = await stage.connecting();
      const callback = `${stage.system.origin}/oauth/callback?state=x&code=y`;
      const docs = `${stage.system.origin}/docs`;
      const site = stage.attackSite();
      const harmless = connecting.landing.redirectUri;
      const ours = [connecting.authorizationUrl.href, callback, docs];
      const frames = [harmless, ...ours].map(
        (address) => `<iframe src="${Bun.escapeHTML(address)}"></iframe>`,
      );
      await person.open(`${site[name]}${site.page(frames.join(''))}`);
      const [, shown, ...refused] = person.page.frames();
      await shown?.waitForURL(harmless, { waitUntil: 'commit' });
      expect(refused).toHaveLength(ours.length);
      for (const frame of refused) {
        await frame.waitForURL('chrome-error://chromewebdata/', { waitUntil: 'commit' });
      }
    });
  }

  it('[double-click class] a window over our page that closes between two clicks presses nothing', async () => {
    const person = await victim();
    const evil = await stage.connecting();
    const site = stage.attackSite();
    const over = site.page('Double-click here<script>onmousedown = () => close()</script>');
    const path = site.page(`<button>Play</button><script>
document.querySelector('button').onclick = () => {
  open(${JSON.stringify(over)}, '', 'width=600,height=600');
  location.href = ${JSON.stringify(evil.authorizationUrl)};
};
</script>`);
    await person.open(`${site.foreign}${path}`);
    const opened = person.context.waitForEvent('page');
    await person.page.getByRole('button', { name: 'Play' }).click({ noWaitAfter: true });
    const window = await opened;
    await person.sees(/^Allow access to/);
    const allow = person.page.getByRole('button', { name: 'Allow' });
    await allow.scrollIntoViewIfNeeded();
    const box = await allow.boundingBox();
    const at = [(box?.x ?? 0) + 20, (box?.y ?? 0) + 20] as const;
    const closed = window.waitForEvent('close');
    await window.mouse.move(...at);
    await window.mouse.down();
    await closed;
    // In one go, so that a slow machine does not give the pointer time over our page.
    const { mouse } = person.page;
    await Promise.all([mouse.move(...at), mouse.down(), mouse.up()]);
    await person.press('Refuse');
    const { url } = await person.arrives(evil.landing);
    expect(url.searchParams.get('error')).toBe('access_denied');
    expect(grantsOf(evil)).toBe(0);
  });

  it('S1: a foreign page cannot confirm the account for the person', async () => {
    const person = await stage.visitor();
    const connecting = await stage.connecting();
    await person.open(connecting.authorizationUrl);
    await person.allow();
    await person.signIn();
    await person.grant();
    await person.sees(`Connect as ${person.login}?`);
    const confirm = person.page;
    const fields = { ...(await person.hiddenFields()), decision: 'allow' };
    const site = stage.attackSite();
    const path = site.page(selfSendingForm(`${stage.system.origin}/oauth/confirm`, fields));
    for (const origin of [site.foreign, site.sibling]) {
      await person.newTab();
      expect(await postedBy(person, `${origin}${path}`)).toBe(403);
      await person.sees('This answer did not come from our page');
    }
    expect(grantsOf(connecting)).toBe(0);
    await person.confirm(person.login, confirm);
    await person.arrives(connecting.landing, confirm);
    expect(grantsOf(connecting)).toBe(1);
  });

  it("S1: the attacker's values in the person's own page are refused: they belong to another browser", async () => {
    const person = await victim();
    const { attacker, connecting: evil } = await attackerAtConsent();
    const own = await stage.connecting();
    await person.open(own.authorizationUrl);
    await person.overwriteFields(await attacker.hiddenFields());
    await person.allow();
    await person.sees('Go on in the browser where you began');
    // Refused at once, and not only when Forgejo sends the person back.
    expect(new URL(person.page.url()).pathname).toBe('/oauth/consent');
    expect(grantsOf(evil)).toBe(0);
    expect(evil.landing.arrivals).toEqual([]);
  });

  it("S1: the person's values in the attacker's browser are refused, and stay good for the person", async () => {
    const person = await victim();
    const { attacker } = await attackerAtConsent();
    const own = await stage.connecting();
    await person.open(own.authorizationUrl);
    await attacker.overwriteFields(await person.hiddenFields());
    await attacker.allow();
    await attacker.sees('Go on in the browser where you began');
    await person.allow();
    await person.arrives(own.landing);
    expect(grantsOf(own)).toBe(1);
  });

  for (const cookie of ['has been here before', 'has never been here'] as const) {
    it(`[CVE-2026-27124] what an attacker allowed cannot be finished by a person who ${cookie}`, async () => {
      const person = await victim();
      if (cookie === 'has never been here') {
        await person.context.clearCookies({ name: /fjmcp/ });
      }
      const { attacker, connecting: evil } = await attackerAtConsent();
      const upstream = await attacker.addressInstead(stage.system.forge.url, FORGE_AUTHORIZE, () =>
        attacker.allow(),
      );
      const exchanges = stage.system.forge.count('/login/oauth/access_token');
      await person.open(upstream);
      await person.sees('Go on in the browser where you began');
      expect(new URL(person.page.url()).pathname).toBe('/oauth/callback');
      expect(stage.system.forge.count('/login/oauth/access_token')).toBe(exchanges);
      expect(evil.landing.arrivals).toEqual([]);
      expect(grantsOf(evil)).toBe(0);
    });
  }

  it("S2: an attacker's callback signs nobody in (login CSRF), and stays the attacker's own", async () => {
    const attacker = await victim();
    const own = await stage.connecting();
    await attacker.open(own.authorizationUrl);
    const upstream = await attacker.addressInstead(stage.system.forge.url, FORGE_AUTHORIZE, () =>
      attacker.allow(),
    );
    const silent = await attacker.context.request.get(upstream, { maxRedirects: 0 });
    const callback = silent.headers().location ?? '';
    expect(new URL(callback).pathname).toBe('/oauth/callback');

    const person = await stage.visitor();
    const theirs = await stage.connecting();
    await person.open(theirs.authorizationUrl);
    await person.sees(/^Allow access to/);
    await person.open(callback);
    await person.sees('Go on in the browser where you began');
    await person.open(theirs.authorizationUrl);
    await person.page.getByText('You will sign in at').waitFor();
    expect(own.landing.arrivals).toEqual([]);

    await attacker.open(callback);
    await attacker.arrives(own.landing);
  });

  it('[CVE-2026-27124] a person whom an attacker signed in at Forgejo sees the name before anything happens', async () => {
    const attacker = await stage.visitor();
    const person = await walkedIn();
    await person.signOutAtForge();
    await person.signInAtForge(attacker.login, attacker.password);
    const own = await stage.connecting();
    await person.open(own.authorizationUrl);
    await person.allow();
    await person.grant();
    await person.sees(`Connect as ${attacker.login}?`);
    expect(grantsOf(own)).toBe(0);
    expect(own.landing.arrivals).toEqual([]);
  });

  it(
    'E1: a redirect URI that was not registered leads nowhere, with a sound request or a broken one',
    async () => {
      const person = await victim();
      const { landing, authorizationUrl } = await stage.connecting();
      const { port } = new URL(landing.redirectUri);
      const before = person.requested.length;
      for (const uri of [
        'https://evil.invalid/',
        '//evil.invalid/callback',
        'javascript:alert(1)',
        'data:text/html,evil',
        'cursor://anysphere.cursor-mcp/oauth/callback',
        `http://localhost:${port}/callback`,
        `http://127.0.0.1:${port}/callback/`,
        `http://127.0.0.1:${port}/callback?next=evil`,
        `http://127.0.0.1:${port}/callback#evil`,
        `http://127.0.0.1:${port}/callback/../evil`,
        `http://127.0.0.1:${port}/%63allback`,
        `http://127.0.0.1:${port}@evil.invalid/callback`,
        `http://127.0.0.1:${port}\\@evil.invalid/callback`,
        `http://127.0.0.1.evil.invalid/callback`,
        `http://127.1:${port}/callback`,
        `https://127.0.0.1:${port}/callback`,
      ]) {
        for (const responseType of ['code', 'token']) {
          const url = new URL(authorizationUrl);
          url.searchParams.set('redirect_uri', uri);
          url.searchParams.set('response_type', responseType);
          await person.open(url);
          await person.sees('This link leads somewhere it must not');
          expect(await person.page.getByRole('link').count()).toBe(0);
        }
      }
      const twice = new URL(authorizationUrl);
      twice.searchParams.append('redirect_uri', 'https://evil.invalid/');
      await person.open(twice);
      await person.sees('This link is not complete');
      const unknown = new URL(authorizationUrl);
      unknown.searchParams.set('client_id', 'evil');
      await person.open(unknown);
      await person.sees('This application is not known here');
      const origins = new Set(person.requested.slice(before).map((url) => new URL(url).origin));
      expect([...origins]).toEqual([stage.system.origin]);
      expect(landing.arrivals).toEqual([]);
    },
    DOZENS_OF_PAGES_MS,
  );

  it('[CVE-2025-66414] a page whose name was rebound to our address is not served', async () => {
    const person = await victim();
    const { port } = new URL(stage.system.origin);
    await person.open(`http://rebound.test:${port}/oauth/authorize`);
    const answers = await person.page.evaluate(async () => {
      const statuses: number[] = [];
      for (const path of ['/mcp', '/oauth/token', '/.well-known/oauth-authorization-server']) {
        statuses.push((await fetch(path, { method: path === '/mcp' ? 'POST' : 'GET' })).status);
      }
      return statuses;
    });
    expect(answers).toEqual([403, 403, 403]);
  });
});
