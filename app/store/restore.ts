import { Database, SQLiteError } from 'bun:sqlite';
import { existsSync, linkSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Keyring } from '../base/keyring.ts';
import { stampOf } from './backup.ts';
import { isStore } from './database.ts';
import { opensKeyCheck } from './facts.ts';
import { lockStore } from './lock.ts';
import { MIGRATIONS, refuseNewer } from './migrations.ts';
import { ownLike } from './owner.ts';
import { asUnusable, StoreOpenError, unusable } from './store-error.ts';
import { copyPrivately, publishFile, removeFile, syncToDisk } from './whole-file.ts';

export interface RestoreOptions {
  readonly storePath: string;
  readonly backupPath: string;
  /** The forge that the broker is configured for; undefined: it is not looked at. */
  readonly forgeOrigin: string | undefined;
  /** The keys that the broker is configured with; undefined: they are not looked at. */
  readonly keyring: Keyring | undefined;
  readonly nowMs: number;
}

export interface Restored {
  readonly accounts: number;
  /** Those that have not ended. */
  readonly grants: number;
  readonly sessions: number;
  /** Grants that had ended since the backup; they stay ended. */
  readonly endedSince: number;
  /** Where the store is that was there before; null when there was none. */
  readonly replaced: string | null;
}

/**
 * Puts a backup in the place of a store that no broker runs on. Everything is proven on a copy;
 * then the store before is set aside and the copy takes its name. What was revoked since the backup
 * stays revoked, as far as the store before can tell. Throws `StoreOpenError`.
 */
export function restoreStore(options: RestoreOptions): Restored {
  const { storePath, backupPath } = options;
  const made = `${storePath}.restoring`;
  const directory = dirname(storePath);
  if (!existsSync(directory)) throw unusable(`There is no directory ${directory}.`);
  const owner = existsSync(storePath) ? storePath : directory;
  const lock = lockStore(storePath);
  try {
    ownLike(`${storePath}.lock`, owner);
    copyBackup(backupPath, made);
    within(made, (database) => prove(database, options));
    const replaced = setAside(options);
    try {
      const ended = replaced === null ? [] : endedGrantsOf(storePath);
      const facts = within(made, (database) => bringUp(database, ended));
      ownLike(made, owner);
      for (const suffix of ['-wal', '-shm']) removeFile(`${storePath}${suffix}`);
      publishFile(made, storePath);
      // Its rows are in the file by now, unless the store was too damaged for that.
      removeEmptyLog(replaced);
      return { ...facts, replaced };
    } catch (error) {
      for (const suffix of ['', '-wal']) removeFile(`${replaced}${suffix}`);
      throw error;
    }
  } catch (error) {
    throw asUnusable(error, `The backup ${backupPath} was not restored`);
  } finally {
    for (const suffix of ['', '-wal', '-shm', '-journal']) removeFile(`${made}${suffix}`);
    lock.release();
  }
}

function copyBackup(backupPath: string, made: string): void {
  if (!existsSync(backupPath)) throw unusable(`There is no backup ${backupPath}.`);
  const log = statSync(`${backupPath}-wal`, { throwIfNoEntry: false });
  if (log !== undefined && log.size > 0) {
    throw unusable(
      `${backupPath} is the file of a store that was open when it was copied: ` +
        'the newest rows are in the -wal beside it. Restore what the command backup has made.',
    );
  }
  removeFile(made);
  copyPrivately(backupPath, made);
}

interface EndedGrant {
  readonly id: string;
  readonly endedAt: number;
  readonly reason: string | null;
}

/** What was ended by now; none when the store before is too damaged to tell. */
function endedGrantsOf(storePath: string): readonly EndedGrant[] {
  try {
    const database = new Database(storePath, { readwrite: true, create: false, strict: true });
    try {
      if (!isStore(database)) throw unusable(`${storePath} is the database of another program.`);
      using find = database.prepare<EndedGrant, []>(
        `SELECT id, ended_at AS endedAt, end_reason AS reason FROM grants
         WHERE ended_at IS NOT NULL`,
      );
      const ended = find.all();
      // So that nothing is left in the log when that goes.
      database.run('PRAGMA wal_checkpoint(TRUNCATE)');
      return ended;
    } finally {
      database.close();
    }
  } catch (error) {
    if (error instanceof SQLiteError) return [];
    throw error;
  }
}

function within<T>(made: string, run: (database: Database) => T): T {
  const database = new Database(made, { readwrite: true, create: false, strict: true });
  try {
    return run(database);
  } finally {
    database.close();
  }
}

/** Ends in the copy what has ended since. */
function bringUp(
  database: Database,
  endedGrants: readonly EndedGrant[],
): Omit<Restored, 'replaced'> {
  using end = database.prepare<never, [number, string | null, string]>(
    'UPDATE grants SET ended_at = ?, end_reason = ? WHERE id = ? AND ended_at IS NULL',
  );
  let endedSince = 0;
  database.run('BEGIN IMMEDIATE');
  for (const { id, endedAt, reason } of endedGrants) {
    endedSince += end.run(endedAt, reason, id).changes;
  }
  database.run('COMMIT');
  return { ...counted(database), endedSince };
}

function prove(database: Database, { backupPath, forgeOrigin, keyring }: RestoreOptions): void {
  if (!isStore(database)) throw unusable(`${backupPath} is no backup of a store.`);
  using check = database.prepare<{ readonly integrity_check: string }, []>(
    'PRAGMA integrity_check(1)',
  );
  const found = check.get()?.integrity_check;
  if (found !== 'ok') throw unusable(`The backup ${backupPath} is damaged: ${found}.`);
  refuseNewer(database, MIGRATIONS);
  using meta = database.prepare<{ readonly value: string }, []>(
    "SELECT value FROM meta WHERE name = 'forge_origin'",
  );
  const origin = meta.get()?.value;
  if (origin === undefined) throw unusable(`${backupPath} is no backup of a store.`);
  if (forgeOrigin !== undefined && origin !== forgeOrigin) {
    throw new StoreOpenError(
      'other_forge',
      `The backup belongs to the forge ${origin}, not to ${forgeOrigin}.`,
    );
  }
  if (keyring !== undefined && !opensKeyCheck(database, origin, keyring)) {
    throw unusable(
      'The backup was sealed with another key: give the broker the key of that time as ' +
        'STORE_PREVIOUS_KEY_FILE (or the credential store-previous-key), then restore it.',
    );
  }
}

function counted(database: Database) {
  using count = database.prepare<Omit<Restored, 'replaced' | 'endedSince'>, []>(
    `SELECT (SELECT count(*) FROM accounts) AS accounts,
       (SELECT count(*) FROM grants WHERE ended_at IS NULL) AS grants,
       (SELECT count(*) FROM sessions) AS sessions`,
  );
  return count.get() ?? { accounts: 0, grants: 0, sessions: 0 };
}

/**
 * A second name for the store and its log, so that it is at its place until the copy is. Before
 * anything opens it: SQLite throws the log of a damaged store away (measured).
 */
function setAside({ storePath, nowMs }: RestoreOptions): string | null {
  if (!existsSync(storePath)) return null;
  const replaced = `${storePath}.replaced-${stampOf(nowMs)}`;
  linkSync(storePath, replaced);
  if (existsSync(`${storePath}-wal`)) linkSync(`${storePath}-wal`, `${replaced}-wal`);
  syncToDisk(dirname(storePath));
  return replaced;
}

function removeEmptyLog(replaced: string | null): void {
  const log = `${replaced}-wal`;
  if (statSync(log, { throwIfNoEntry: false })?.size === 0) removeFile(log);
}
