import type { Secret } from '../base/secret.ts';
import { present } from './connection.ts';
import type { StoreContext } from './store-context.ts';

/**
 * `active`: the upstream tokens are good. `needs_sign_in`: Forgejo refused them. `disabled`: Forgejo
 * does not let this person in.
 */
export type AccountState = 'active' | 'needs_sign_in' | 'disabled';

/** A Forgejo user; `id` is Forgejo's, since a login can be renamed and given to another. */
export interface Account {
  readonly id: number;
  readonly login: string;
  readonly isAdmin: boolean;
  readonly state: AccountState;
  /** Counts the token answers of Forgejo that were stored; tells an old token from the present. */
  readonly generation: number;
  readonly accessExpiresAt: number;
  readonly refreshExpiresAt: number | null;
}

/** Who Forgejo says has signed in. */
export interface AccountUser {
  readonly id: number;
  readonly login: string;
  readonly isAdmin: boolean;
}

/** One token answer of Forgejo; a null refresh token keeps the stored one and its expiry. */
export interface UpstreamTokens {
  readonly accessToken: Secret;
  readonly refreshToken: Secret | null;
  readonly accessExpiresAt: number;
  readonly refreshExpiresAt: number | null;
}

/** An account with its tokens opened. */
export interface AccountWithTokens {
  readonly account: Account;
  readonly accessToken: Secret;
  readonly refreshToken: Secret | null;
}

export interface Accounts {
  find(id: number): Promise<Account | undefined>;
  /**
   * Inserts or updates the account after a token answer: both tokens sealed, the state `active`, the
   * generation one higher.
   */
  storeTokens(user: AccountUser, tokens: UpstreamTokens): Promise<Account>;
  tokensOf(id: number): Promise<AccountWithTokens | undefined>;
  /**
   * Active accounts with a live grant whose refresh token has lived half its life: who is away for
   * long must find the connection as it was. The ones that end first, at most `limit`.
   */
  listHalfLived(limit: number): Promise<readonly Account[]>;
  /** Changes the state only while the generation is still `generation`; false otherwise. */
  setState(id: number, state: AccountState, generation: number): Promise<boolean>;
}

export function createAccounts(context: StoreContext): Accounts {
  const { connection, clock, keyring } = context;
  const find = connection.prepare<AccountRow, [number]>(
    `SELECT ${COLUMNS} FROM accounts WHERE id = ?`,
  );
  const tokens = connection.prepare<SealedTokens, [number]>(
    'SELECT access_token AS access, refresh_token AS refresh FROM accounts WHERE id = ?',
  );
  const put = connection.prepare<AccountRow, [NewRow]>(
    `INSERT INTO accounts (id, login, is_admin, state, generation, access_token, refresh_token,
       access_expires_at, refresh_expires_at, created_at, updated_at)
     VALUES ($id, $login, $isAdmin, 'active', 1, $access, $refresh,
       $accessExpiresAt, $refreshExpiresAt, $now, $now)
     ON CONFLICT (id) DO UPDATE SET login = excluded.login, is_admin = excluded.is_admin,
       state = excluded.state, generation = generation + 1,
       access_token = excluded.access_token, access_expires_at = excluded.access_expires_at,
       refresh_token = iif($refresh IS NULL, refresh_token, $refresh),
       refresh_expires_at = iif($refresh IS NULL, refresh_expires_at, $refreshExpiresAt),
       updated_at = excluded.updated_at
     RETURNING ${COLUMNS}`,
  );
  const setState = connection.prepare<never, [AccountState, number, number, number]>(
    'UPDATE accounts SET state = ?, updated_at = ? WHERE id = ? AND generation = ?',
  );
  const halfLived = connection.prepare<AccountRow, [{ now: number; limit: number }]>(
    `SELECT ${COLUMNS} FROM accounts AS a
     WHERE state = 'active' AND refresh_expires_at IS NOT NULL
       AND 2 * ($now - updated_at) >= refresh_expires_at - updated_at
       AND EXISTS (SELECT 1 FROM grants WHERE account_id = a.id AND ended_at IS NULL)
     ORDER BY refresh_expires_at LIMIT $limit`,
  );
  const accessPlace = (id: number) => context.place(String(id), 'accounts.access_token');
  const refreshPlace = (id: number) => context.place(String(id), 'accounts.refresh_token');

  return {
    find: (id) => connection.read(() => asAccount(find.get(id))),
    storeTokens: ({ id, login, isAdmin }, answer) =>
      connection.write(() => {
        const { accessToken, refreshToken, accessExpiresAt, refreshExpiresAt } = answer;
        const access = keyring.seal(accessToken, accessPlace(id));
        const refresh = refreshToken && keyring.seal(refreshToken, refreshPlace(id));
        const expiry = { accessExpiresAt, refreshExpiresAt };
        const row = put.get({ id, login, isAdmin, access, refresh, ...expiry, now: clock.now() });
        return present(asAccount(row));
      }),
    tokensOf: (id) =>
      connection.read(() => {
        const account = asAccount(find.get(id));
        const sealed = tokens.get(id);
        if (account === undefined || sealed === null) return undefined;
        const { access, refresh } = sealed;
        return {
          account,
          accessToken: keyring.open(access, accessPlace(id)),
          refreshToken: refresh && keyring.open(refresh, refreshPlace(id)),
        };
      }),
    listHalfLived: (limit) =>
      connection.read(() => halfLived.all({ now: clock.now(), limit }).map(toAccount)),
    setState: (id, state, generation) =>
      connection.write(() => setState.run(state, clock.now(), id, generation).changes > 0),
  };
}

type AccountRow = Omit<Account, 'isAdmin'> & { readonly isAdmin: number };

interface SealedTokens {
  readonly access: Uint8Array;
  readonly refresh: Uint8Array | null;
}

type NewRow = {
  readonly id: number;
  readonly login: string;
  readonly isAdmin: boolean;
  readonly access: Uint8Array;
  readonly refresh: Uint8Array | null;
  readonly accessExpiresAt: number;
  readonly refreshExpiresAt: number | null;
  readonly now: number;
};

const COLUMNS = `id, login, is_admin AS isAdmin, state, generation,
  access_expires_at AS accessExpiresAt, refresh_expires_at AS refreshExpiresAt`;

function asAccount(row: AccountRow | null): Account | undefined {
  return row === null ? undefined : toAccount(row);
}

function toAccount(row: AccountRow): Account {
  return { ...row, isAdmin: row.isAdmin === 1 };
}
