import { newToken, type Random } from '../base/secret.ts';

/** Somebody with an account on the demo forge. */
export interface DemoUser {
  readonly id: number;
  readonly login: string;
  readonly password: string;
  readonly fullName: string;
  readonly isAdmin: boolean;
  active: boolean;
  prohibitLogin: boolean;
  /** Tokens up to this serial number are dead at the API, though they have not expired. */
  deadUpTo: number;
}

export interface DemoUserOptions {
  readonly login: string;
  readonly password: string;
  readonly fullName?: string;
  readonly isAdmin?: boolean;
}

/** The one OAuth2 application, confidential, as an admin registers it for the broker. */
export interface DemoApplication {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly redirectUris: readonly string[];
}

/** A browser, signed in or not. */
export interface BrowserSession {
  readonly id: string;
  readonly csrf: string;
  readonly userId: number | null;
  /** What the grant page was shown for; its form must say the same. */
  asked: AskedGrant | null;
}

export interface AskedGrant {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly state: string;
}

/** What one user allowed the application; there is one per user and application. */
export interface DemoGrant {
  readonly id: number;
  readonly userId: number;
  readonly scope: string;
  /** Goes up with every token answer while rotation is on; older refresh tokens name a lower one. */
  counter: number;
}

export interface DemoCode {
  readonly grantId: number;
  readonly redirectUri: string;
  /** null: no check (the challenge was lost on the way over the grant page). */
  readonly challenge: string | null;
}

const BROWSER_SESSIONS_MAX = 1000;
const CODES_MAX = 1000;

/** Everything the demo forge remembers about people: users, browsers, grants, codes. */
export class DemoState {
  readonly application: DemoApplication;
  readonly users: readonly DemoUser[];
  readonly #random: Random;
  readonly #sessions = new Map<string, BrowserSession>();
  readonly #grants = new Map<number, DemoGrant>();
  readonly #codes = new Map<string, DemoCode>();
  #grantsMade = 0;

  constructor(application: DemoApplication, users: readonly DemoUserOptions[], random: Random) {
    this.application = application;
    this.#random = random;
    this.users = users.map((user, index) => ({
      id: index + 1,
      login: user.login,
      password: user.password,
      fullName: user.fullName ?? '',
      isAdmin: user.isAdmin ?? false,
      active: true,
      prohibitLogin: false,
      deadUpTo: 0,
    }));
  }

  userById(id: number | null): DemoUser | undefined {
    return this.users.find((user) => user.id === id);
  }

  /** Throws for a login that nobody has: a test that names one is wrong. */
  userNamed(login: string): DemoUser {
    const user = this.users.find((candidate) => candidate.login === login);
    if (user === undefined) throw new Error(`the demo forge has no user ${login}`);
    return user;
  }

  /** The browser's session, or a new one; a new browser is not signed in. */
  session(id: string | undefined): BrowserSession {
    return (id === undefined ? undefined : this.#sessions.get(id)) ?? this.openSession(null);
  }

  openSession(userId: number | null): BrowserSession {
    const id = newToken(this.#random, 16);
    const session = { id, csrf: newToken(this.#random), userId, asked: null };
    remember(this.#sessions, id, session, BROWSER_SESSIONS_MAX);
    return session;
  }

  closeSession(id: string): void {
    this.#sessions.delete(id);
  }

  grant(id: number): DemoGrant | undefined {
    return this.#grants.get(id);
  }

  grantOf(userId: number): DemoGrant | undefined {
    return [...this.#grants.values()].find((grant) => grant.userId === userId);
  }

  makeGrant(userId: number, scope: string): DemoGrant {
    this.#grantsMade += 1;
    const grant = { id: this.#grantsMade, userId, scope, counter: 0 };
    this.#grants.set(grant.id, grant);
    return grant;
  }

  removeGrantOf(userId: number): void {
    const grant = this.grantOf(userId);
    if (grant !== undefined) this.#grants.delete(grant.id);
  }

  makeCode(code: DemoCode): string {
    const value = `gta_${newToken(this.#random)}`;
    remember(this.#codes, value, code, CODES_MAX);
    return value;
  }

  code(value: string): DemoCode | undefined {
    return this.#codes.get(value);
  }

  /** A code works once. */
  spendCode(value: string): void {
    this.#codes.delete(value);
  }
}

/** Maps keep the order of insertion, so the first key is the oldest. */
function remember<V>(map: Map<string, V>, key: string, value: V, entriesMax: number): void {
  map.set(key, value);
  const oldest = map.keys().next();
  if (map.size > entriesMax && oldest.done === false) map.delete(oldest.value);
}
