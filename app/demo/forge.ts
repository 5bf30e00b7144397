import { type Clock, systemClock } from '../base/clock.ts';
import { type Random, systemRandom } from '../base/secret.ts';
import type { OnDemoForgeEvent } from './forge-event.ts';
import { createFaults, type DemoFaults } from './forge-faults.ts';
import { BODY_BYTES_MAX, type DemoRequest, plain } from './forge-http.ts';
import { DemoRepositories } from './forge-repositories.ts';
import { createRouter } from './forge-router.ts';
import { DemoState, type DemoUserOptions } from './forge-state.ts';
import { createDemoTokens, type DemoTokenAnswer } from './forge-tokens.ts';

/** The people of the demo, when no others are given. */
export const DEMO_USERS: readonly DemoUserOptions[] = [
  { login: 'alice', password: 'wonderland', fullName: 'Alice Liddell', isAdmin: true },
  { login: 'bob', password: 'workshop', fullName: 'Bob Carpenter' },
];

export interface DemoForgeOptions {
  /** Default 0: any free port. */
  readonly port?: number;
  /** The name in the forge's own address; it always listens on loopback. */
  readonly hostname?: '127.0.0.1' | 'localhost';
  readonly clientId: string;
  readonly clientSecret: string;
  readonly redirectUris: readonly string[];
  readonly users?: readonly DemoUserOptions[];
  /** Forgejo's `INVALIDATE_REFRESH_TOKENS`; off by default, as there. */
  readonly rotation?: boolean;
  /** Default 3600. */
  readonly accessTtlS?: number;
  /** Default 730 hours. */
  readonly refreshTtlS?: number;
  readonly onEvent?: OnDemoForgeEvent;
  /** Hears of every token pair that is given out, for a test that searches for them. */
  readonly onTokens?: (answer: DemoTokenAnswer) => void;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** A small Forgejo with a handle for tests: what it was asked, and what shall go wrong. */
export interface DemoForge {
  /** Its address, without a trailing slash. */
  readonly url: string;
  readonly users: readonly DemoUserOptions[];
  readonly faults: DemoFaults;
  /** The latest requests, oldest first; no query, no headers, no body. */
  readonly requests: readonly DemoForgeRequest[];
  /** How many requests came to that path (of that method), the forgotten ones included. */
  count(path: string, method?: string): number;
  /** The person removes the application on Forgejo's settings page: every token is dead. */
  revokeGrant(login: string): void;
  /**
   * The admin switches the account off: tokens in use are dead (401). The login form still lets the
   * person pass, and `/api/v1/user` with a new token says `active: false`.
   */
  disable(login: string): void;
  /** As `disable`, with `prohibit_login: true`. */
  prohibit(login: string): void;
  /** Takes `disable` and `prohibit` back. */
  allow(login: string): void;
  /** Whether Forgejo would take this access or refresh token now; asking changes nothing. */
  honours(token: string): boolean;
  /** The titles of the issues of a repository, oldest first. */
  issueTitles(owner: string, repository: string): readonly string[];
  stop(): Promise<void>;
}

export interface DemoForgeRequest {
  readonly method: string;
  readonly path: string;
  /** When it came; epoch milliseconds. */
  readonly at: number;
}

const REQUESTS_KEPT = 1000;
const DEFAULT_ACCESS_TTL_S = 3600;
const DEFAULT_REFRESH_TTL_S = 730 * 3600;

/** Starts a demo Forgejo that behaves like the real one towards browsers, clients and API users. */
export async function startDemoForge(options: DemoForgeOptions): Promise<DemoForge> {
  const random = options.random ?? systemRandom;
  const clock = options.clock ?? systemClock;
  const users = options.users ?? DEMO_USERS;
  const state = new DemoState(options, users, random);
  const repositories = new DemoRepositories(state.users);
  const tokens = createDemoTokens({
    state,
    clock,
    random,
    rotation: options.rotation ?? false,
    accessTtlS: options.accessTtlS ?? DEFAULT_ACCESS_TTL_S,
    refreshTtlS: options.refreshTtlS ?? DEFAULT_REFRESH_TTL_S,
    issuer: () => listener.url,
    onTokens: options.onTokens ?? (() => undefined),
  });
  const onEvent = options.onEvent ?? (() => undefined);
  const route = createRouter({ state, tokens, repositories, clock, onEvent });
  const requests = requestLog(clock);
  const faults = createFaults({
    clock,
    onRefuse: () => listener.close(),
    onClear: () => listener.open(),
  });
  const listener = createListener(options, async (request) => {
    const path = request.url.pathname;
    requests.add(request.method, path);
    return faults.answer(path, () => route(request));
  });
  const lockOut = (login: string) => {
    state.userNamed(login).deadUpTo = tokens.lastSerial;
    return state.userNamed(login);
  };
  return {
    url: listener.url,
    users,
    faults,
    requests: requests.latest,
    count: requests.count,
    revokeGrant: (login) => state.removeGrantOf(state.userNamed(login).id),
    disable(login) {
      lockOut(login).active = false;
    },
    prohibit(login) {
      lockOut(login).prohibitLogin = true;
    },
    allow(login) {
      Object.assign(state.userNamed(login), { active: true, prohibitLogin: false, deadUpTo: 0 });
    },
    honours: (token) =>
      tokens.readAccess(token) !== undefined || tokens.readRefresh(token).kind === 'honoured',
    issueTitles(owner, name) {
      const found = repositories.find(state.userNamed(owner), owner, name);
      return found?.issues.map(({ title }) => title) ?? [];
    },
    async stop() {
      faults.clear();
      await listener.stop();
    },
  };
}

function requestLog(clock: Clock) {
  const latest: DemoForgeRequest[] = [];
  const counts = new Map<string, number>();
  const more = (key: string) => counts.set(key, (counts.get(key) ?? 0) + 1);
  return {
    latest,
    add(method: string, path: string) {
      latest.push({ method, path, at: clock.now() });
      if (latest.length > REQUESTS_KEPT) latest.shift();
      more(path);
      more(`${method} ${path}`);
    },
    count: (path: string, method?: string) =>
      counts.get(method === undefined ? path : `${method} ${path}`) ?? 0,
  };
}

interface Listener {
  readonly url: string;
  open(): void;
  close(): void;
  stop(): Promise<void>;
}

/** Listens on loopback; after `close`, connections are refused until `open` on the same port. */
function createListener(
  options: DemoForgeOptions,
  answer: (request: DemoRequest) => Promise<Response>,
): Listener {
  const serve = (port: number) =>
    Bun.serve({
      port,
      hostname: '127.0.0.1',
      // Held answers write nothing for long; the runtime would cut them after ten seconds.
      idleTimeout: 0,
      maxRequestBodySize: BODY_BYTES_MAX,
      // The runtime's own error page shows source code.
      error: () => plain(500, 'Internal Server Error\n'),
      fetch: async (request) =>
        answer({
          method: request.method,
          url: new URL(request.url),
          headers: request.headers,
          body: await request.text(),
        }),
    });
  let server: ReturnType<typeof serve> | undefined = serve(options.port ?? 0);
  const port = server.port ?? 0;
  return {
    url: `http://${options.hostname ?? '127.0.0.1'}:${port}`,
    open() {
      server ??= serve(port);
    },
    close() {
      // Without `true` it would wait for the requests that it is to cut.
      void server?.stop(true);
      server = undefined;
    },
    async stop() {
      await server?.stop(true);
      server = undefined;
    },
  };
}
