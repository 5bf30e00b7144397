import type { Digest } from '../base/secret.ts';
import type { AccountState } from './accounts.ts';
import type { StoreContext } from './store-context.ts';

/** Narrows a list; what is absent matches everything. */
export interface ListFilter {
  readonly login?: string | undefined;
  readonly clientId?: string | undefined;
}

/** A session with the names of those that it belongs to. */
export interface ListedSession {
  readonly idDigest: Digest;
  readonly login: string;
  readonly clientId: string;
  readonly clientName: string;
  readonly grantId: string;
  readonly protocolVersion: string;
  readonly createdAt: number;
  readonly lastUsedAt: number;
}

/** A grant that has not ended, with the names of those that it is between. */
export interface ListedGrant {
  readonly id: string;
  readonly login: string;
  readonly accountState: AccountState;
  readonly clientId: string;
  readonly clientName: string;
  readonly scope: string;
  /** JSON of what the person allowed; null for a grant from before: everything. */
  readonly permission: string | null;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
}

/** Lists for a person who looks: the latest used first, never more than `rowsMax`. */
export interface Listings {
  sessions(filter: ListFilter, rowsMax: number): Promise<readonly ListedSession[]>;
  grants(filter: ListFilter, rowsMax: number): Promise<readonly ListedGrant[]>;
  /** Digests of session ids that begin so; two are enough to say that it names none. */
  sessionsNamed(shortId: string): Promise<readonly Digest[]>;
}

export function createListings({ connection }: StoreContext): Listings {
  const sessions = connection.prepare<ListedSession, [FilterRow]>(
    `SELECT s.id_digest AS idDigest, a.login, s.client_id AS clientId, c.name AS clientName,
       s.grant_id AS grantId, s.protocol_version AS protocolVersion,
       s.created_at AS createdAt, s.last_used_at AS lastUsedAt
     FROM sessions s JOIN accounts a ON a.id = s.account_id JOIN clients c ON c.id = s.client_id
     WHERE ($login IS NULL OR a.login = $login COLLATE NOCASE)
       AND ($clientId IS NULL OR s.client_id = $clientId)
     ORDER BY s.last_used_at DESC, s.id_digest LIMIT $rowsMax`,
  );
  const grants = connection.prepare<ListedGrant, [FilterRow]>(
    `SELECT g.id, a.login, a.state AS accountState, g.client_id AS clientId,
       c.name AS clientName, g.scope, g.permission, g.created_at AS createdAt, g.last_used_at AS lastUsedAt
     FROM grants g JOIN accounts a ON a.id = g.account_id JOIN clients c ON c.id = g.client_id
     WHERE g.ended_at IS NULL
       AND ($login IS NULL OR a.login = $login COLLATE NOCASE)
       AND ($clientId IS NULL OR g.client_id = $clientId)
     ORDER BY coalesce(g.last_used_at, g.created_at) DESC, g.id LIMIT $rowsMax`,
  );
  const named = connection.prepare<{ readonly idDigest: Digest }, [string]>(
    // '{' stands behind every letter of base64url, so the primary key serves.
    `SELECT id_digest AS idDigest FROM sessions
     WHERE id_digest >= ?1 AND id_digest < ?1 || '{' LIMIT 2`,
  );
  return {
    sessions: (filter, rowsMax) => connection.read(() => sessions.all(bound(filter, rowsMax))),
    grants: (filter, rowsMax) => connection.read(() => grants.all(bound(filter, rowsMax))),
    sessionsNamed: (shortId) =>
      connection.read(() => named.all(shortId).map(({ idDigest }) => idDigest)),
  };
}

type FilterRow = { readonly login: string | null; readonly clientId: string | null } & {
  readonly rowsMax: number;
};

function bound({ login, clientId }: ListFilter, rowsMax: number): FilterRow {
  return { login: login ?? null, clientId: clientId ?? null, rowsMax };
}
