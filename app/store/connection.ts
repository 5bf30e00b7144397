import { type Database, SQLiteError, type SQLQueryBindings, type Statement } from 'bun:sqlite';
import type { Clock } from '../base/clock.ts';
import { SealError } from '../base/keyring.ts';
import { StoreError } from './store-error.ts';

/** How late a write of another process may be seen; asking costs as much as a look-up. */
export const FOREIGN_WRITE_MS = 20;

/** The one way from the functions of the store to SQLite. */
export interface Connection {
  /** A statement for the life of the store; prepared once, finalized by `close`. */
  prepare<Row, Params extends SQLQueryBindings[]>(sql: string): Statement<Row, Params>;
  /**
   * Another number than before: something may have been written since, by this connection, or
   * longer than `FOREIGN_WRITE_MS` ago by another process (a broker that hands over).
   */
  readonly version: number;
  /** Runs statements that only read. Rejects with `StoreError`. */
  read<T>(run: () => T): Promise<T>;
  /** Runs statements as one transaction: all of it is kept, or nothing. Rejects with `StoreError`. */
  write<T>(run: () => T): Promise<T>;
  /** Moves what is in the log into the file and closes it; harmless the second time. */
  close(): void;
}

/** `failed` hears of every `StoreError` before the caller does. */
export function createConnection(
  database: Database,
  clock: Clock,
  failed: (error: StoreError) => void,
): Connection {
  const statements: { finalize(): void }[] = [];
  let closed = false;
  let version = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let seen: number | undefined;
  const prepare = <Row, Params extends SQLQueryBindings[]>(sql: string) => {
    // The declared type wraps a single parameter into a list; these are lists already.
    const statement = database.prepare<Row, Params>(sql) as Statement<Row, Params>;
    statements.push(statement);
    return statement;
  };
  // Changes with each commit of another connection, and with none of this one.
  const foreignWrites = prepare<{ readonly data_version: number }, []>('PRAGMA data_version');
  const begin = prepare<never, []>('BEGIN IMMEDIATE');
  const commit = prepare<never, []>('COMMIT');
  const rollback = prepare<never, []>('ROLLBACK');

  const guarded = <T>(run: () => T): T => {
    try {
      if (closed) throw new StoreError('broken', new Error('the store is closed'));
      return run();
    } catch (error) {
      const known = asStoreError(error);
      if (known instanceof StoreError) failed(known);
      throw known;
    }
  };
  const transaction = <T>(run: () => T): T => {
    version += 1;
    begin.run();
    try {
      const result = run();
      // Bun's own transaction() commits at the first await of an async body and never rolls back
      // (measured on 1.4.5, oven-sh/bun#24662); here such a body is a bug that shows at once.
      if (result instanceof Promise) throw new TypeError('a transaction is synchronous');
      commit.run();
      return result;
    } catch (error) {
      // After some errors, a full disk among them, SQLite has rolled back by itself.
      if (database.inTransaction) rollback.run();
      throw error;
    }
  };
  return {
    prepare,
    get version() {
      const now = clock.now();
      // Back, too: people set clocks.
      if (Math.abs(now - lookedAt) >= FOREIGN_WRITE_MS) {
        lookedAt = now;
        const found = foreignWrites.get()?.data_version;
        if (found !== seen) version += 1;
        seen = found;
      }
      return version;
    },
    read: async (run) => guarded(run),
    write: async (run) => guarded(() => transaction(run)),
    close() {
      if (closed) return;
      closed = true;
      // With a statement left, SQLite keeps the files open behind our back.
      for (const statement of statements) statement.finalize();
      database.close();
    },
  };
}

/** What SQLite and the keyring throw, in words of the store; a bug stays what it is. */
function asStoreError(error: unknown): unknown {
  if (error instanceof SealError) return new StoreError('broken', error);
  if (!(error instanceof SQLiteError)) return error;
  const code = error.code ?? '';
  if (code.startsWith('SQLITE_FULL')) return new StoreError('full', error);
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return new StoreError('busy', error);
  }
  // A broken rule of the schema is a bug of the caller, not a state of the disk.
  if (code.startsWith('SQLITE_CONSTRAINT')) {
    return new Error('the store was asked to break a rule of its own', { cause: error });
  }
  return new StoreError('broken', error);
}

/** The row of a statement that always returns one. */
export function present<T>(row: T | null | undefined): T {
  if (row === null || row === undefined) throw new Error('a statement returned no row');
  return row;
}
