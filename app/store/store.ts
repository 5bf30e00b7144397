import type { Database } from 'bun:sqlite';
import type { Clock } from '../base/clock.ts';
import type { Keyring } from '../base/keyring.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { type Accounts, createAccounts } from './accounts.ts';
import { type AuthorizationCodes, createAuthorizationCodes } from './authorization-codes.ts';
import {
  type AuthorizationRequests,
  createAuthorizationRequests,
} from './authorization-requests.ts';
import { type BrowserSessions, createBrowserSessions } from './browser-sessions.ts';
import { type Clients, createClients } from './clients.ts';
import { createConnection } from './connection.ts';
import { makeDirectory, makePrivateFile, openDatabase } from './database.ts';
import { claimStore, createProbe, createQuestion } from './facts.ts';
import { createGrants, type Grants } from './grants.ts';
import { createLastUse } from './last-use.ts';
import { createListings, type Listings } from './listings.ts';
import { lockStore, type StoreLock } from './lock.ts';
import { MIGRATIONS, migrate } from './migrations.ts';
import { createPruner, type Retention } from './prune.ts';
import { createSealedValues, type SealedValues } from './sealed.ts';
import { createSessions, type Sessions } from './sessions.ts';
import type { StoreContext } from './store-context.ts';
import { StoreOpenError, unusable } from './store-error.ts';
import { createTokens, type Tokens } from './tokens.ts';

/**
 * Everything that outlives a request. Functions return promises and take no SQL, so that another
 * engine can stand behind them. Times are milliseconds since the epoch; a thing whose expiry is now
 * has expired. They reject with `StoreError` when the disk or the file fails.
 */
export interface Store {
  readonly clients: Clients;
  readonly accounts: Accounts;
  readonly browserSessions: BrowserSessions;
  readonly authorizationRequests: AuthorizationRequests;
  readonly authorizationCodes: AuthorizationCodes;
  readonly grants: Grants;
  readonly tokens: Tokens;
  readonly sessions: Sessions;
  readonly listings: Listings;
  readonly sealed: Pick<SealedValues, 'reseal' | 'successorsOfEarlierKeys'>;
  /** Deletes what has expired, a bounded number of rows at a time; returns rows per table. */
  prune(): Promise<Readonly<Record<string, number>>>;
  /** Writes and reads back a few pages now; false when the disk is full or the file broken. */
  writable(): Promise<boolean>;
  /** Whether the file can be read at this moment. */
  answers(): Promise<boolean>;
  /**
   * Makes this process the one broker of the store; throws `StoreOpenError` while another is. A
   * store that was opened with `lock: 'later'` has two brokers until then.
   */
  takeLock(): void;
  /** Lets a successor take it; what this process still has to write for its open requests it may. */
  releaseLock(): void;
  /** Writes the gathered last uses, closes the files and releases the lock. May be called twice. */
  close(): Promise<void>;
}

export interface StoreOptions {
  /** The database file, made when it is missing; ':memory:' (no lock, nothing kept) for tests. */
  readonly path: string;
  /** The forge whose users are kept; a store made for another one is refused. */
  readonly forgeOrigin: string;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly retention: Retention;
  /** `later`: by a successor, beside the broker that has the lock and hands it over. */
  readonly lock?: 'now' | 'later';
  /** Called before each step of a migration. */
  readonly onMigration?: (name: string) => void;
  /** Pages of 4 KiB at which the store counts as full; absent: what the disk holds. */
  readonly pagesMax?: number;
}

/**
 * Opens the store: takes the lock, migrates, and checks that it belongs to this forge and key.
 * Throws `StoreOpenError` with a sentence for the admin.
 */
export function openStore(options: StoreOptions): Store {
  const { path } = options;
  let lock: StoreLock | undefined;
  let database: Database | undefined;
  try {
    if (path !== ':memory:') {
      makeDirectory(path);
      if (options.lock !== 'later') lock = lockStore(path);
      makePrivateFile(path);
    }
    database = openDatabase(path, options.pagesMax);
    const applied = migrate(database, MIGRATIONS, options.onMigration);
    if (applied.length > 0) options.log.info('store.migrated', { applied });
    claimStore(database, options.forgeOrigin, options.keyring);
    return createStore(database, lock, options);
  } catch (error) {
    database?.close();
    lock?.release();
    throw asOpenError(error, path);
  }
}

function createStore(
  database: Database,
  firstLock: StoreLock | undefined,
  options: StoreOptions,
): Store {
  let lock = firstLock;
  const { keyring, clock, log, metrics, forgeOrigin } = options;
  const connection = createConnection(database, clock, (error) => {
    metrics.storeFailures.inc({ kind: error.kind });
    log.error('store.failed', { kind: error.kind, err: error });
  });
  const lastUse = createLastUse(connection, clock);
  const context: StoreContext = {
    connection,
    clock,
    keyring,
    metrics,
    lastUse,
    place: (subject, column) => ({ forgeOrigin, subject, column }),
  };
  const pruner = createPruner(context, options.retention);
  const sealed = createSealedValues(context);
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    lastUse.stop();
    await pruner.stop();
    await sealed.stop();
    // What is lost here is a time of last use; the failure itself is already in the log.
    await lastUse.flush().catch(() => undefined);
    try {
      connection.close();
    } finally {
      lock?.release();
    }
  };
  return {
    takeLock() {
      if (options.path !== ':memory:') lock ??= lockStore(options.path);
    },
    releaseLock() {
      lock?.release();
      lock = undefined;
    },
    clients: createClients(context),
    accounts: createAccounts(context),
    browserSessions: createBrowserSessions(context),
    authorizationRequests: createAuthorizationRequests(context),
    authorizationCodes: createAuthorizationCodes(context),
    grants: createGrants(context),
    tokens: createTokens(context),
    sessions: createSessions(context),
    listings: createListings(context),
    sealed,
    prune: () => pruner.prune(),
    writable: createProbe(connection),
    answers: createQuestion(connection),
    close() {
      closing ??= close();
      return closing;
    },
  };
}

function asOpenError(error: unknown, path: string): unknown {
  if (error instanceof StoreOpenError || !(error instanceof Error)) return error;
  return unusable(`The store ${path} cannot be opened: ${error.message}.`, error);
}
