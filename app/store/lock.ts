import { Database, SQLiteError } from 'bun:sqlite';
import { makePrivateFile } from './database.ts';
import { StoreOpenError } from './store-error.ts';

/** The hold of this process on a store. */
export interface StoreLock {
  release(): void;
}

/**
 * Makes this process the only broker of the store at `path`, or throws `locked`. The lock is an
 * open exclusive transaction in a second file: the system ends it with the process, however that
 * dies, and the store itself stays readable for a backup by another process.
 */
export function lockStore(path: string): StoreLock {
  const lockPath = `${path}.lock`;
  makePrivateFile(lockPath);
  const database = new Database(lockPath, { readwrite: true, create: false });
  try {
    // Nothing is ever written, so a journal would only be one more file to explain.
    database.run('PRAGMA journal_mode = MEMORY');
    database.run('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (error instanceof SQLiteError && error.code?.startsWith('SQLITE_BUSY')) {
      throw new StoreOpenError(
        'locked',
        `Another broker runs on the store ${path}: stop it first, or give this one its own store.`,
      );
    }
    throw error;
  }
  return { release: () => database.close() };
}
