import { Database, SQLiteError } from 'bun:sqlite';
import { existsSync, statSync } from 'node:fs';
import type { Keyring } from '../base/keyring.ts';
import { isStore } from './database.ts';
import { opensKeyCheck } from './facts.ts';
import { MIGRATIONS } from './migrations.ts';

/** What can be seen of a store from beside it, whether a broker runs on it or not. */
export type StoreLook =
  | { readonly kind: 'missing' }
  /** It cannot be read, or it is something else; `reason` is a part of a sentence. */
  | { readonly kind: 'unreadable'; readonly reason: string }
  | {
      readonly kind: 'store';
      readonly forgeOrigin: string;
      readonly bytes: number;
      /** The permission bits. */
      readonly mode: number;
      /** Steps of the schema that this program knows and the store has not seen. */
      readonly migrationsMissing: number;
      /** Whether the given keys open what is sealed in it. */
      readonly keyOpens: boolean;
      /** What SQLite says against its structure; undefined: nothing. */
      readonly damage: string | undefined;
    };

/** Looks at a store and changes nothing. */
export function inspectStore(path: string, keyring: Keyring): StoreLook {
  if (!existsSync(path)) return { kind: 'missing' };
  try {
    const database = new Database(path, { readonly: true, strict: true });
    try {
      if (!isStore(database)) return { kind: 'unreadable', reason: 'it is no store of a broker' };
      const { size: bytes, mode } = statSync(path);
      return { kind: 'store', bytes, mode: mode & 0o777, ...factsOf(database, keyring) };
    } finally {
      database.close();
    }
  } catch (error) {
    if (error instanceof SQLiteError) return { kind: 'unreadable', reason: error.message };
    throw error;
  }
}

function factsOf(database: Database, keyring: Keyring) {
  using facts = database.prepare<{ origin: string; number: number }, []>(
    `SELECT (SELECT value FROM meta WHERE name = 'forge_origin') AS origin,
       (SELECT user_version FROM pragma_user_version) AS number`,
  );
  const { origin = '', number = 0 } = facts.get() ?? {};
  using structure = database.prepare<{ quick_check: string }, []>('PRAGMA quick_check(1)');
  const check = structure.get()?.quick_check;
  return {
    forgeOrigin: origin,
    migrationsMissing: Math.max(0, MIGRATIONS.length - number),
    keyOpens: opensKeyCheck(database, origin, keyring),
    damage: check === 'ok' ? undefined : check,
  };
}
