import { expect, it, setDefaultTimeout } from 'bun:test';
import { STAGE_TTL_MS } from '../../../app/oauth/running-request.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { chromium, describeWith } from '../../support/requirements.ts';
import { TEST_PATIENCE_MS } from './support/engine.ts';
import { type Connecting, useStage, whoIs } from './support/stage.ts';
import type { Visitor } from './support/visitor.ts';

setDefaultTimeout(TEST_PATIENCE_MS);

describeWith(chromium, 'signing in with a real browser', () => {
  const stage = useStage();

  /** Takes the code that has arrived to its end: the client has its tokens. */
  async function finish(
    person: Visitor,
    { client, landing }: Connecting,
    page = person.page,
  ): Promise<void> {
    const { url } = await person.arrives(landing, page);
    await client.finishAuthorization(url);
  }

  it('S1: the first time: consent, login, grant, and a page that names the account', async () => {
    const connecting = await stage.connecting();
    const person = await stage.visitor();
    await person.open(connecting.authorizationUrl);
    await person.allow();
    await person.signIn();
    await person.grant();
    await person.confirm();
    const { url, method, referer } = await person.arrives(connecting.landing);
    expect({ method, referer }).toEqual({ method: 'GET', referer: null });
    expect([...url.searchParams.keys()]).toEqual(['code', 'state', 'iss']);
    expect(url.searchParams.get('iss')).toBe(stage.system.origin);
    await connecting.client.finishAuthorization(url);
    expect(await whoIs(connecting.client)).toBe(person.login);
    expect(person.complaints.all).toEqual([]);
  });

  it('S1: the second time: Forgejo is silent, our consent page names the login and is enough', async () => {
    const person = await stage.visitor();
    const first = await stage.connecting();
    await person.walkFirstTime(first.authorizationUrl);
    await finish(person, first);

    const second = await stage.connecting({ name: 'Second client' });
    const before = person.requested.length;
    await person.open(second.authorizationUrl);
    await person.page.getByText(`You signed in with this browser as ${person.login}`).waitFor();
    await person.page.getByText('calls itself Second client').waitFor();
    await person.allow();
    await finish(person, second);
    expect(await whoIs(second.client)).toBe(person.login);
    const paths = person.requested.slice(before).map((url) => new URL(url).pathname);
    expect(paths).toEqual([
      '/oauth/authorize',
      '/oauth/consent',
      '/login/oauth/authorize',
      '/oauth/callback',
      '/callback',
    ]);
    expect(person.complaints.all).toEqual([]);
  });

  it('S1: with Forgejo on another site the cookie still names the browser at the callback', async () => {
    const system = await stage.ownSystem({ forge: { hostname: 'localhost' } });
    const person = await stage.visitor({ system });
    const first = await stage.connecting({ system });
    await person.walkFirstTime(first.authorizationUrl);
    await finish(person, first);
    const second = await stage.connecting({ system });
    await person.open(second.authorizationUrl);
    await person.allow();
    await finish(person, second);
    expect(person.complaints.all).toEqual([]);
  });

  it('S1: another account than the page showed is named, and accepted when the person says so', async () => {
    const person = await stage.visitor();
    const other = await stage.visitor({ context: person.context });
    const first = await stage.connecting();
    await person.walkFirstTime(first.authorizationUrl);
    await finish(person, first);
    await person.signOutAtForge();

    const second = await stage.connecting();
    await person.open(second.authorizationUrl);
    await person.page.getByText(`You signed in with this browser as ${person.login}`).waitFor();
    await person.allow();
    await person.signIn(other.login, other.password);
    await person.grant();
    await person.confirm(other.login);
    await finish(person, second);
    expect(await whoIs(second.client)).toBe(other.login);
    expect(await whoIs(first.client)).toBe(person.login);
    expect(person.complaints.all).toEqual([]);
  });

  it('S1: another account than the page showed gets nothing when the person says no', async () => {
    const person = await stage.visitor();
    const other = await stage.visitor({ context: person.context });
    const first = await stage.connecting();
    await person.walkFirstTime(first.authorizationUrl);
    await finish(person, first);
    await person.signOutAtForge();

    const second = await stage.connecting();
    await person.open(second.authorizationUrl);
    await person.allow();
    await person.signIn(other.login, other.password);
    await person.grant();
    await person.sees(`Connect as ${other.login}?`);
    await person.press('Cancel');
    const { url } = await person.arrives(second.landing);
    expect(refusalIn(url)).toEqual({ error: 'access_denied', iss: stage.system.origin });
    expect(second.landing.arrivals).toHaveLength(1);
    expect(person.complaints.all).toEqual([]);
  });

  it('S1: the page that names the wrong account leads to the right one', async () => {
    const person = await stage.visitor();
    const other = await stage.visitor({ context: person.context });
    const connecting = await stage.connecting();
    await person.signInAtForge(other.login, other.password);
    await person.open(connecting.authorizationUrl);
    await person.allow();
    await person.grant();
    await person.sees(`Connect as ${other.login}?`);
    const named = person.page;
    await person.newTab();
    await person.signOutAtForge();
    await person.follow('start again', named);
    await person.allow(named);
    await person.signIn(person.login, person.password, named);
    await person.grant(named);
    await person.confirm(person.login, named);
    await finish(person, connecting, named);
    expect(await whoIs(connecting.client)).toBe(person.login);
  });

  it('S2: an authorization page that is loaded twice works in both tabs', async () => {
    const person = await stage.visitor();
    const { client, landing, authorizationUrl } = await stage.connecting();
    await person.open(authorizationUrl);
    const firstTab = person.page;
    const secondTab = await person.newTab();
    await person.open(authorizationUrl);
    await person.allow(firstTab);
    await person.signIn(person.login, person.password, firstTab);
    await person.grant(firstTab);
    await person.confirm(person.login, firstTab);
    const first = await person.arrives(landing, firstTab);
    // The page of the second tab was made before anybody had signed in, so it asks who it is.
    await person.allow(secondTab);
    await person.confirm(person.login, secondTab);
    const second = await person.arrives(landing, secondTab);
    expect(second.url.searchParams.get('code')).not.toBe(first.url.searchParams.get('code'));
    await client.finishAuthorization(first.url);
    await client.finishAuthorization(second.url);
    expect(person.complaints.all).toEqual([]);
  });

  it('S2: a callback that is loaded again says so, and gives and spoils nothing', async () => {
    const person = await stage.visitor();
    const first = await stage.connecting();
    await person.walkFirstTime(first.authorizationUrl);
    await finish(person, first);
    const { client, landing, authorizationUrl } = await stage.connecting();
    const callback = person.nextRequest(stage.system.origin, '/oauth/callback');
    await person.open(authorizationUrl);
    await person.allow();
    const { url } = await person.arrives(landing);
    await person.newTab();
    await person.open((await callback).url());
    await person.sees('This sign-in is already over');
    expect(landing.arrivals).toHaveLength(1);
    await client.finishAuthorization(url);
  });

  it('S2: a callback that is loaded again before it is answered is taken once', async () => {
    const system = await stage.ownSystem({});
    const person = await stage.visitor({ system });
    const { client, landing, authorizationUrl } = await stage.connecting({ system });
    const callback = person.nextRequest(system.origin, '/oauth/callback');
    await person.open(authorizationUrl);
    await person.allow();
    await person.signIn();
    const exchange = system.forge.faults.set({ kind: 'hold' }, { on: '/login/oauth/access_token' });
    await person.grant();
    await exchange.reached;
    const waiting = person.page;
    // Chromium lets a second load of one URL wait for the first; in this order it is another URL.
    const again = new URL((await callback).url());
    again.search = new URLSearchParams([...again.searchParams].reverse()).toString();
    await person.newTab();
    await person.open(again);
    await person.sees('This sign-in is already over');
    exchange.release();
    await person.confirm(person.login, waiting);
    await finish(person, { client, landing, authorizationUrl }, waiting);
    expect(system.forge.count('/login/oauth/access_token')).toBe(1);
  });

  it('S2: two clients connect at once in two tabs, and each gets its own answer', async () => {
    const system = await stage.ownSystem({});
    const person = await stage.visitor({ system });
    const before = await stage.connecting({ system });
    await person.walkFirstTime(before.authorizationUrl);
    await finish(person, before);

    const left = await stage.connecting({ system, name: 'Left client' });
    const right = await stage.connecting({ system, name: 'Right client' });
    const leftTab = await person.newTab();
    await person.open(left.authorizationUrl);
    const rightTab = await person.newTab();
    await person.open(right.authorizationUrl);
    // Both are at Forgejo at the same time, and come back in the other order.
    const heldLeft = system.forge.faults.set({ kind: 'hold' }, { on: FORGE_AUTHORIZE, times: 1 });
    await person.allow(leftTab);
    await heldLeft.reached;
    await person.allow(rightTab);
    await finish(person, right, rightTab);
    heldLeft.release();
    await finish(person, left, leftTab);
    expect(left.landing.arrivals).toHaveLength(1);
    expect(right.landing.arrivals).toHaveLength(1);
    expect(person.complaints.all).toEqual([]);
  });

  it('E2: a refusal on our page goes back to the client, and Forgejo never hears of it', async () => {
    const person = await stage.visitor();
    const { client, landing, authorizationUrl } = await stage.connecting();
    await person.open(authorizationUrl);
    await person.sees(/^Allow access to/);
    await person.press('Refuse');
    const { url } = await person.arrives(landing);
    expect(refusalIn(url)).toEqual({ error: 'access_denied', iss: stage.system.origin });
    expect(url.searchParams.get('state')).toBe(client.memory.state());
    expect(person.requested.filter((one) => one.startsWith(stage.system.forge.url))).toEqual([]);
    expect(person.complaints.all).toEqual([]);
  });

  it('E2: a refusal on the page of Forgejo goes back to the client', async () => {
    const person = await stage.visitor();
    const { client, landing, authorizationUrl } = await stage.connecting();
    await person.open(authorizationUrl);
    await person.allow();
    await person.signIn();
    await person.press('Cancel');
    const { url } = await person.arrives(landing);
    expect(refusalIn(url)).toEqual({ error: 'access_denied', iss: stage.system.origin });
    expect(url.searchParams.get('state')).toBe(client.memory.state());
    expect(person.complaints.all).toEqual([]);
  });

  it('walks the whole way with scripts off, the first time and the second', async () => {
    const person = await stage.visitor({ javaScriptEnabled: false });
    const first = await stage.connecting();
    await person.walkFirstTime(first.authorizationUrl);
    await finish(person, first);
    const second = await stage.connecting();
    await person.open(second.authorizationUrl);
    await person.allow();
    await finish(person, second);
    expect(await whoIs(second.client)).toBe(person.login);
    expect(person.complaints.all).toEqual([]);
  });

  it('goes on after the back button: a fresh consent page takes the place of the used one', async () => {
    const person = await stage.visitor();
    const connecting = await stage.connecting();
    await person.open(connecting.authorizationUrl);
    await person.allow();
    await person.sees('Sign In');
    await person.page.goBack();
    await person.allow();
    await person.signIn();
    await person.grant();
    await person.confirm();
    await finish(person, connecting);
    expect(person.complaints.all).toEqual([]);
  });

  it('goes on after a reload of the consent page', async () => {
    const person = await stage.visitor();
    const connecting = await stage.connecting();
    await person.open(connecting.authorizationUrl);
    await person.sees(/^Allow access to/);
    await person.page.reload();
    await person.allow();
    await person.signIn();
    await person.grant();
    await person.confirm();
    await finish(person, connecting);
  });

  it('S2: a form that is sent twice is taken once, and the person can start again', async () => {
    const person = await stage.visitor();
    const connecting = await stage.connecting();
    await person.open(connecting.authorizationUrl);
    await person.sees(/^Allow access to/);
    // With Control the answer goes to a new tab, and the page stays as it is.
    const opened = person.context.waitForEvent('page');
    await person.press('Allow', person.page, ['Control']);
    await person.sees('Sign In', await opened);
    await person.press('Allow');
    await person.sees('This sign-in is already over');
    await person.follow('Start again');
    await person.allow();
    await person.signIn();
    await person.grant();
    await person.confirm();
    await finish(person, connecting);
  });

  it('S2: a consent page that has waited too long is refused with a page', async () => {
    const clock = new FakeClock();
    const system = await stage.ownSystem({ clock });
    const person = await stage.visitor({ system });
    const { landing, authorizationUrl } = await stage.connecting({ system });
    await person.open(authorizationUrl);
    await person.sees(/^Allow access to/);
    clock.advance(STAGE_TTL_MS);
    await person.press('Allow');
    await person.sees('This sign-in is already over');
    expect(person.requested.filter((one) => one.startsWith(system.forge.url))).toEqual([]);
    expect(landing.arrivals).toEqual([]);
  });

  it('S2: a person who comes back from Forgejo too late is told so, and gets nothing', async () => {
    const clock = new FakeClock();
    const system = await stage.ownSystem({ clock });
    const person = await stage.visitor({ system });
    const { landing, authorizationUrl } = await stage.connecting({ system });
    await person.open(authorizationUrl);
    await person.allow();
    await person.signIn();
    clock.advance(STAGE_TTL_MS);
    await person.grant();
    await person.sees('This sign-in is already over');
    expect(system.forge.count('/login/oauth/access_token')).toBe(0);
    expect(landing.arrivals).toEqual([]);
  });

  it('shows a page with a retry while Forgejo is away, and the retry works', async () => {
    const system = await stage.ownSystem({});
    const person = await stage.visitor({ system });
    const connecting = await stage.connecting({ system });
    system.forge.faults.set({ kind: 'status', status: 502 }, { on: '/login/oauth/access_token' });
    await person.open(connecting.authorizationUrl);
    await person.allow();
    await person.signIn();
    await person.grant();
    await person.sees('Forgejo cannot be reached now');
    system.forge.faults.clear();
    await person.follow('Try again');
    await person.allow();
    await person.confirm();
    await finish(person, connecting);
  });

  it('refuses a disabled account with a page that leads back to the application', async () => {
    const person = await stage.visitor();
    const { landing, authorizationUrl } = await stage.connecting();
    stage.system.forge.disable(person.login);
    await person.open(authorizationUrl);
    await person.allow();
    await person.signIn();
    await person.grant();
    await person.sees(`The account ${person.login} may not sign in`);
    await person.follow('Back to the application');
    const { url } = await person.arrives(landing);
    expect(refusalIn(url)).toEqual({ error: 'access_denied', iss: stage.system.origin });
  });
});

const FORGE_AUTHORIZE = '/login/oauth/authorize';

/** The error of an answer, and who sent it; fails for an answer with a code. */
function refusalIn(url: URL): { error: string | null; iss: string | null } {
  expect(url.searchParams.has('code')).toBe(false);
  return { error: url.searchParams.get('error'), iss: url.searchParams.get('iss') };
}
