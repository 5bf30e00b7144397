import { Database } from 'bun:sqlite';
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { unusable } from './store-error.ts';

/** Written by the first migration; 'fjmc'. */
const APPLICATION_ID = 0x666a6d63;
/** SQLite waits inside the call, so nothing else runs meanwhile (measured): keep it short. */
const BUSY_TIMEOUT_MS = 250;
/**
 * Pages kept in memory, in KiB; filled as they are needed. With SQLite's own 2 MiB the tokens of 500
 * busy sessions among 100,000 rows were read from the file again for every call.
 */
const CACHE_KIB = 16 * 1024;

/** The write-ahead log shrinks to this after a checkpoint that followed a large transaction. */
const LOG_SIZE_BYTES = 16 * 1024 * 1024;

/** Makes the directory (0700) of a store that is new. */
export function makeDirectory(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
}

/**
 * Makes an empty file that only its owner can read, unless there is one. An existing file must not
 * be opened here: closing any descriptor of a file drops every lock that this process holds on it
 * (fcntl(2), advisory record locking), SQLite's too (measured).
 */
export function makePrivateFile(path: string): void {
  if (existsSync(path)) return;
  closeSync(openSync(path, 'wx', 0o600));
}

/**
 * Opens the database file and sets it up; it must exist already, except for ':memory:'.
 * Throws when the file is another program's database, before anything of it was changed.
 */
export function openDatabase(path: string, pagesMax: number | undefined): Database {
  const database = new Database(path, {
    readwrite: true,
    create: path === ':memory:',
    strict: true,
  });
  try {
    refuseForeign(database, path);
    if (path !== ':memory:') keepPrivate(path);
    database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    database.run('PRAGMA journal_mode = WAL');
    // A rotated token that is lost in a power cut is a lost grant; it costs 0.2 ms a commit.
    database.run('PRAGMA synchronous = FULL');
    database.run('PRAGMA foreign_keys = ON');
    database.run('PRAGMA trusted_schema = OFF');
    database.run('PRAGMA temp_store = MEMORY');
    database.run(`PRAGMA cache_size = -${CACHE_KIB}`);
    database.run(`PRAGMA journal_size_limit = ${LOG_SIZE_BYTES}`);
    if (pagesMax !== undefined) database.run(`PRAGMA max_page_count = ${pagesMax}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** A path that points at Forgejo's own database would otherwise be migrated. */
function refuseForeign(database: Database, path: string): void {
  if (isStore(database)) return;
  using tables = database.prepare<{ count: number }, []>(
    'SELECT count(*) AS count FROM sqlite_schema',
  );
  if (tables.get()?.count === 0) return;
  throw unusable(`${path} is the database of another program.`);
}

/** Whether a database is a store that was migrated at least once. */
export function isStore(database: Database): boolean {
  using id = database.prepare<{ id: number }, []>(
    'SELECT application_id AS id FROM pragma_application_id',
  );
  return id.get()?.id === APPLICATION_ID;
}

function keepPrivate(path: string): void {
  if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
}
