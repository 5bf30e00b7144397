import type { Clock } from '../base/clock.ts';
import type { Keyring } from '../base/keyring.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Accounts } from './accounts.ts';
import type { AuthorizationCodes } from './authorization-codes.ts';
import type { AuthorizationRequests } from './authorization-requests.ts';
import type { BrowserSessions } from './browser-sessions.ts';
import type { Clients } from './clients.ts';
import type { Grants } from './grants.ts';
import type { Sessions } from './sessions.ts';
import { StoreOpenError } from './store-error.ts';
import type { Tokens } from './tokens.ts';

/**
 * Everything that outlives a request. Functions return promises and take no SQL, so that another
 * engine can stand behind them. Times are milliseconds since the epoch; a thing whose expiry is now
 * has expired. They throw `StoreError` when the disk or the file fails.
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
  /** Deletes what has expired, a bounded number of rows at a time; returns rows per table. */
  prune(): Promise<Readonly<Record<string, number>>>;
  /** Writes and reads back a few pages now; false when the disk is full or the file broken. */
  writable(): Promise<boolean>;
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
  /** Pages of 4 KiB at which the store counts as full; absent: what the disk holds. */
  readonly pagesMax?: number;
}

/** How long what is not used any more is kept. */
export interface Retention {
  /** A dynamic registration without a grant, after it was last used or made. */
  readonly unusedClientMs: number;
  /** An ended grant, after its end. */
  readonly tombstoneMs: number;
}

/**
 * Opens the store: takes the lock, migrates, and checks that it belongs to this forge and key.
 * Throws `StoreOpenError` with a sentence for the admin.
 */
export function openStore(options: StoreOptions): Store {
  throw new StoreOpenError('unusable', `The store ${options.path} cannot be opened.`);
}
