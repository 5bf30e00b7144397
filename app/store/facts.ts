import type { Database } from 'bun:sqlite';
import { type Keyring, SealError, type SealPlace } from '../base/keyring.ts';
import { Secret } from '../base/secret.ts';
import type { Connection } from './connection.ts';
import { StoreError, StoreOpenError, unusable } from './store-error.ts';

const KEY_CHECK = 'fjmcp-broker store';
/** More than a page, so that a store without a free page fails the probe. */
const PROBE_BYTES = 16 * 1024;

/**
 * Writes down in a new store whose it is, and compares that in an old one. Tokens of another forge
 * would be sent to this one; with another key each sign-in of the past would fail one by one.
 */
export function claimStore(database: Database, forgeOrigin: string, keyring: Keyring): void {
  const place = keyCheckPlace(forgeOrigin);
  using put = database.prepare<never, [string, string | Uint8Array]>(
    'INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING',
  );
  using get = database.prepare<{ value: string | Uint8Array }, [string]>(
    'SELECT value FROM meta WHERE name = ?',
  );
  put.run('forge_origin', forgeOrigin);
  const stored = get.get('forge_origin')?.value;
  if (stored !== forgeOrigin) {
    throw new StoreOpenError(
      'other_forge',
      `The store belongs to the forge ${stored}, not to ${forgeOrigin}: ` +
        'give this forge a store of its own.',
    );
  }
  put.run('key_check', keyring.seal(new Secret(KEY_CHECK), place));
  if (!opensKeyCheck(database, forgeOrigin, keyring)) {
    throw unusable(
      'The store was sealed with another key: give the broker the store key it was made with.',
    );
  }
}

/** Whether the keyring opens what the store at `forgeOrigin` was sealed with. */
export function opensKeyCheck(database: Database, forgeOrigin: string, keyring: Keyring): boolean {
  using get = database.prepare<{ value: string | Uint8Array }, []>(
    "SELECT value FROM meta WHERE name = 'key_check'",
  );
  const sealed = get.get()?.value;
  return sealed instanceof Uint8Array && opens(keyring, sealed, keyCheckPlace(forgeOrigin));
}

function keyCheckPlace(forgeOrigin: string): SealPlace {
  return { forgeOrigin, subject: 'store', column: 'meta.key_check' };
}

function opens(keyring: Keyring, sealed: Uint8Array, place: SealPlace): boolean {
  try {
    return keyring.open(sealed, place).reveal() === KEY_CHECK;
  } catch (error) {
    if (error instanceof SealError) return false;
    throw error;
  }
}

/** Writes a few pages, reads them back and takes them away again; false when any of it fails. */
export function createProbe(connection: Connection): () => Promise<boolean> {
  const put = connection.prepare<never, [string]>(
    "INSERT OR REPLACE INTO meta (name, value) VALUES ('probe', ?)",
  );
  const get = connection.prepare<{ value: string }, []>(
    "SELECT value FROM meta WHERE name = 'probe'",
  );
  const remove = connection.prepare<never, []>("DELETE FROM meta WHERE name = 'probe'");
  const value = '.'.repeat(PROBE_BYTES);
  return async () => {
    try {
      await connection.write(() => put.run(value));
      const found = await connection.read(() => get.get()?.value);
      await connection.write(() => remove.run());
      return found === value;
    } catch (error) {
      if (error instanceof StoreError) return false;
      throw error;
    }
  };
}

/** Reads one row; false when that fails. */
export function createQuestion(connection: Connection): () => Promise<boolean> {
  const get = connection.prepare<{ value: string }, []>(
    "SELECT value FROM meta WHERE name = 'forge_origin'",
  );
  return async () => {
    try {
      return (await connection.read(() => get.get())) !== null;
    } catch (error) {
      if (error instanceof StoreError) return false;
      throw error;
    }
  };
}
