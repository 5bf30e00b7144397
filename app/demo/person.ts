/** One step that a person takes in the browser, for a readable account of what happens. */
export type PersonStep = { readonly page: string; readonly action: string };

export interface PersonOptions {
  readonly login: string;
  readonly password: string;
  /** What the person answers to the broker's and to Forgejo's consent pages. */
  readonly consents?: boolean;
  /** What the person puts into a field, or ticks, instead of what a page proposes; by its name. */
  readonly choices?: Readonly<Record<string, readonly string[]>>;
  readonly onStep?: (step: PersonStep) => void;
  /** How the browser loads a page; redirects must be left to it. */
  readonly fetch?: HttpFetch;
}

/** What of the runtime's `fetch` is needed. */
export type HttpFetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

interface Form {
  readonly action: string;
  readonly method: string;
  /** What would be sent as it stands, but for the button. */
  readonly fields: URLSearchParams;
  readonly buttons: { readonly name: string; readonly value: string }[];
}

const STEPS_MAX = 25;
const REFUSALS = new Set(['deny', 'false', 'cancel', 'no']);

/**
 * A person with a browser that runs no script: follows redirects and `Refresh`, keeps cookies per
 * host name, fills in the login form and presses the buttons. What a browser adds by itself
 * (`Origin`, `Sec-Fetch-Site`) is added here too.
 */
export class Person {
  readonly #options: PersonOptions;
  readonly #cookies = new Map<string, Map<string, string>>();

  constructor(options: PersonOptions) {
    this.#options = options;
  }

  /**
   * Walks from an authorization URL to the client's redirect URI and returns that URL with its
   * parameters. Throws, with the title of the page where it ended, when it never gets there.
   */
  async authorize(authorizationUrl: URL, redirectUri: string): Promise<URL> {
    let answer = await this.#load(authorizationUrl, 'none');
    for (let step = 0; step < STEPS_MAX; step += 1) {
      const next = this.#forward(answer);
      if (next?.href.startsWith(redirectUri)) return next;
      if (next !== undefined) {
        answer = await this.#load(next, siteOf(answer.url, next));
        continue;
      }
      const page = await answer.response.text();
      const form = await firstForm(page);
      if (form === undefined) throw new Error(`the browser is stuck at ${describe(answer, page)}`);
      answer = await this.#submit(answer.url, form, titleOf(page));
    }
    throw new Error(`the browser took more than ${STEPS_MAX} steps`);
  }

  /** Where a redirect or a `Refresh` header sends the browser, if anywhere. */
  #forward(answer: Loaded): URL | undefined {
    const location = answer.response.headers.get('location');
    if (location !== null && answer.response.status >= 300 && answer.response.status < 400) {
      return new URL(location, answer.url);
    }
    const refresh = answer.response.headers.get('refresh')?.match(/^\s*\d+\s*;\s*url=(.+)$/i)?.[1];
    return refresh === undefined ? undefined : new URL(refresh, answer.url);
  }

  async #submit(page: URL, form: Form, title: string): Promise<Loaded> {
    const fields = new URLSearchParams(form.fields);
    if (fields.has('user_name')) fields.set('user_name', this.#options.login);
    if (fields.has('password')) fields.set('password', this.#options.password);
    for (const [name, values] of Object.entries(this.#options.choices ?? {})) {
      if (!fields.has(name)) continue;
      fields.delete(name);
      for (const value of values) fields.append(name, value);
    }
    const consents = this.#options.consents ?? true;
    const button = form.buttons.find(({ value }) => REFUSALS.has(value) !== consents);
    if (button !== undefined && button.name !== '') fields.set(button.name, button.value);
    this.#options.onStep?.({ page: title, action: button?.value || 'submit' });
    const target = new URL(form.action, page);
    if (form.method === 'get') {
      target.search = fields.toString();
      return this.#load(target, siteOf(page, target));
    }
    return this.#load(target, siteOf(page, target), {
      method: 'POST',
      body: fields,
      headers: { origin: page.origin },
    });
  }

  async #load(url: URL, site: string, init: RequestInit = {}): Promise<Loaded> {
    const headers = new Headers(init.headers);
    headers.set('sec-fetch-site', site);
    const jar = this.#jar(url);
    if (jar.size > 0) headers.set('cookie', [...jar].map(([k, v]) => `${k}=${v}`).join('; '));
    const load = this.#options.fetch ?? fetch;
    const response = await load(url, { ...init, headers, redirect: 'manual' });
    for (const cookie of response.headers.getSetCookie()) {
      const [pair = ''] = cookie.split(';');
      const split = pair.indexOf('=');
      jar.set(pair.slice(0, split).trim(), pair.slice(split + 1).trim());
    }
    return { response, url };
  }

  /** Browsers keep cookies by host name, not by port. */
  #jar(url: URL): Map<string, string> {
    const jar = this.#cookies.get(url.hostname) ?? new Map<string, string>();
    this.#cookies.set(url.hostname, jar);
    return jar;
  }
}

interface Loaded {
  readonly response: Response;
  readonly url: URL;
}

function siteOf(from: URL, to: URL): string {
  if (from.origin === to.origin) return 'same-origin';
  return from.hostname === to.hostname ? 'same-site' : 'cross-site';
}

async function firstForm(page: string): Promise<Form | undefined> {
  const forms: Form[] = [];
  const rewriter = new HTMLRewriter()
    .on('form', {
      element(form) {
        forms.push({
          action: decodeEntities(form.getAttribute('action') ?? ''),
          method: (form.getAttribute('method') ?? 'get').toLowerCase(),
          fields: new URLSearchParams(),
          buttons: [],
        });
      },
    })
    .on('form input', {
      element(input) {
        const name = input.getAttribute('name');
        const type = input.getAttribute('type') ?? 'text';
        if (name === null || type === 'submit') return;
        const isTicked = input.hasAttribute('checked') || !['radio', 'checkbox'].includes(type);
        const value = decodeEntities(input.getAttribute('value') ?? '');
        if (isTicked) forms.at(-1)?.fields.append(name, value);
      },
    })
    .on('form textarea', {
      element(area) {
        forms.at(-1)?.fields.append(area.getAttribute('name') ?? '', '');
      },
      text(chunk) {
        const fields = forms.at(-1)?.fields;
        const [name = ''] = [...(fields?.keys() ?? [])].slice(-1);
        fields?.set(name, `${fields.get(name) ?? ''}${decodeEntities(chunk.text)}`);
      },
    })
    .on('form button', {
      element(button) {
        forms.at(-1)?.buttons.push({
          name: button.getAttribute('name') ?? '',
          value: decodeEntities(button.getAttribute('value') ?? ''),
        });
      },
    });
  await rewriter.transform(new Response(page)).text();
  return forms[0];
}

function decodeEntities(text: string): string {
  return text
    .replaceAll('&quot;', '"')
    .replaceAll('&#x27;', "'")
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}

function titleOf(page: string): string {
  return page.match(/<title>([^<]*)<\/title>/i)?.[1]?.trim() ?? 'a page without a title';
}

/** The page without its query, which may hold a code or a state. */
function describe(answer: Loaded, page: string): string {
  return `"${titleOf(page)}" (${answer.response.status} at ${answer.url.pathname})`;
}
