import { type Digest, digestOf } from '../base/secret.ts';
import { present } from './connection.ts';
import { createGrantEnd } from './grants.ts';
import type { StoreContext } from './store-context.ts';

/** How a client proves who it is at the token endpoint (RFC 7591 section 2). */
export type ClientAuthMethod = 'none' | 'client_secret_basic' | 'client_secret_post';

/** A client as registered (`dcr`, RFC 7591) or as written in the configuration (`static`). */
export interface Client {
  readonly id: string;
  readonly kind: 'dcr' | 'static';
  readonly name: string;
  readonly redirectUris: readonly string[];
  /**
   * A static client with a secret has `client_secret_basic`: its configuration does not say which,
   * so either way of sending the secret is right for it.
   */
  readonly authMethod: ClientAuthMethod;
  /** Digest of the client secret; null exactly when the method is `none`. */
  readonly secretDigest: Digest | null;
  readonly applicationType: string | null;
  readonly clientUri: string | null;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
}

/** A dynamic registration that was checked and got its id. */
export interface NewClient {
  readonly id: string;
  readonly name: string;
  readonly redirectUris: readonly string[];
  readonly authMethod: ClientAuthMethod;
  readonly secretDigest: Digest | null;
  readonly applicationType: string | null;
  readonly clientUri: string | null;
}

/** A client of the configuration; public when it has no secret. */
export interface StaticClient {
  readonly id: string;
  readonly name: string;
  readonly redirectUris: readonly string[];
  readonly secretDigest: Digest | null;
}

export type Registration =
  | { readonly kind: 'registered'; readonly client: Client }
  | { readonly kind: 'existing'; readonly client: Client }
  | { readonly kind: 'full' };

export interface Clients {
  /**
   * Keeps a registration. A public one (`none`) that is identical but for its id gives the
   * `existing` client. With `clientsMax` dynamic clients the oldest one that was never used, has no
   * login on its way and is older than an hour makes room; when there is none, `full`.
   */
  register(client: NewClient, clientsMax: number): Promise<Registration>;
  /** Undefined too for a static client that the configuration no longer has. */
  find(id: string): Promise<Client | undefined>;
  /**
   * Makes the static clients those of the configuration. A removed one is retired and its live
   * grants end (`client_removed`); returns the ids of these grants.
   */
  syncStatic(clients: readonly StaticClient[]): Promise<readonly string[]>;
  /** Notes a use now; written within seconds. */
  used(id: string): void;
}

/** A registration younger than this is never dropped to make room: its login may be under way. */
const ROOM_AGE_MS = 60 * 60 * 1000;

export function createClients(context: StoreContext): Clients {
  const { connection, clock, lastUse } = context;
  const find = connection.prepare<ClientRow, [string]>(
    `SELECT ${COLUMNS} FROM clients WHERE id = ? AND retired_at IS NULL`,
  );
  const register = createRegister(context);
  const syncStatic = createStaticSync(context);
  return {
    async register(client, clientsMax) {
      // Whoever was used a moment ago must not be taken for never used.
      await lastUse.flush();
      return connection.write(() => register(client, clientsMax, clock.now()));
    },
    find: (id) => connection.read(() => asClient(find.get(id))),
    syncStatic: (clients) => connection.write(() => syncStatic(clients, clock.now())),
    used: (id) => lastUse.note('clients', id),
  };
}

function createRegister({ connection }: StoreContext) {
  const again = connection.prepare<ClientRow, [number, string]>(
    `UPDATE clients SET registered_at = ? WHERE fingerprint = ? RETURNING ${COLUMNS}`,
  );
  const count = connection.prepare<{ count: number }, []>(
    "SELECT count(*) AS count FROM clients WHERE kind = 'dcr'",
  );
  const makeRoom = connection.prepare<never, [{ before: number; rows: number }]>(
    `DELETE FROM clients WHERE id IN (
       SELECT id FROM clients AS c
       WHERE kind = 'dcr' AND last_used_at IS NULL AND registered_at < $before
         AND NOT EXISTS (SELECT 1 FROM grants WHERE client_id = c.id)
         AND NOT EXISTS (SELECT 1 FROM authorization_requests WHERE client_id = c.id)
       ORDER BY registered_at LIMIT $rows)`,
  );
  const insert = connection.prepare<ClientRow, [NewRow]>(
    `INSERT INTO clients (id, kind, name, redirect_uris, auth_method, secret_digest,
       application_type, client_uri, fingerprint, created_at, registered_at)
     VALUES ($id, 'dcr', $name, $redirectUris, $authMethod, $secretDigest,
       $applicationType, $clientUri, $fingerprint, $now, $now) RETURNING ${COLUMNS}`,
  );
  return (client: NewClient, clientsMax: number, now: number): Registration => {
    const fingerprint = client.authMethod === 'none' ? fingerprintOf(client) : null;
    const existing = fingerprint === null ? undefined : asClient(again.get(now, fingerprint));
    if (existing !== undefined) return { kind: 'existing', client: existing };
    const surplus = (count.get()?.count ?? 0) + 1 - clientsMax;
    if (surplus > 0) {
      const removed = makeRoom.run({ before: now - ROOM_AGE_MS, rows: surplus });
      if (removed.changes < surplus) return { kind: 'full' };
    }
    const redirectUris = JSON.stringify(client.redirectUris);
    const row = insert.get({ ...client, redirectUris, fingerprint, now });
    return { kind: 'registered', client: present(asClient(row)) };
  };
}

function createStaticSync(context: StoreContext) {
  const { connection } = context;
  const endGrant = createGrantEnd(context);
  const put = connection.prepare<never, [StaticRow]>(
    `INSERT INTO clients (id, kind, name, redirect_uris, auth_method, secret_digest,
       created_at, registered_at)
     VALUES ($id, 'static', $name, $redirectUris, $authMethod, $secretDigest, $now, $now)
     ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name,
       redirect_uris = excluded.redirect_uris, auth_method = excluded.auth_method,
       secret_digest = excluded.secret_digest, fingerprint = NULL, retired_at = NULL`,
  );
  const known = connection.prepare<{ id: string }, []>(
    "SELECT id FROM clients WHERE kind = 'static' AND retired_at IS NULL",
  );
  const retire = connection.prepare<never, [number, string]>(
    'UPDATE clients SET retired_at = ? WHERE id = ?',
  );
  const liveGrants = connection.prepare<{ id: string }, [string]>(
    'SELECT id FROM grants WHERE client_id = ? AND ended_at IS NULL',
  );
  return (clients: readonly StaticClient[], now: number): readonly string[] => {
    for (const { id, name, redirectUris, secretDigest } of clients) {
      const authMethod = secretDigest === null ? 'none' : 'client_secret_basic';
      put.run({
        id,
        name,
        redirectUris: JSON.stringify(redirectUris),
        authMethod,
        secretDigest,
        now,
      });
    }
    const kept = new Set(clients.map((client) => client.id));
    const ended: string[] = [];
    for (const { id } of known.all().filter((client) => !kept.has(client.id))) {
      retire.run(now, id);
      for (const grant of liveGrants.all(id)) {
        endGrant(grant.id, 'client_removed');
        ended.push(grant.id);
      }
    }
    return ended;
  };
}

type ClientRow = Omit<Client, 'redirectUris'> & { readonly redirectUris: string };

type StaticRow = {
  readonly id: string;
  readonly name: string;
  readonly redirectUris: string;
  readonly authMethod: ClientAuthMethod;
  readonly secretDigest: string | null;
  readonly now: number;
};

type NewRow = StaticRow & {
  readonly applicationType: string | null;
  readonly clientUri: string | null;
  readonly fingerprint: string | null;
};

const COLUMNS = `id, kind, name, redirect_uris AS redirectUris, auth_method AS authMethod,
  secret_digest AS secretDigest, application_type AS applicationType, client_uri AS clientUri,
  created_at AS createdAt, last_used_at AS lastUsedAt`;

function asClient(row: ClientRow | null): Client | undefined {
  if (row === null) return undefined;
  return { ...row, redirectUris: JSON.parse(row.redirectUris) };
}

/** Two registrations with the same fingerprint cannot be told apart by anything but their ids. */
function fingerprintOf(client: NewClient): Digest {
  const { name, redirectUris, applicationType, clientUri } = client;
  return digestOf(JSON.stringify([name, redirectUris, applicationType, clientUri]));
}
