import { Database } from 'bun:sqlite';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { isStore, makePrivateFile } from './database.ts';
import { ownLike } from './owner.ts';
import { asUnusable, unusable } from './store-error.ts';
import { publishFile, removeFile } from './whole-file.ts';

/** Longest wait for a lock of the broker; its transactions take milliseconds. */
const BUSY_TIMEOUT_MS = 5_000;
/** A copy that was broken off is taken away after this; a younger one may still be in the making. */
const ABANDONED_AFTER_MS = 24 * 3_600_000;

const PARTIAL = '.partial';

export interface BackupOptions {
  readonly storePath: string;
  /** Made (0700) when it is missing. */
  readonly directory: string;
  /** How many backups stay, with this one: at least 1. */
  readonly keep: number;
  readonly nowMs: number;
}

export interface Backup {
  readonly path: string;
  readonly bytes: number;
  /** Older ones that were deleted. */
  readonly deleted: readonly string[];
}

/**
 * Copies the store, whether a broker runs on it or not, as it is at one moment: `VACUUM INTO` holds
 * up no writer. The copy is checked before it gets its name, and older ones go only then. Throws
 * `StoreOpenError` with a sentence for the admin.
 */
export function backUp(options: BackupOptions): Backup {
  const { storePath, directory, nowMs } = options;
  const path = join(directory, `${stemOf(storePath)}-${stampOf(nowMs)}${extname(storePath)}`);
  const partial = `${path}${PARTIAL}`;
  try {
    if (!existsSync(storePath)) throw unusable(`There is no store ${storePath}.`);
    if (mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined) {
      ownLike(directory, storePath);
    }
    makePrivateFile(partial);
    copyTo(storePath, partial);
    check(partial);
    ownLike(partial, storePath);
    publishFile(partial, path);
  } catch (error) {
    removeFile(partial);
    throw asUnusable(error, `The store ${storePath} was not copied`);
  }
  return { path, bytes: statSync(path).size, deleted: thinOut(options) };
}

/** The backups of a store in a directory, oldest first. */
export function listBackups(storePath: string, directory: string): readonly string[] {
  if (!existsSync(directory)) return [];
  const stem = `${stemOf(storePath)}-`;
  const isBackup = (name: string) =>
    name.startsWith(stem) &&
    name.endsWith(extname(storePath)) &&
    STAMP.test(name.slice(stem.length, name.length - extname(storePath).length));
  return readdirSync(directory)
    .filter(isBackup)
    .sort()
    .map((name) => join(directory, name));
}

/** Where the backups of a store are when nothing else is said. */
export function backupDirectoryOf(storePath: string): string {
  return join(dirname(storePath), 'backups');
}

/** A moment in a file's name; names sort as the moments do: `20261121T143801.123Z`. */
export function stampOf(nowMs: number): string {
  return new Date(nowMs).toISOString().replaceAll(/[-:]/g, '');
}

const STAMP = /^\d{8}T\d{6}\.\d{3}Z$/;

function stemOf(storePath: string): string {
  return basename(storePath, extname(storePath));
}

/** The file must be empty: SQLite writes into no other, and so it has its mode from the start. */
function copyTo(storePath: string, partial: string): void {
  const database = new Database(storePath, { readonly: true, strict: true });
  try {
    database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    if (!isStore(database)) throw unusable(`${storePath} is the database of another program.`);
    using copy = database.prepare<never, [string]>('VACUUM INTO ?');
    copy.run(partial);
  } finally {
    database.close();
  }
}

function check(partial: string): void {
  const database = new Database(partial, { readonly: true, strict: true });
  try {
    using all = database.prepare<{ readonly quick_check: string }, []>('PRAGMA quick_check(1)');
    const found = all.get()?.quick_check;
    if (found !== 'ok') throw unusable(`The store is damaged: ${found}. The copy was not kept.`);
  } finally {
    database.close();
  }
}

function thinOut({ storePath, directory, keep, nowMs }: BackupOptions): string[] {
  const deleted = listBackups(storePath, directory).slice(0, -keep);
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const isPartial = name.startsWith(`${stemOf(storePath)}-`) && name.endsWith(PARTIAL);
    if (isPartial && nowMs - statSync(path).mtimeMs > ABANDONED_AFTER_MS) rmSync(path);
  }
  for (const path of deleted) rmSync(path);
  return deleted;
}
