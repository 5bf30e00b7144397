import { createKeyring, type Keyring, STORE_KEY_BYTES } from '../../app/base/keyring.ts';
import { createMetrics, type Metrics } from '../../app/base/metrics.ts';
import { err, ok } from '../../app/base/result.ts';
import { digestOf, Secret, systemRandom } from '../../app/base/secret.ts';
import type { AccountTokens, SignInFailure } from '../../app/forge/account-tokens.ts';
import { authorizationServer } from '../../app/oauth/authorization-server.ts';
import type { AuthorizationServerParts } from '../../app/oauth/parts.ts';
import { authorizationPages } from '../../app/pages/authorization-pages.ts';
import { openStore, type Store, type StoreOptions } from '../../app/store/store.ts';
import { createScopeLimits } from '../../app/tools/scope-limits.ts';
import type { Scope } from '../../app/tools/scopes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { createMemoryLog, type MemoryLog } from '../support/memory-log.ts';
import { passAll } from '../support/rate-limits.ts';

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export const ORIGIN = 'https://broker.example';
export const FORGE = 'https://forge.example';
export const RESOURCE = `${ORIGIN}/mcp`;
export const REDIRECT_URI = 'https://client.example/callback';
export const PRIVATE_USE_URI = 'cursor://anysphere.cursor-mcp/oauth/callback';
export const BROWSER_CLIENT = 'https://inspector.example';

export const VERIFIER = 'verifier-verifier-verifier-verifier-verifier';
export const CHALLENGE: string = digestOf(VERIFIER);
export const STATE = 'the state of the client / äöü';

/** What the double gives out as Forgejo's own tokens; nothing of it may ever reach a client. */
export const UPSTREAM_ACCESS = 'eyJ1cHN0cmVhbS1hY2Nlc3M.canary';
export const UPSTREAM_REFRESH = 'eyJ1cHN0cmVhbS1yZWZyZXNo.canary';

/** Forgejo and the tokens of its accounts, as far as a sign-in goes; a test decides what happens. */
export class ForgeDouble {
  open = true;
  user = { id: 7, login: 'alice', isAdmin: false };
  failure: SignInFailure | undefined;
  readonly exchanges: { readonly code: string; readonly codeVerifier: string }[] = [];
  readonly #store: Store;
  readonly #clock: FakeClock;

  constructor(store: Store, clock: FakeClock) {
    this.#store = store;
    this.#clock = clock;
  }

  authorizationUrl = ({ state, codeVerifier }: { state: string; codeVerifier: string }): URL => {
    const url = new URL(`${FORGE}/login/oauth/authorize`);
    url.searchParams.set('client_id', 'the-broker');
    url.searchParams.set('state', state);
    url.searchParams.set('code_challenge', digestOf(codeVerifier));
    url.searchParams.set('code_challenge_method', 'S256');
    return url;
  };

  signIn: AccountTokens['signIn'] = async (code, codeVerifier) => {
    this.exchanges.push({ code: code.reveal(), codeVerifier });
    if (this.failure !== undefined) return err(this.failure);
    const account = await this.#store.accounts.storeTokens(this.user, {
      accessToken: new Secret(UPSTREAM_ACCESS),
      refreshToken: new Secret(UPSTREAM_REFRESH),
      accessExpiresAt: this.#clock.now() + HOUR,
      refreshExpiresAt: this.#clock.now() + 30 * DAY,
    });
    return ok(account);
  };
}

export interface ServerOptions extends Partial<AuthorizationServerParts> {
  readonly keyring?: Keyring;
  readonly storeOptions?: Partial<StoreOptions>;
  readonly wrapStore?: (store: Store) => Store;
}

export interface ScopeSettings {
  readonly maxScope: Scope;
  readonly defaultScope: Scope;
}

/** The authorization server with a store in memory, a clock that stands, and a forge at hand. */
export class TestServer {
  readonly clock = new FakeClock();
  readonly metrics: Metrics = createMetrics();
  readonly log: MemoryLog = createMemoryLog();
  readonly store: Store;
  readonly forge: ForgeDouble;
  /** The operator's settings; a test may change them while the server runs. */
  scopes: ScopeSettings = { maxScope: 'forgejo:delete', defaultScope: 'forgejo:write' };
  readonly ended: { readonly grantId: string; readonly reason: string }[] = [];
  readonly parts: AuthorizationServerParts;
  readonly #app: { handle(request: Request): Response | Promise<Response> };

  constructor({ storeOptions, wrapStore, ...options }: ServerOptions = {}) {
    const { clock, metrics, log } = this;
    const keyring = options.keyring ?? keyringOf(7);
    this.store = openStore({
      path: ':memory:',
      forgeOrigin: FORGE,
      keyring,
      clock,
      log: log.log,
      metrics,
      retention: { unusedClientMs: 90 * DAY, tombstoneMs: 365 * DAY, sessionMs: 30 * DAY },
      ...storeOptions,
    });
    const store = wrapStore?.(this.store) ?? this.store;
    this.forge = new ForgeDouble(this.store, clock);
    this.parts = {
      store,
      accountTokens: this.forge,
      forge: this.forge,
      keyring,
      clock,
      random: systemRandom,
      log: log.log,
      metrics,
      pages: authorizationPages,
      publicOrigin: ORIGIN,
      forgejoUrl: FORGE,
      accessTokenTtlMs: 8 * HOUR,
      refreshTokenTtlMs: 90 * DAY,
      limits: { clientsMax: 100, requestsMax: 100 },
      scopes: createScopeLimits(() => this.scopes),
      rateLimits: passAll,
      redirectAllowlist: () => [PRIVATE_USE_URI],
      allowedOrigins: () => [BROWSER_CLIENT],
      onGrantEnded: (grantId, reason) => this.ended.push({ grantId, reason }),
      ...options,
    };
    this.#app = authorizationServer(this.parts);
  }

  /** Sends a request for a path or a whole URL of the server. */
  async fetch(url: string, init: RequestInit = {}): Promise<Response> {
    return this.#app.handle(new Request(new URL(url, ORIGIN), init));
  }

  async register(metadata: Record<string, unknown> = {}): Promise<Registered> {
    const response = await this.fetch('/oauth/register', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_name: 'A client',
        redirect_uris: [REDIRECT_URI],
        ...metadata,
      }),
    });
    if (response.status !== 201) throw new Error(`not registered: ${await response.text()}`);
    return (await response.json()) as Registered;
  }

  /** POST of a form, as a program sends it. */
  post(
    path: string,
    form: Record<string, string> | [string, string][],
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return this.fetch(path, { method: 'POST', headers, body: new URLSearchParams(form) });
  }

  /** The whole sign-in of a new browser; the URL that brings the code to the client. */
  async signIn(client: Registered, change: Record<string, string | undefined> = {}): Promise<URL> {
    const browser = new TestBrowser(this);
    return browser.signIn(authorizeUrl(client.client_id, change));
  }

  exchange(client: Registered, code: string, change: Record<string, string> = {}) {
    return this.post('/oauth/token', {
      grant_type: 'authorization_code',
      client_id: client.client_id,
      code,
      redirect_uri: REDIRECT_URI,
      code_verifier: VERIFIER,
      ...change,
    });
  }

  refresh(client: Registered, refreshToken: string, change: Record<string, string> = {}) {
    return this.post('/oauth/token', {
      grant_type: 'refresh_token',
      client_id: client.client_id,
      refresh_token: refreshToken,
      ...change,
    });
  }

  /** From a registered client to its first tokens. */
  async connect(client: Registered): Promise<Tokens> {
    const url = await this.signIn(client);
    const response = await this.exchange(client, url.searchParams.get('code') ?? '');
    if (response.status !== 200) throw new Error(`no tokens: ${await response.text()}`);
    return (await response.json()) as Tokens;
  }

  /** The live grants of the one person. */
  grants() {
    return this.store.grants.listLive(this.forge.user.id);
  }

  /** What `/mcp` would decide about an access token, and the first use it notes there. */
  async use(accessToken: string): Promise<boolean> {
    const proof = await this.store.tokens.findAccess(digestOf(accessToken));
    if (proof === undefined || proof.grantEnded || proof.expiresAt <= this.clock.now())
      return false;
    if (proof.unconfirmedAnswer !== null) {
      await this.store.tokens.confirmAnswer(proof.unconfirmedAnswer);
    }
    return true;
  }
}

export interface Registered {
  readonly client_id: string;
  readonly client_secret?: string;
  readonly [member: string]: unknown;
}

export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly token_type: string;
  readonly expires_in: number;
  readonly scope: string;
}

export function keyringOf(byte: number): Keyring {
  return createKeyring({
    current: new Uint8Array(STORE_KEY_BYTES).fill(byte),
    random: systemRandom,
  });
}

/** A sound authorization URL; a change of undefined leaves the parameter out. */
export function authorizeUrl(
  clientId: string,
  change: Record<string, string | undefined> = {},
): string {
  const parameters = new URLSearchParams();
  const all = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: REDIRECT_URI,
    code_challenge: CHALLENGE,
    code_challenge_method: 'S256',
    state: STATE,
    resource: RESOURCE,
    ...change,
  };
  for (const [name, value] of Object.entries(all)) {
    if (value !== undefined) parameters.set(name, value);
  }
  return `/oauth/authorize?${parameters}`;
}

/** A page that a browser shows. */
export interface Shown {
  readonly response: Response;
  readonly text: string;
  readonly title: string;
  /** Hidden fields of its form, and the text that stands in it. */
  readonly fields: Record<string, string>;
  /** Boxes that are ticked, and the radio button that is chosen. */
  readonly ticked: readonly (readonly [name: string, value: string])[];
  readonly action: string;
}

/** A browser without script: keeps our cookies, sends what browsers send with a form. */
export class TestBrowser {
  readonly #server: TestServer;
  readonly #cookies = new Map<string, string>();

  constructor(server: TestServer) {
    this.#server = server;
  }

  get cookie(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  async get(url: string): Promise<Shown> {
    return this.#show(await this.#server.fetch(url, { headers: this.#headers() }));
  }

  /** Presses a button of the page's form. */
  async press(
    page: Pick<Shown, 'action' | 'fields'> & Partial<Pick<Shown, 'ticked'>>,
    decision: 'allow' | 'deny',
    headers: Record<string, string> = { origin: ORIGIN, 'sec-fetch-site': 'same-origin' },
  ): Promise<Shown> {
    const response = await this.#server.fetch(page.action, {
      method: 'POST',
      headers: { ...this.#headers(), ...headers },
      body: new URLSearchParams([
        ...Object.entries({ ...page.fields, decision }),
        ...(page.ticked ?? []).map(([name, value]) => [name, value]),
      ]),
    });
    return this.#show(response);
  }

  /** From the authorization URL to the return from Forgejo; gives the callback's answer. */
  async approve(url: string): Promise<Shown> {
    const gone = await this.press(await this.get(url), 'allow');
    return this.comeBack(stateOf(gone));
  }

  comeBack(state: string, answer: Record<string, string> = { code: 'gta_upstream' }) {
    return this.get(`/oauth/callback?${new URLSearchParams({ ...answer, state })}`);
  }

  /** The whole way, confirm page included when it comes. */
  async signIn(url: string): Promise<URL> {
    const back = await this.approve(url);
    const location = back.response.headers.get('location');
    if (location !== null) return new URL(location);
    return targetOf(await this.press(back, 'allow'));
  }

  #headers(): Record<string, string> {
    return this.#cookies.size === 0 ? {} : { cookie: this.cookie };
  }

  async #show(response: Response): Promise<Shown> {
    for (const cookie of response.headers.getSetCookie()) {
      const [name = '', value = ''] = (cookie.split(';')[0] ?? '').split('=');
      this.#cookies.set(name, value);
    }
    return readPage(response);
  }
}

export async function readPage(response: Response): Promise<Shown> {
  const text = await response.text();
  const fields: Record<string, string> = {};
  for (const [, name = '', value = ''] of text.matchAll(
    /type="hidden" name="(\w+)" value="(.*?)"/g,
  )) {
    fields[name] = value;
  }
  for (const [, name = '', value = ''] of text.matchAll(/<textarea .*?name="(\w+)".*?>([^<]*)</g)) {
    fields[name] = value;
  }
  const boxes = text.matchAll(/type="(?:radio|checkbox)" name="(\w+)" value="(.*?)" checked/g);
  const ticked = [...boxes].map(([, name = '', value = '']) => [name, value] as const);
  const title = /<title>(.*?)<\/title>/.exec(text)?.[1] ?? '';
  const action = /<form method="post" action="(.*?)"/.exec(text)?.[1] ?? '';
  return { response, text, title, fields, ticked, action };
}

/** Where a page goes on to by itself. */
export function targetOf(page: Shown): URL {
  const refresh = page.response.headers.get('refresh') ?? '';
  const url = /^0; url=(.+)$/.exec(refresh)?.[1];
  if (url === undefined) throw new Error(`the page ${page.title} does not go on`);
  return new URL(url);
}

/** The upstream state in the URL that leads to Forgejo. */
export function stateOf(page: Shown): string {
  return targetOf(page).searchParams.get('state') ?? '';
}

/** The links of a page, with their entities decoded. */
export function linksOf(page: Shown): string[] {
  return [...page.text.matchAll(/<a [^>]*href="(.*?)"/g)].map(([, href = '']) =>
    href.replaceAll('&amp;', '&'),
  );
}

/** Status and body of an answer to a program. */
export async function answerOf(
  response: Response,
): Promise<{ status: number; body: Record<string, unknown> }> {
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}
