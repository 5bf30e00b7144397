import { expect, it, setDefaultTimeout } from 'bun:test';
import { chromium, describeWith } from '../../support/requirements.ts';
import { launchWithHandler, TEST_PATIENCE_MS } from './support/engine.ts';
import { type Connecting, useStage } from './support/stage.ts';
import type { Visitor } from './support/visitor.ts';

setDefaultTimeout(TEST_PATIENCE_MS);

const REDIRECT_URI = 'cursor://anysphere.cursor-mcp/oauth/callback';

/** What Cursor registers, all or nothing. */
const CURSOR = {
  name: 'Cursor',
  redirectUris: [
    REDIRECT_URI,
    'https://www.cursor.com/agents/mcp/oauth/callback',
    'http://localhost:8787/callback',
  ],
};

describeWith(chromium, 'private-use redirect URI in a real browser', () => {
  const stage = useStage();

  /** A browser on a computer where the program of the client is installed. */
  async function onComputerWithProgram(
    run: (person: Visitor, cursor: Connecting) => Promise<void>,
  ) {
    const cursor = await stage.connecting(CURSOR);
    const browser = await launchWithHandler({
      scheme: 'cursor',
      allowedOrigins: [stage.system.origin],
      deliverTo: cursor.landing.redirectUri,
    });
    try {
      await run(await stage.visitor({ context: browser.context }), cursor);
    } finally {
      await browser.close();
    }
  }

  it('R3: the first time the page after the confirmation opens the program with the code', () =>
    onComputerWithProgram(async (person, { client, landing, authorizationUrl }) => {
      await person.open(authorizationUrl);
      await person.page
        .getByText('the program on this device that opens “cursor:” links')
        .waitFor();
      await person.allow();
      await person.signIn();
      await person.grant();
      await person.confirm();
      const { url } = await landing.arrival();
      expect(url.href.startsWith(`${REDIRECT_URI}?code=`)).toBe(true);
      expect(url.searchParams.get('iss')).toBe(stage.system.origin);
      await client.finishAuthorization(url);
      // The browser stays where it is, on a page that tells so and has a link for another try.
      await person.sees('Continue to the program for “cursor:” links');
      await person.follow('Continue');
      expect((await landing.arrival()).url.href).toBe(url.href);
      expect(person.complaints.all).toEqual([]);
    }));

  it('R3: the second time the page after Forgejo opens the program with the code', () =>
    onComputerWithProgram(async (person, { client, landing, authorizationUrl }) => {
      const before = await stage.connecting();
      await person.walkFirstTime(before.authorizationUrl);
      await person.arrives(before.landing);
      await person.open(authorizationUrl);
      await person.allow();
      const { url } = await landing.arrival();
      expect(url.href.startsWith(`${REDIRECT_URI}?code=`)).toBe(true);
      await client.finishAuthorization(url);
      // Not on the page that says that Forgejo comes next.
      await person.sees('Continue to the program for “cursor:” links');
      expect(landing.arrivals).toHaveLength(1);
      expect(person.complaints.all).toEqual([]);
    }));

  it('E2: a refusal opens the program too, and says who has answered', () =>
    onComputerWithProgram(async (person, { landing, authorizationUrl }) => {
      await person.open(authorizationUrl);
      await person.sees(/^Allow access to/);
      await person.press('Refuse');
      const { url } = await landing.arrival();
      expect(url.href.startsWith(`${REDIRECT_URI}?error=access_denied`)).toBe(true);
      expect(url.searchParams.get('iss')).toBe(stage.system.origin);
      expect(url.searchParams.has('code')).toBe(false);
    }));

  it('R3: without the program the person is left on a page that says where it would have led', async () => {
    const cursor = await stage.connecting(CURSOR);
    const person = await stage.visitor({ javaScriptEnabled: false });
    const tried = person.context.waitForEvent('requestfailed', {
      predicate: (request) => request.url().startsWith('cursor:'),
    });
    await person.walkFirstTime(cursor.authorizationUrl);
    expect((await tried).url().startsWith(`${REDIRECT_URI}?code=`)).toBe(true);
    await person.sees('Continue to the program for “cursor:” links');
    expect(person.complaints.all).toEqual([]);
  });
});
