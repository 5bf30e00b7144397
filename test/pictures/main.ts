/**
 * Takes the pictures of docs/permissions.md anew: `bun run pictures`. The pages are those of the
 * authorization server itself, with a forge and a client of imagined names.
 */
import { fileURLToPath } from 'node:url';
import { launchChromium } from '../e2e/browser/support/engine.ts';
import { authorizeUrl, type Shown, TestBrowser, TestServer, targetOf } from '../oauth/harness.ts';

const DIRECTORY = fileURLToPath(new URL('../../docs/images/', import.meta.url));
const DESKTOP = { width: 760, height: 800 };
const PHONE = { width: 390, height: 844 };
const CALLBACK = 'https://claude.ai/api/mcp/auth_callback';

const server = new TestServer({ forgejoUrl: 'https://git.example.org' });
const client = await server.register({ client_name: 'Claude', redirect_uris: [CALLBACK] });
const url = (scope: string) => authorizeUrl(client.client_id, { redirect_uri: CALLBACK, scope });

const visitor = new TestBrowser(server);
const first = await visitor.get(url('forgejo:read forgejo:write'));
const narrowed = {
  ...first,
  fields: { ...first.fields, targets: 'alice/website\nacme/*\nacme' },
  ticked: [
    ['scope', 'forgejo:read'],
    ['toolset', 'issues'],
    ['toolset', 'pull_requests'],
  ] as const,
};
const gone = await visitor.press(narrowed, 'allow');
const confirm = await visitor.comeBack(targetOf(gone).searchParams.get('state') ?? '');
await visitor.press(confirm, 'allow');
const again = await visitor.get(url('forgejo:read forgejo:write forgejo:delete'));

const browser = await launchChromium();
await shoot('consent-desktop', first, DESKTOP);
await shoot('consent-phone', first, PHONE);
await shoot('consent-step-up', again, DESKTOP);
await shoot('confirm', confirm, DESKTOP);
await browser.close();

async function shoot(name: string, shown: Shown, viewport: typeof PHONE): Promise<void> {
  const page = await browser.newPage({ viewport, colorScheme: 'light', deviceScaleFactor: 1.5 });
  await page.setContent(shown.text);
  await page.screenshot({ path: `${DIRECTORY}${name}.png`, fullPage: true });
  await page.close();
}
