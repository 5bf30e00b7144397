import { expect, it, setDefaultTimeout } from 'bun:test';
import { chromium, describeWith } from '../../support/requirements.ts';
import { TEST_PATIENCE_MS } from './support/engine.ts';
import { useStage } from './support/stage.ts';

setDefaultTimeout(TEST_PATIENCE_MS);

describeWith(chromium, 'API reference of a running broker in a real browser', () => {
  const stage = useStage();

  it('shows every public operation, opens each, and loads nothing from elsewhere', async () => {
    const person = await stage.visitor();
    const { page } = person;
    await person.open(`${stage.system.origin}/docs`);
    await page.locator('.opblock').first().waitFor();
    const document = await page.request.get(`${stage.system.origin}/docs/openapi.json`);
    const { paths } = (await document.json()) as { paths: Record<string, object> };
    const declared = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const shown = await page.locator('.opblock-summary').evaluateAll((summaries) =>
      summaries.map((summary) => {
        const method = summary.querySelector('.opblock-summary-method')?.textContent;
        const path = summary.querySelector('.opblock-summary-path')?.getAttribute('data-path');
        return `${method} ${path}`;
      }),
    );
    expect(shown.toSorted()).toEqual(declared.toSorted());
    for (const operation of ['POST /mcp', 'GET /oauth/authorize', 'POST /oauth/token']) {
      expect(shown).toContain(operation);
    }
    for (const control of await page.locator('.opblock-summary-control').all()) {
      await control.click();
    }
    const opened = page.locator('.opblock.is-open .responses-table');
    await opened.nth(shown.length - 1).waitFor();
    const origins = new Set(person.requested.map((url) => new URL(url).origin));
    expect([...origins]).toEqual([stage.system.origin]);
    expect(person.complaints.all).toEqual([]);
  });
});
