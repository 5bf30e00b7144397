import { expect, it, setDefaultTimeout } from 'bun:test';
import type { Page } from 'playwright-core';
import { chromium, describeWith } from '../../support/requirements.ts';
import { TEST_PATIENCE_MS } from './support/engine.ts';
import { useStage } from './support/stage.ts';
import type { Visitor } from './support/visitor.ts';

setDefaultTimeout(TEST_PATIENCE_MS);

const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1280, height: 800 };

/** As long as a name may be, and without a space where it could break. */
const LONG_NAME = `Long${'e'.repeat(190)}nd`;

/** WCAG 2.2, level AA: for text of ordinary size. */
const CONTRAST_MIN = 4.5;

describeWith(chromium, 'the pages of a sign-in in a real browser', () => {
  const stage = useStage();

  /** Shows every kind of page in turn: consent, on the way, confirm, a problem. */
  async function tour(person: Visitor, look: (page: Page, name: string) => Promise<void>) {
    const { landing, authorizationUrl } = await stage.connecting({ name: LONG_NAME });
    await person.open(authorizationUrl);
    await person.sees(/^Allow access to/);
    // Unfolded too: what is folded away is text and fields like all others.
    await person.page.locator('summary').click();
    await look(person.page, 'consent');
    const forgeUrl = stage.system.forge.url;
    await person.addressInstead(forgeUrl, '/login/oauth/authorize', () => person.allow());
    await person.sees(/^Continue to/);
    await look(person.page, 'going-on');
    await person.follow('Continue');
    await person.signIn();
    await person.grant();
    await person.sees(/^Connect as/);
    await look(person.page, 'confirm');
    await person.confirm();
    await person.arrives(landing);
    await person.open(`${stage.system.origin}/oauth/callback?state=x&code=y`);
    await person.sees('This sign-in is already over');
    await look(person.page, 'problem');
  }

  for (const [name, viewport] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
    for (const colorScheme of ['light', 'dark'] as const) {
      it(`fits a ${name} in ${colorScheme} colours without scrolling sideways, easy to read and to hit`, async () => {
        const person = await stage.visitor({ viewport, colorScheme });
        await tour(person, async (page, kind) => {
          const { width, ground } = await page.evaluate(() => ({
            width: document.documentElement.scrollWidth,
            ground: getComputedStyle(document.body).backgroundColor,
          }));
          expect({ kind, width }).toEqual({ kind, width: viewport.width });
          expect(luminance(ground) < 0.2).toBe(colorScheme === 'dark');
          for (const { text, ink, paper } of await inksOn(page)) {
            expect({ text, enough: contrast(ink, paper) >= CONTRAST_MIN }).toEqual({
              text,
              enough: true,
            });
          }
          for (const control of await page.locator('button, .button, .option, summary').all()) {
            const box = await control.boundingBox();
            expect(box?.height).toBeGreaterThanOrEqual(44);
          }
        });
      });
    }
  }

  it('can be walked by keyboard alone, with the focus in sight', async () => {
    const person = await stage.visitor();
    const { landing, authorizationUrl } = await stage.connecting();
    const { page } = person;
    await person.open(authorizationUrl);
    await person.sees(/^Allow access to/);
    // No button is chosen before the person has chosen one.
    expect(await focused(page)).toBe('');
    await page.keyboard.press('Tab');
    expect(await focused(page)).toStartWith('Everything');
    await page.keyboard.press('ArrowUp');
    expect(await focused(page)).toStartWith('Read and write');
    expect(await outlined(page)).toBe('solid');
    await page.keyboard.press('Tab');
    expect(await focused(page)).toStartWith('Only some tools');
    await page.keyboard.press('Tab');
    expect(await focused(page)).toBe('Allow');
    expect(await outlined(page)).toBe('solid');
    await page.keyboard.press('Tab');
    expect(await focused(page)).toBe('Refuse');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await person.sees('Sign In');
    await page.keyboard.type(person.login);
    await page.keyboard.press('Tab');
    await page.keyboard.type(person.password);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Authorize Application' }).focus();
    await page.keyboard.press('Enter');
    await person.sees(/^Connect as/);
    await page.keyboard.press('Tab');
    expect(await focused(page)).toBe(`Yes, connect as ${person.login}`);
    await page.keyboard.press('Space');
    await person.arrives(landing);
  });

  it('tells an assistive program what it is: a language, a title, one heading, a main part', async () => {
    const person = await stage.visitor();
    await tour(person, async (page) => {
      const found = await page.evaluate(() => ({
        language: document.documentElement.lang,
        headings: [...document.querySelectorAll('h1')].map(({ textContent }) => textContent),
        mains: document.querySelectorAll('main').length,
        scripts: document.scripts.length,
      }));
      const title = await page.title();
      expect(found).toEqual({ language: 'en', headings: [title], mains: 1, scripts: 0 });
    });
  });

  it('shows the name of a client as text, whatever is in it', async () => {
    const name = '</title><img src=x onerror=alert(1)><base href=//evil.invalid> "&lt;\'';
    const person = await stage.visitor();
    const { authorizationUrl } = await stage.connecting({ name });
    const before = person.requested.length;
    await person.open(authorizationUrl);
    await person.page.getByText(`calls itself ${name}`).waitFor();
    expect(person.requested.slice(before)).toEqual([authorizationUrl.href]);
    expect(person.complaints.all).toEqual([]);
  });

  it('would tell of a breach of its policy: the complaints of these suites can be heard', async () => {
    const person = await stage.visitor({ javaScriptEnabled: false });
    const { authorizationUrl } = await stage.connecting();
    await person.open(authorizationUrl);
    await person.page.evaluate(() => {
      document.body.insertAdjacentHTML('beforeend', '<img src="https://elsewhere.invalid/x.png">');
    });
    expect(await person.complaints.first).toContain('img-src');
  });
});

interface Ink {
  readonly text: string;
  readonly ink: string;
  readonly paper: string;
}

/** Colour and ground of everything on the page that is text. */
function inksOn(page: Page): Promise<Ink[]> {
  return page.evaluate(() => {
    const inks: Ink[] = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode() !== null) {
      const text = texts.currentNode.textContent?.trim() ?? '';
      const owner = texts.currentNode.parentElement;
      if (text === '' || owner === null) continue;
      let under: Element | null = owner;
      let paper = 'rgba(0, 0, 0, 0)';
      while (under !== null && paper === 'rgba(0, 0, 0, 0)') {
        paper = getComputedStyle(under).backgroundColor;
        under = under.parentElement;
      }
      inks.push({ text, ink: getComputedStyle(owner).color, paper });
    }
    return inks;
  });
}

/** What the focus is on: a field by its label, anything else by its text. */
function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const active = document.activeElement;
    if (active === null || active === document.body) return '';
    return (active.closest('label') ?? active).textContent?.trim() ?? '';
  });
}

/** Whether what has the focus, or its label, is outlined. */
function outlined(page: Page): Promise<string> {
  return page.evaluate(() => {
    const active = document.activeElement ?? document.body;
    return getComputedStyle(active.closest('label') ?? active).outlineStyle;
  });
}

/** WCAG 2.2, contrast ratio. */
function contrast(ink: string, paper: string): number {
  const [darker = 0, lighter = 0] = [luminance(ink), luminance(paper)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

/** WCAG 2.2, relative luminance of an opaque `rgb(...)`. */
function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = (color.match(/[\d.]+/g) ?? []).map((part) => {
    const value = Number(part) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
