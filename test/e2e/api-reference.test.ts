import { afterAll, beforeAll, expect, it } from 'bun:test';
import { Elysia, t } from 'elysia';
import { type Browser, chromium as engine, type Page } from 'playwright-core';
import { apiReference } from '../../app/http/api-reference.ts';
import { chromium, chromiumPath, describeWith } from '../support/requirements.ts';

const routes = () =>
  new Elysia().get('/healthz', () => ({ status: 'ok' as const }), {
    response: { 200: t.Object({ status: t.Literal('ok') }) },
    detail: { tags: ['Status'], summary: 'The process answers', description: 'Some *text*.' },
  });

/** What a page did that its policy forbids, where it went, and what it complained about. */
interface Watched {
  readonly page: Page;
  readonly requests: string[];
  readonly complaints: string[];
}

describeWith(chromium, 'API reference in a real browser', () => {
  let origin = '';
  let browser: Browser;
  let stop: () => Promise<unknown>;

  beforeAll(async () => {
    const options = { routes, publicOrigin: 'http://127.0.0.1', version: '1.2.3' };
    const app = new Elysia().use(apiReference(options));
    app.listen({ port: 0, hostname: '127.0.0.1' });
    stop = () => app.stop(true);
    origin = `http://127.0.0.1:${app.server?.port}`;
    browser = await engine.launch({
      executablePath: chromiumPath ?? '',
      // Chromium refuses its own sandbox to root, which is what containers of CI run as.
      args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
    });
  });

  afterAll(async () => {
    await browser.close();
    await stop();
  });

  async function watch(): Promise<Watched> {
    const page = await browser.newPage();
    const requests: string[] = [];
    const complaints: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() !== 'info') complaints.push(message.text());
    });
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`refused by policy: ${event.violatedDirective}`);
      });
    });
    return { page, requests, complaints };
  }

  it('shows every route, opened out, with nothing from elsewhere and no report of its policy', async () => {
    const { page, requests, complaints } = await watch();
    await page.goto(`${origin}/docs`);
    await page.waitForSelector('.opblock');
    for (const control of await page.$$('.opblock-summary-control')) await control.click();
    await page.waitForSelector('.opblock.is-open .responses-table');
    const paths = await page.$$eval('.opblock-summary-path', (all) =>
      all.map((one) => one.getAttribute('data-path')),
    );
    expect(paths).toEqual(['/healthz', '/docs', '/docs/openapi.json']);
    expect(await page.textContent('.opblock.is-open')).toContain('The process answers');
    expect(complaints).toEqual([]);
    expect(requests.filter((url) => !url.startsWith(`${origin}/docs`))).toEqual([]);
    await page.close();
  });

  it('would have been told by its policy: a script that adds a foreign picture is refused', async () => {
    const { page, complaints } = await watch();
    await page.goto(`${origin}/docs`);
    await page.evaluate(() => {
      const picture = document.createElement('img');
      picture.onerror = () => {
        picture.alt = 'refused';
      };
      picture.src = 'https://elsewhere.invalid/x.png';
      document.body.append(picture);
    });
    await page.waitForFunction(() => document.querySelector('img[alt="refused"]') !== null);
    // The browser tells of it by another way than of the picture, and may be later.
    while (!complaints.join().includes('img-src')) await Bun.sleep(10);
    await page.close();
  });

  it('sends no request for a visitor: there is no button to try a route out', async () => {
    const { page } = await watch();
    await page.goto(`${origin}/docs#/Status`);
    await page.waitForSelector('.opblock');
    for (const control of await page.$$('.opblock-summary-control')) await control.click();
    // Counted: a failed comparison of element handles would print the whole browser (and memory).
    expect(await page.locator('.try-out__btn, .execute, .authorize').count()).toBe(0);
    await page.close();
  });

  it('ignores an address of another document in its own address', async () => {
    const { page, requests } = await watch();
    await page.goto(
      `${origin}/docs?url=https://elsewhere.invalid/x.json&configUrl=https://elsewhere.invalid/c.json`,
    );
    await page.waitForSelector('.opblock');
    expect(requests.filter((url) => url.startsWith('https://elsewhere.invalid'))).toEqual([]);
    await page.close();
  });
});
