import { Database, SQLiteError } from 'bun:sqlite';
import { copyFileSync, existsSync, linkSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Keyring } from '../base/keyring.ts';
import { stampOf } from './backup.ts';
import { isStore, makePrivateFile } from './database.ts';
import { opensKeyCheck } from './facts.ts';
import { lockStore } from './lock.ts';
import { MIGRATIONS, refuseNewer } from './migrations.ts';
import { ownLike } from './owner.ts';
import { StoreOpenError } from './store-error.ts';
import { publishFile, syncToDisk } from './whole-file.ts';

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
    const endedGrants = existsSync(storePath) ? endedGrantsOf(storePath) : [];
    const facts = prepare(made, endedGrants, options);
    ownLike(made, owner);
    const replaced = setAside(options);
    for (const suffix of ['-wal', '-shm']) rmSync(`${storePath}${suffix}`, { force: true });
    publishFile(made, storePath);
    return { ...facts, replaced };
  } catch (error) {
    throw asRestoreError(error, backupPath);
  } finally {
    for (const suffix of ['', '-wal', '-shm', '-journal'])
      rmSync(`${made}${suffix}`, { force: true });
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
  rmSync(made, { force: true });
  makePrivateFile(made);
  // Into the file that only we can read; the backup's own mode does not come with it.
  copyFileSync(backupPath, made);
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

/** Proves the copy and brings it up to what has ended since. */
function prepare(
  made: string,
  endedGrants: readonly EndedGrant[],
  options: RestoreOptions,
): Omit<Restored, 'replaced'> {
  const database = new Database(made, { readwrite: true, create: false, strict: true });
  try {
    prove(database, options);
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
  } finally {
    database.close();
  }
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

/** A second name for the store, so that it is at its place until the copy is. */
function setAside({ storePath, nowMs }: RestoreOptions): string | null {
  if (!existsSync(storePath)) return null;
  const replaced = `${storePath}.replaced-${stampOf(nowMs)}`;
  linkSync(storePath, replaced);
  // Only a store that is too damaged for a checkpoint still has rows in its log.
  if ((statSync(`${storePath}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0) {
    linkSync(`${storePath}-wal`, `${replaced}-wal`);
  }
  syncToDisk(dirname(storePath));
  return replaced;
}

function asRestoreError(error: unknown, backupPath: string): unknown {
  if (error instanceof StoreOpenError || !(error instanceof Error)) return error;
  const isSystem = error instanceof SQLiteError || 'code' in error;
  return isSystem
    ? unusable(`The backup ${backupPath} was not restored: ${error.message}.`, error)
    : error;
}

function unusable(message: string, cause?: unknown): StoreOpenError {
  return new StoreOpenError('unusable', message, cause);
}
