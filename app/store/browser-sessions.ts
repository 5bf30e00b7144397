import type { Digest } from '../base/secret.ts';
import type { StoreContext } from './store-context.ts';

/** A browser that has been here, and who signed in with it. */
export interface BrowserSession {
  /** Of the random id in the browser's cookie. */
  readonly digest: Digest;
  readonly accountId: number | null;
  readonly login: string | null;
  readonly expiresAt: number;
}

export interface BrowserSessions {
  /**
   * Keeps a new browser. Anyone can make these, so their number is bounded: beyond it, the browsers
   * without a sign-in that expire first are forgotten.
   */
  create(session: { readonly digest: Digest; readonly expiresAt: number }): Promise<void>;
  /** Undefined once it has expired. */
  find(digest: Digest): Promise<BrowserSession | undefined>;
  /** Notes who signed in, also when the row has expired meanwhile. */
  signIn(digest: Digest, accountId: number, expiresAt: number): Promise<void>;
}

/** Browsers kept at once; one that signed in is never dropped to make room for a new one. */
export const BROWSER_SESSIONS_MAX = 20_000;

export function createBrowserSessions({ connection, clock }: StoreContext): BrowserSessions {
  const count = connection.prepare<{ count: number }, []>(
    'SELECT count(*) AS count FROM browser_sessions WHERE account_id IS NULL',
  );
  const makeRoom = connection.prepare<never, [number]>(
    `DELETE FROM browser_sessions WHERE digest IN (
       SELECT digest FROM browser_sessions WHERE account_id IS NULL ORDER BY expires_at LIMIT ?)`,
  );
  const insert = connection.prepare<never, [{ digest: string; now: number; expiresAt: number }]>(
    `INSERT INTO browser_sessions (digest, created_at, expires_at)
     VALUES ($digest, $now, $expiresAt)`,
  );
  const find = connection.prepare<BrowserSession, [string, number]>(
    `SELECT b.digest, b.account_id AS accountId, a.login, b.expires_at AS expiresAt
     FROM browser_sessions AS b LEFT JOIN accounts AS a ON a.id = b.account_id
     WHERE b.digest = ? AND b.expires_at > ?`,
  );
  const signIn = connection.prepare<never, [SignInRow]>(
    `INSERT INTO browser_sessions (digest, account_id, created_at, expires_at)
     VALUES ($digest, $accountId, $now, $expiresAt)
     ON CONFLICT (digest) DO UPDATE SET account_id = excluded.account_id,
       expires_at = excluded.expires_at`,
  );
  return {
    create: ({ digest, expiresAt }) =>
      connection.write(() => {
        const surplus = (count.get()?.count ?? 0) + 1 - BROWSER_SESSIONS_MAX;
        if (surplus > 0) makeRoom.run(surplus);
        insert.run({ digest, now: clock.now(), expiresAt });
      }),
    find: (digest) => connection.read(() => find.get(digest, clock.now()) ?? undefined),
    signIn: (digest, accountId, expiresAt) =>
      connection.write(() => {
        signIn.run({ digest, accountId, now: clock.now(), expiresAt });
      }),
  };
}

type SignInRow = {
  readonly digest: string;
  readonly accountId: number;
  readonly now: number;
  readonly expiresAt: number;
};
