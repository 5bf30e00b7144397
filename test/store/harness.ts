import { Database } from 'bun:sqlite';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKeyring, type Keyring, STORE_KEY_BYTES } from '../../app/base/keyring.ts';
import type { Log } from '../../app/base/log.ts';
import { createMetrics, type Metrics } from '../../app/base/metrics.ts';
import { type Digest, digestOf, Secret, systemRandom } from '../../app/base/secret.ts';
import type { Account } from '../../app/store/accounts.ts';
import type { NewAuthorizationRequest } from '../../app/store/authorization-requests.ts';
import type { Client, NewClient } from '../../app/store/clients.ts';
import type { Grant } from '../../app/store/grants.ts';
import { openStore, type Store, type StoreOptions } from '../../app/store/store.ts';
import type { RotationRequest, TokenAnswerRow } from '../../app/store/tokens.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { createMemoryLog, type MemoryLog } from '../support/memory-log.ts';

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export const FORGE = 'https://forge.example';
export const RESOURCE = 'https://broker.example/mcp';
export const RETENTION = { unusedClientMs: 30 * DAY, tombstoneMs: 365 * DAY, sessionMs: 30 * DAY };

/** The keyring of the store key that is 32 times `byte`. */
export function keyringOf(byte: number): Keyring {
  return createKeyring({
    current: new Uint8Array(STORE_KEY_BYTES).fill(byte),
    random: systemRandom,
  });
}

export interface Opened {
  readonly store: Store;
  readonly clock: FakeClock;
  readonly metrics: Metrics;
  readonly log: MemoryLog;
}

/** A store in memory, or at `path`; every other option can be given too. */
export function open(options: Partial<StoreOptions> & { clock?: FakeClock } = {}): Opened {
  const clock = options.clock ?? new FakeClock();
  const metrics = createMetrics();
  const memory = createMemoryLog();
  const log: Log = memory.log;
  const store = openStore({
    path: ':memory:',
    forgeOrigin: FORGE,
    keyring: keyringOf(7),
    metrics,
    log,
    retention: RETENTION,
    ...options,
    clock,
  });
  return { store, clock, metrics, log: memory };
}

/** A directory that is gone with the test. */
export class Directory {
  readonly path = mkdtempSync(join(tmpdir(), 'fjmcp-store-'));
  readonly store = join(this.path, 'store.db');

  /** Every byte of every file of a store that is closed. */
  bytes(): Buffer {
    return Buffer.concat(readdirSync(this.path).map((name) => readFileSync(join(this.path, name))));
  }

  /**
   * The same of an open store, read by another process: closing a file in this one would drop the
   * locks that SQLite holds on it here.
   */
  bytesOfOpenStore(): Buffer {
    const files = readdirSync(this.path).map((name) => join(this.path, name));
    return Bun.spawnSync(['cat', ...files]).stdout;
  }

  /** Looks into the file from beside the store. */
  query<Row>(sql: string): Row[] {
    const database = new Database(this.store, { readonly: true });
    try {
      return database.query<Row, []>(sql).all();
    } finally {
      database.close();
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export function newClient(change: Partial<NewClient> = {}): NewClient {
  return {
    id: 'client-1',
    name: 'An editor',
    redirectUris: ['https://editor.example/callback'],
    authMethod: 'none',
    secretDigest: null,
    applicationType: null,
    clientUri: null,
    ...change,
  };
}

/** Registers a client that is like no other. */
export async function addClient(store: Store, id: string): Promise<Client> {
  const answer = await store.clients.register(newClient({ id, name: `Editor ${id}` }), 100_000);
  if (answer.kind === 'full') throw new Error('there is no room for a client');
  return answer.client;
}

export function addAccount(store: Store, id = 1, login = 'anna'): Promise<Account> {
  return store.accounts.storeTokens(
    { id, login, isAdmin: false },
    {
      accessToken: new Secret(`upstream-access-${id}`),
      refreshToken: new Secret(`upstream-refresh-${id}`),
      accessExpiresAt: 1,
      refreshExpiresAt: 2,
    },
  );
}

export function newRequest(
  clock: FakeClock,
  change: Partial<NewAuthorizationRequest> = {},
): NewAuthorizationRequest {
  return {
    digest: digestOf('request-1'),
    clientId: 'client-1',
    redirectUri: 'https://editor.example/callback',
    codeChallenge: 'challenge',
    clientState: 'the-state-of-the-client',
    scope: 'forgejo:delete',
    resource: RESOURCE,
    browserDigest: digestOf('browser-1'),
    shownAccountId: null,
    expiresAt: clock.now() + 10 * MINUTE,
    ...change,
  };
}

/** Issues a code named `code` to an existing client and account. */
export function issueCode(
  { store, clock }: Pick<Opened, 'store' | 'clock'>,
  code: string,
  change: Partial<Pick<Grant, 'clientId' | 'accountId' | 'permission'>> = {},
): Promise<Grant> {
  return store.authorizationCodes.issue({
    codeDigest: digestOf(code),
    requestDigest: digestOf(`request of ${code}`),
    clientId: 'client-1',
    accountId: 1,
    redirectUri: 'https://editor.example/callback',
    codeChallenge: 'challenge',
    resource: RESOURCE,
    scope: 'forgejo:delete',
    permission: null,
    codeExpiresAt: clock.now() + MINUTE,
    ...change,
  });
}

/** An answer with an access token of an hour and a refresh token of ninety days. */
export function answerOf(clock: FakeClock, access: string, refresh: string): TokenAnswerRow {
  return {
    access: {
      digest: digestOf(access),
      expiresAt: clock.now() + HOUR,
      scope: 'forgejo:delete',
    },
    refresh: { digest: digestOf(refresh), expiresAt: clock.now() + 90 * DAY, keyId: null },
  };
}

/** Client, account, grant and the first answer: `access-1` and `refresh-1`. */
export async function signIn(opened: Opened, permission: string | null = null): Promise<Grant> {
  await addClient(opened.store, 'client-1');
  await addAccount(opened.store);
  const grant = await issueCode(opened, 'code-1', { permission });
  const answer = answerOf(opened.clock, 'access-1', 'refresh-1');
  await opened.store.authorizationCodes.redeem(digestOf('code-1'), answer);
  return grant;
}

/** A rotation from one named refresh token to another, with a named access token. */
export function rotation(
  clock: FakeClock,
  from: string,
  to: string,
  access: string,
  change: Partial<RotationRequest> = {},
): RotationRequest {
  const answer = answerOf(clock, access, to);
  return {
    predecessor: digestOf(from),
    clientId: 'client-1',
    successor: { ...answer.refresh, keyId: 'key-1' },
    access: answer.access,
    answersMax: 5,
    ...change,
  };
}

export function sessionOf(clock: FakeClock, grant: Grant, id = 'session-1') {
  const idDigest: Digest = digestOf(id);
  return {
    idDigest,
    accountId: grant.accountId,
    clientId: grant.clientId,
    grantId: grant.id,
    protocolVersion: '2025-11-25',
    handshake: '{"clientInfo":{"name":"editor"}}',
    createdAt: clock.now(),
    lastUsedAt: clock.now(),
    initialized: true,
    serverCapabilities: '{"tools":{}}',
    logLevel: 'warning',
    subscriptions: ['file:///notes'],
    permission: 'a name',
  };
}

/** Sessions that one person may have in the tests that are not about that limit. */
export const STORED_MAX = 100;

/** The error that a promise or a function ends with; fails the test when it does not. */
export async function failure(run: () => unknown): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
