import type { Digest } from '../base/secret.ts';
import type { StoreContext } from './store-context.ts';

/** What a session has become since its handshake: the rest of what another child must be told. */
export interface SessionState {
  /** Whether the client has sent `notifications/initialized`. */
  readonly initialized: boolean;
  /** JSON text of the capabilities that the client was told; null when they are not known. */
  readonly serverCapabilities: string | null;
  /** As set by `logging/setLevel`; null while it never was. */
  readonly logLevel: string | null;
  /** The URIs of `resources/subscribe`. */
  readonly subscriptions: readonly string[];
  /** A name of what its client was last allowed; null when that is not known. */
  readonly permission: string | null;
}

/** An MCP session: owned by an account and a client, working under a grant. */
export interface SessionRow extends SessionState {
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

/** What became of a session whose grant ended. */
export interface GrantlessSession {
  readonly idDigest: Digest;
  /** The live grant of the same account and client that took it over; null: the session ended. */
  readonly heir: string | null;
}

export interface Sessions {
  /**
   * Inserts a session and deletes the account's least recently used ones beyond `storedMax`, whose
   * digests are returned.
   */
  insert(session: SessionRow, storedMax: number): Promise<readonly Digest[]>;
  find(idDigest: Digest): Promise<SessionRow | undefined>;
  /** Writes what has changed since the handshake. */
  setState(idDigest: Digest, state: SessionState): Promise<void>;
  /** A newer grant of the same account and client carries it on. */
  setGrant(idDigest: Digest, grantId: string): Promise<void>;
  /** The sessions of an ended grant: another live one of the pair takes them over, or they end. */
  endGrant(grantId: string): Promise<readonly GrantlessSession[]>;
  /** Ends the sessions of an account; returns how many there were. */
  endAccount(accountId: number): Promise<number>;
  /** False when there was none. */
  delete(idDigest: Digest): Promise<boolean>;
  /** Notes a use now; written within seconds. */
  used(idDigest: Digest): void;
}

export function createSessions({ connection, lastUse }: StoreContext): Sessions {
  const insert = connection.prepare<never, [KeptRow]>(
    `INSERT INTO sessions (id_digest, account_id, client_id, grant_id, protocol_version,
       handshake, created_at, last_used_at, initialized, server_capabilities, log_level,
       subscriptions, permission)
     VALUES ($idDigest, $accountId, $clientId, $grantId, $protocolVersion,
       $handshake, $createdAt, $lastUsedAt, $initialized, $serverCapabilities, $logLevel,
       $subscriptions, $permission)`,
  );
  const removeBeyond = connection.prepare<{ idDigest: Digest }, [number, string, number]>(
    `DELETE FROM sessions WHERE id_digest IN
       (SELECT id_digest FROM sessions WHERE account_id = ?1 AND id_digest <> ?2
        ORDER BY last_used_at DESC, created_at DESC LIMIT -1 OFFSET ?3)
     RETURNING id_digest AS idDigest`,
  );
  const find = connection.prepare<KeptRow, [string]>(
    `SELECT id_digest AS idDigest, account_id AS accountId, client_id AS clientId,
       grant_id AS grantId, protocol_version AS protocolVersion, handshake,
       created_at AS createdAt, last_used_at AS lastUsedAt, initialized,
       server_capabilities AS serverCapabilities, log_level AS logLevel, subscriptions,
       permission
     FROM sessions WHERE id_digest = ?`,
  );
  const setState = connection.prepare<never, [WrittenState & { idDigest: string }]>(
    `UPDATE sessions SET initialized = $initialized, server_capabilities = $serverCapabilities,
       log_level = $logLevel, subscriptions = $subscriptions, permission = $permission
     WHERE id_digest = $idDigest`,
  );
  const setGrant = connection.prepare<never, [string, string]>(
    'UPDATE sessions SET grant_id = ? WHERE id_digest = ?',
  );
  const endGrant = createGrantEnd(connection);
  const removeOfAccount = connection.prepare<never, [number]>(
    'DELETE FROM sessions WHERE account_id = ?',
  );
  const remove = connection.prepare<never, [string]>('DELETE FROM sessions WHERE id_digest = ?');
  return {
    insert: (session, storedMax) =>
      connection.write(() => {
        insert.run({ ...session, ...written(session) });
        const others = storedMax - 1;
        return removeBeyond
          .all(session.accountId, session.idDigest, others)
          .map(({ idDigest }) => idDigest);
      }),
    find: (idDigest) => connection.read(() => asRow(find.get(idDigest))),
    setState: (idDigest, state) =>
      connection.write(() => {
        setState.run({ idDigest, ...written(state) });
      }),
    setGrant: (idDigest, grantId) =>
      connection.write(() => {
        setGrant.run(grantId, idDigest);
      }),
    endGrant: (grantId) => connection.write(() => endGrant(grantId)),
    endAccount: (accountId) => connection.write(() => removeOfAccount.run(accountId).changes),
    delete: (idDigest) => connection.write(() => remove.run(idDigest).changes > 0),
    used: (idDigest) => lastUse.note('sessions', idDigest),
  };
}

function createGrantEnd(connection: StoreContext['connection']) {
  const inherit = connection.prepare<GrantlessSession, [string]>(
    `UPDATE sessions SET grant_id = heir.id
     FROM (SELECT id, account_id, client_id, max(created_at) FROM grants
           WHERE ended_at IS NULL AND id <> ?1 GROUP BY account_id, client_id) AS heir
     WHERE sessions.grant_id = ?1 AND heir.account_id = sessions.account_id
       AND heir.client_id = sessions.client_id
     RETURNING id_digest AS idDigest, grant_id AS heir`,
  );
  const remove = connection.prepare<{ idDigest: Digest }, [string]>(
    'DELETE FROM sessions WHERE grant_id = ? RETURNING id_digest AS idDigest',
  );
  return (grantId: string): readonly GrantlessSession[] => [
    ...inherit.all(grantId),
    ...remove.all(grantId).map(({ idDigest }) => ({ idDigest, heir: null })),
  ];
}

type WrittenState = {
  readonly initialized: number;
  readonly serverCapabilities: string | null;
  readonly logLevel: string | null;
  readonly subscriptions: string;
  readonly permission: string | null;
};

type KeptRow = Omit<SessionRow, keyof SessionState> & WrittenState;

function written(state: SessionState): WrittenState {
  return {
    initialized: state.initialized ? 1 : 0,
    serverCapabilities: state.serverCapabilities,
    logLevel: state.logLevel,
    subscriptions: JSON.stringify(state.subscriptions),
    permission: state.permission,
  };
}

function asRow(row: KeptRow | null): SessionRow | undefined {
  if (row === null) return undefined;
  return {
    ...row,
    initialized: row.initialized === 1,
    subscriptions: JSON.parse(row.subscriptions) as string[],
  };
}
