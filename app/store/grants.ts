import type { StoreContext } from './store-context.ts';

/** Why a grant ended by an act; `prune` ends those of which nothing lives any more (`expired`). */
export type GrantEndReason = 'revoked' | 'code_reuse' | 'refresh_reuse' | 'client_removed';

/** What one person allowed one client; ended ones stay as tombstones for a time. */
export interface Grant {
  readonly id: string;
  readonly accountId: number;
  readonly clientId: string;
  readonly scope: string;
  /** JSON of what the person allowed; null for a grant from before: everything. */
  readonly permission: string | null;
  readonly resource: string;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
  readonly endedAt: number | null;
  readonly endReason: GrantEndReason | 'expired' | null;
}

export interface Grants {
  find(id: string): Promise<Grant | undefined>;
  /** Ends it: its tokens are refused from the next request on. False when it was ended already. */
  end(id: string, reason: GrantEndReason): Promise<boolean>;
  /** Notes a use now; written within seconds. */
  used(id: string): void;
  /** The youngest grant of the two that has not ended. */
  findLatest(accountId: number, clientId: string): Promise<Grant | undefined>;
  /** The grants of a person that have not ended, oldest first. */
  listLive(accountId: number): Promise<readonly Grant[]>;
}

export function createGrants(context: StoreContext): Grants {
  const { connection, lastUse } = context;
  const find = connection.prepare<Grant, [string]>(
    `SELECT ${GRANT_COLUMNS} FROM grants WHERE id = ?`,
  );
  const listLive = connection.prepare<Grant, [number]>(
    `SELECT ${GRANT_COLUMNS} FROM grants WHERE account_id = ? AND ended_at IS NULL
     ORDER BY created_at, id`,
  );
  const findLatest = connection.prepare<Grant, [number, string]>(
    `SELECT ${GRANT_COLUMNS} FROM grants
     WHERE account_id = ? AND client_id = ? AND ended_at IS NULL
     ORDER BY created_at DESC, id LIMIT 1`,
  );
  const end = createGrantEnd(context);
  return {
    find: (id) => connection.read(() => find.get(id) ?? undefined),
    findLatest: (accountId, clientId) =>
      connection.read(() => findLatest.get(accountId, clientId) ?? undefined),
    end: (id, reason) => connection.write(() => end(id, reason)),
    used: (id) => lastUse.note('grants', id),
    listLive: (accountId) => connection.read(() => listLive.all(accountId)),
  };
}

/** Ends a grant within the transaction of the caller; false when it was ended already. */
export type GrantEnd = (id: string, reason: GrantEndReason | 'expired') => boolean;

export function createGrantEnd({ connection, clock }: StoreContext): GrantEnd {
  const end = connection.prepare<never, [number, string, string]>(
    'UPDATE grants SET ended_at = ?, end_reason = ? WHERE id = ? AND ended_at IS NULL',
  );
  return (id, reason) => end.run(clock.now(), reason, id).changes > 0;
}

/** The columns of a `Grant`, for statements that read or return one. */
export const GRANT_COLUMNS = `id, account_id AS accountId, client_id AS clientId, scope, permission,
  resource, created_at AS createdAt, last_used_at AS lastUsedAt, ended_at AS endedAt,
  end_reason AS endReason`;
