import type { Database } from 'bun:sqlite';
import first from './migrations/0001-first.sql' with { type: 'text' };
import sessionState from './migrations/0002-session-state.sql' with { type: 'text' };
import permissions from './migrations/0003-permissions.sql' with { type: 'text' };
import sessionPermission from './migrations/0004-session-permission.sql' with { type: 'text' };
import { StoreOpenError } from './store-error.ts';

/** One step of the schema. It is additive: the release before can work with what it leaves. */
export interface Migration {
  /** Counts from 1 without a gap. */
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

/** Every step there ever was, in order; a released one is never edited. */
export const MIGRATIONS: readonly Migration[] = [
  { number: 1, name: '0001-first', sql: first },
  { number: 2, name: '0002-session-state', sql: sessionState },
  { number: 3, name: '0003-permissions', sql: permissions },
  { number: 4, name: '0004-session-permission', sql: sessionPermission },
];

/**
 * Brings the schema up to the last of `migrations`, each in a transaction of its own. A store that
 * a later release has migrated is left as it is, so that an upgrade is taken back by switching the
 * program; it is refused (`newer`) only when that release has written that it cannot be shared.
 * `onStep` hears of each before it begins. Returns the names of what was applied.
 */
export function migrate(
  database: Database,
  migrations: readonly Migration[],
  onStep: (name: string) => void = () => undefined,
): readonly string[] {
  refuseNewer(database, migrations);
  const found = schemaNumber(database);
  const missing = migrations.filter((migration) => migration.number > found);
  for (const migration of missing) {
    onStep(migration.name);
    apply(database, migration);
  }
  return missing.map((migration) => migration.name);
}

/** Throws `newer` for a store that a later release has made unreadable for this one. */
export function refuseNewer(database: Database, migrations: readonly Migration[]): void {
  const known = migrations.length;
  if (schemaNumber(database) > known && oldestReader(database) > known) {
    throw new StoreOpenError(
      'newer',
      'The store was changed by a later release in a way that this one cannot follow: ' +
        'start that release again, or go back to a backup made before it.',
    );
  }
}

function apply(database: Database, migration: Migration): void {
  database.run('BEGIN IMMEDIATE');
  try {
    database.run(migration.sql);
    // The number is part of the transaction: a step is there with its number, or not at all.
    database.run(`PRAGMA user_version = ${migration.number}`);
    database.run('COMMIT');
  } catch (error) {
    if (database.inTransaction) database.run('ROLLBACK');
    throw error;
  }
}

function schemaNumber(database: Database): number {
  using find = database.prepare<{ user_version: number }, []>('PRAGMA user_version');
  return find.get()?.user_version ?? 0;
}

function oldestReader(database: Database): number {
  using find = database.prepare<{ value: number }, []>(
    "SELECT value FROM meta WHERE name = 'oldest_reader'",
  );
  return find.get()?.value ?? 0;
}
