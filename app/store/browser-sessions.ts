import type { Digest } from '../base/secret.ts';
import type { StoreContext } from './store-context.ts';

/** A browser, and who signed in with it last. */
export interface BrowserSession {
  /** Of the random id in the browser's cookie. */
  readonly digest: Digest;
  /** Null when that account has been forgotten since. */
  readonly accountId: number | null;
  readonly login: string | null;
  readonly expiresAt: number;
}

/** A browser has no row before somebody signed in with it: strangers cannot make any. */
export interface BrowserSessions {
  /** Undefined when nobody signed in with it, and once it has expired. */
  find(digest: Digest): Promise<BrowserSession | undefined>;
  /** Notes who signed in last. */
  signIn(digest: Digest, accountId: number, expiresAt: number): Promise<void>;
}

export function createBrowserSessions({ connection, clock }: StoreContext): BrowserSessions {
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
