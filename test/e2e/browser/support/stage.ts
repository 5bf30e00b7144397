import { afterAll, afterEach, beforeAll } from 'bun:test';
import type { Browser, BrowserContext, BrowserContextOptions } from 'playwright-core';
import type { DemoClient } from '../../../../app/demo/client.ts';
import { type SystemOptions, startSystem, type TestSystem } from '../../../support/system.ts';
import { type AttackSite, startAttackSite } from './attacker.ts';
import { collectComplaints } from './complaints.ts';
import { launchChromium, PAGE_PATIENCE_MS, TEST_PATIENCE_MS } from './engine.ts';
import { type Landing, startLanding } from './landing.ts';
import { Visitor } from './visitor.ts';

/** A client of a test's own, with its person's next address and the place it waits at. */
export interface Connecting {
  readonly client: DemoClient;
  readonly authorizationUrl: URL;
  readonly landing: Landing;
}

export interface VisitorOptions extends BrowserContextOptions {
  /** Another browser instead of a fresh one of the suite's. */
  readonly context?: BrowserContext;
  /** Whose sign-ins it will be; the suite's by default. */
  readonly system?: TestSystem;
  /** Whose account and cookies to start with; by default a new account, in a browser without any. */
  readonly as?: Acquaintance;
}

/** Somebody who has been here before. */
export interface Acquaintance {
  readonly login: string;
  readonly password: string;
  readonly storageState: Exclude<BrowserContextOptions['storageState'], undefined>;
}

/**
 * What the tests of one file share: a Chromium and a running broker beside a forge. What makes them
 * independent of each other is theirs: a browser context, an account and a client.
 */
export interface Stage {
  readonly system: TestSystem;
  readonly browser: Browser;
  /** A person with an account and a browser that nobody has used yet. */
  visitor(options?: VisitorOptions): Promise<Visitor>;
  /** A client that has just found out where to send its person. */
  connecting(options?: ConnectingOptions): Promise<Connecting>;
  /** A site of an attacker. */
  attackSite(): AttackSite;
  /** A broker and a forge for one test, where it needs other ones than the suite's. */
  ownSystem(options: SystemOptions): Promise<TestSystem>;
}

export interface ConnectingOptions {
  readonly name?: string;
  readonly system?: TestSystem;
  /** What it registers instead of its landing; its answer goes to the first. */
  readonly redirectUris?: readonly string[];
}

/** More than any file has visitors. */
const ACCOUNTS = Array.from({ length: 100 }, (_, index) => ({
  login: `person-${index + 1}`,
  password: `secret-${index + 1}`,
}));

/** Call it inside a `describe`; the stage is there once its tests run. */
export function useStage(options: SystemOptions = {}): Stage {
  let system: TestSystem;
  let browser: Browser;
  let accountsTaken = 0;
  const closing: (() => Promise<unknown>)[] = [];
  const start = (asked: SystemOptions) =>
    startSystem({ ...asked, forge: { users: ACCOUNTS, ...asked.forge } });

  beforeAll(async () => {
    system = await start(options);
    browser = await launchChromium();
  }, TEST_PATIENCE_MS);

  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  }, TEST_PATIENCE_MS);

  afterAll(async () => {
    await browser.close();
    await system.stop();
  }, TEST_PATIENCE_MS);

  return {
    get system() {
      return system;
    },
    get browser() {
      return browser;
    },
    async visitor({ context: given, system: asked = system, as, ...contextOptions } = {}) {
      const account = as ?? ACCOUNTS[accountsTaken];
      if (account === undefined) throw new Error('every account of the forge is taken');
      if (as === undefined) accountsTaken += 1;
      else contextOptions.storageState = as.storageState;
      const context = given ?? (await browser.newContext(contextOptions));
      if (given === undefined) closing.push(() => context.close());
      context.setDefaultTimeout(PAGE_PATIENCE_MS);
      const complaints = await collectComplaints(context, asked.origin);
      const page = await context.newPage();
      const { login, password } = account;
      const forgeUrl = asked.forge.url;
      return new Visitor({ login, password, context, page, forgeUrl, complaints });
    },
    async connecting({ name = 'Test client', system: asked = system, redirectUris } = {}) {
      const landing = startLanding();
      closing.push(() => landing.stop());
      const [redirectUri, ...others] = redirectUris ?? [landing.redirectUri];
      const client = asked.client(name, redirectUri);
      client.memory.clientMetadata.redirect_uris.push(...others);
      return { client, landing, authorizationUrl: await client.startAuthorization() };
    },
    attackSite() {
      const site = startAttackSite();
      closing.push(() => site.stop());
      return site;
    },
    async ownSystem(asked) {
      const own = await start(asked);
      closing.push(() => own.stop());
      return own;
    },
  };
}

/** The login of the person whom the client acts for, asked by a tool call. */
export async function whoIs(client: DemoClient): Promise<string> {
  const sdk = await client.connect();
  const result = await sdk.callTool({ name: 'get_my_user_info', arguments: {} });
  await client.close();
  const login = /"login":\s*"([^"]+)"/.exec(JSON.stringify(result.content).replaceAll('\\"', '"'));
  return login?.[1] ?? '';
}
