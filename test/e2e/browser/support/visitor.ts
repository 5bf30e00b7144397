import type { BrowserContext, Page, Request } from 'playwright-core';
import type { Complaints } from './complaints.ts';
import type { Arrival, Landing } from './landing.ts';

export interface VisitorParts {
  readonly context: BrowserContext;
  readonly page: Page;
  readonly login: string;
  readonly password: string;
  readonly forgeUrl: string;
  readonly complaints: Complaints;
}

/** A person with a browser and an account at the demo forge. */
export class Visitor {
  readonly context: BrowserContext;
  readonly login: string;
  readonly password: string;
  readonly complaints: Complaints;
  /** Every URL that the browser has asked for, oldest first. */
  readonly requested: readonly string[];
  readonly #forgeUrl: string;
  page: Page;

  constructor(parts: VisitorParts) {
    this.context = parts.context;
    this.page = parts.page;
    this.login = parts.login;
    this.password = parts.password;
    this.complaints = parts.complaints;
    this.#forgeUrl = parts.forgeUrl;
    const requested: string[] = [];
    parts.context.on('request', (request) => requested.push(request.url()));
    this.requested = requested;
  }

  async open(url: URL | string): Promise<void> {
    await this.page.goto(String(url));
  }

  /** From now on the person works in a new tab. */
  async newTab(): Promise<Page> {
    this.page = await this.context.newPage();
    return this.page;
  }

  /** Waits for a page with this heading. */
  async sees(heading: string | RegExp, page = this.page): Promise<void> {
    await page.getByRole('heading', { level: 1, name: heading }).waitFor();
  }

  /** Does not wait for what comes of it: a test may hold that back. */
  async press(
    button: string | RegExp,
    page = this.page,
    modifiers: ('Control' | 'Shift')[] = [],
  ): Promise<void> {
    const found = page.getByRole('button', { name: button });
    // As a hand does: there first, then a click. Without the first, ours take none.
    await found.hover({ force: true });
    await found.click({ modifiers, noWaitAfter: true });
  }

  async follow(link: string | RegExp, page = this.page): Promise<void> {
    await page.getByRole('link', { name: link }).click({ noWaitAfter: true });
  }

  /** What the buttons of the page would send along. */
  async hiddenFields(page = this.page): Promise<Record<string, string>> {
    const pairs = await page
      .locator('input[type=hidden]')
      .evaluateAll((inputs: HTMLInputElement[]) => inputs.map(({ name, value }) => [name, value]));
    return Object.fromEntries(pairs);
  }

  /** Writes other values into the form of the page, as its reader can with the browser's tools. */
  async overwriteFields(fields: Readonly<Record<string, string>>, page = this.page): Promise<void> {
    for (const [name, value] of Object.entries(fields)) {
      await page.locator(`input[name=${name}]`).evaluate((input: HTMLInputElement, text) => {
        input.value = text;
      }, value);
    }
  }

  /** Our consent page, answered with yes. */
  async allow(page = this.page): Promise<void> {
    await this.sees(/^Allow access to/, page);
    await this.press('Allow', page);
  }

  /** Forgejo's login form. */
  async signIn(login = this.login, password = this.password, page = this.page): Promise<void> {
    await this.sees('Sign In', page);
    await page.getByLabel('Username').fill(login);
    await page.getByLabel('Password').fill(password);
    await this.press('Sign In', page);
  }

  /** Forgejo's page of the first grant. */
  async grant(page = this.page): Promise<void> {
    await this.press('Authorize Application', page);
  }

  /** Our page that names the account, answered with yes. */
  async confirm(login = this.login, page = this.page): Promise<void> {
    await this.sees(`Connect as ${login}?`, page);
    await this.press(`Yes, connect as ${login}`, page);
  }

  /** A whole first sign-in, from our consent page to our confirm page and its yes. */
  async walkFirstTime(authorizationUrl: URL | string): Promise<void> {
    await this.open(authorizationUrl);
    await this.allow();
    await this.signIn();
    await this.grant();
    await this.confirm();
  }

  /** Waits until the browser shows what waits at the redirect URI, and tells how it got there. */
  async arrives(landing: Landing, page = this.page): Promise<Arrival> {
    await this.sees('You may close this page', page);
    return landing.arrival();
  }

  /** Signs in at Forgejo without any client having asked. */
  async signInAtForge(login = this.login, password = this.password): Promise<void> {
    await this.open(`${this.#forgeUrl}/user/login`);
    await this.signIn(login, password);
    await this.page.getByText(`You are signed in as ${login}`).waitFor();
  }

  async signOutAtForge(): Promise<void> {
    await this.open(`${this.#forgeUrl}/`);
    await this.press('Sign Out');
    await this.page.getByText('Nobody is signed in').waitFor();
  }

  /** Keeps the browser from loading what `press` leads it to at `path`, and gives that address. */
  async addressInstead(origin: string, path: string, press: () => Promise<void>): Promise<string> {
    const asked = this.nextRequest(origin, path);
    const pattern = `${origin}${path}**`;
    // No content: the browser stays on the page it has. A failure it would try again by itself.
    await this.context.route(pattern, (route) => route.fulfill({ status: 204 }));
    await press();
    const request = await asked;
    await request.response();
    await this.context.unroute(pattern);
    return request.url();
  }

  /** The next request that this browser sends to `path` of the given origin. */
  nextRequest(origin: string, path: string): Promise<Request> {
    return this.context.waitForEvent('request', {
      predicate: (request) => {
        const url = new URL(request.url());
        return url.origin === origin && url.pathname === path;
      },
    });
  }
}
