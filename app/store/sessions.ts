import type { Digest } from '../base/secret.ts';
import type { StoreContext } from './store-context.ts';

/** An MCP session: owned by an account and a client, working under a grant. */
export interface SessionRow {
  /** Of the `Mcp-Session-Id`. */
  readonly idDigest: Digest;
  readonly accountId: number;
  readonly clientId: string;
  readonly grantId: string;
  readonly protocolVersion: string;
  /** JSON text of the client's `initialize` params. */
  readonly handshake: string;
  readonly createdAt: number;
  readonly lastUsedAt: number;
}

export interface Sessions {
  insert(session: SessionRow): Promise<void>;
  find(idDigest: Digest): Promise<SessionRow | undefined>;
  /** False when there was none. */
  delete(idDigest: Digest): Promise<boolean>;
  /** Returns how many there were. */
  deleteAll(): Promise<number>;
  /** Notes a use now; written within seconds. */
  used(idDigest: Digest): void;
}

export function createSessions({ connection, lastUse }: StoreContext): Sessions {
  const insert = connection.prepare<never, [NewRow]>(
    `INSERT INTO sessions (id_digest, account_id, client_id, grant_id, protocol_version,
       handshake, created_at, last_used_at)
     VALUES ($idDigest, $accountId, $clientId, $grantId, $protocolVersion,
       $handshake, $createdAt, $lastUsedAt)`,
  );
  const find = connection.prepare<SessionRow, [string]>(
    `SELECT id_digest AS idDigest, account_id AS accountId, client_id AS clientId,
       grant_id AS grantId, protocol_version AS protocolVersion, handshake,
       created_at AS createdAt, last_used_at AS lastUsedAt
     FROM sessions WHERE id_digest = ?`,
  );
  const remove = connection.prepare<never, [string]>('DELETE FROM sessions WHERE id_digest = ?');
  const removeAll = connection.prepare<never, []>('DELETE FROM sessions');
  return {
    insert: (session) =>
      connection.write(() => {
        insert.run({ ...session });
      }),
    find: (idDigest) => connection.read(() => find.get(idDigest) ?? undefined),
    delete: (idDigest) => connection.write(() => remove.run(idDigest).changes > 0),
    deleteAll: () => connection.write(() => removeAll.run().changes),
    used: (idDigest) => lastUse.note('sessions', idDigest),
  };
}

type NewRow = Record<keyof SessionRow, string | number>;
