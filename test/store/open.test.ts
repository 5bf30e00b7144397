import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKeyring, STORE_KEY_BYTES } from '../../app/base/keyring.ts';
import { systemRandom } from '../../app/base/secret.ts';
import { openDatabase } from '../../app/store/database.ts';
import { StoreError, StoreOpenError } from '../../app/store/store-error.ts';
import { addAccount, addClient, Directory, FORGE, failure, keyringOf, open } from './harness.ts';

let directory: Directory;

beforeEach(() => {
  directory = new Directory();
});

afterEach(() => {
  directory.remove();
});

const modeOf = (path: string) => statSync(path).mode & 0o777;

/** Why the store does not open. */
async function refusal(options: Parameters<typeof open>[0]): Promise<StoreOpenError> {
  const error = await failure(() => open(options));
  if (!(error instanceof StoreOpenError)) throw error;
  return error;
}

describe('opening a store', () => {
  it('refuses the database of another program and leaves it as it is', async () => {
    const other = new Database(directory.store);
    other.run('CREATE TABLE user (id INTEGER PRIMARY KEY)');
    other.close();
    chmodSync(directory.store, 0o644);
    const before = directory.bytes();

    const { kind, message } = await refusal({ path: directory.store });

    expect(kind).toBe('unusable');
    expect(message).toBe(`${directory.store} is the database of another program.`);
    expect(directory.bytes()).toEqual(before);
    expect(modeOf(directory.store)).toBe(0o644);
  });

  it('refuses a file that is no database', async () => {
    writeFileSync(directory.store, 'a letter, not a database. '.repeat(100));
    const { kind, message } = await refusal({ path: directory.store });
    expect(kind).toBe('unusable');
    expect(message).toContain(directory.store);
  });

  it('refuses a path whose directory cannot be made', async () => {
    writeFileSync(join(directory.path, 'file'), '');
    const { kind, message } = await refusal({ path: join(directory.path, 'file', 'store.db') });
    expect(kind).toBe('unusable');
    expect(message).toContain(join(directory.path, 'file', 'store.db'));
  });

  it('refuses a path that is a directory', async () => {
    mkdirSync(directory.store);
    expect((await refusal({ path: directory.store })).kind).toBe('unusable');
  });

  it('refuses the store of another forge and names both', async () => {
    await open({ path: directory.store }).store.close();
    const { kind, message } = await refusal({
      path: directory.store,
      forgeOrigin: 'https://other.example',
    });
    expect(kind).toBe('other_forge');
    expect(message).toContain(FORGE);
    expect(message).toContain('https://other.example');
  });

  it('refuses a store that was sealed with another key', async () => {
    await open({ path: directory.store }).store.close();
    const { kind, message } = await refusal({ path: directory.store, keyring: keyringOf(8) });
    expect(kind).toBe('unusable');
    expect(message).toContain('another key');
  });

  it('can be opened by the right owner after each refusal', async () => {
    await open({ path: directory.store }).store.close();
    await refusal({ path: directory.store, keyring: keyringOf(8) });
    await refusal({ path: directory.store, forgeOrigin: 'https://other.example' });
    await open({ path: directory.store }).store.close();
  });

  it('reads a store of the previous key', async () => {
    await open({ path: directory.store }).store.close();
    const keyring = createKeyring({
      current: new Uint8Array(STORE_KEY_BYTES).fill(8),
      previous: new Uint8Array(STORE_KEY_BYTES).fill(7),
      random: systemRandom,
    });
    await open({ path: directory.store, keyring }).store.close();
  });

  it('makes the directory 0700 and every file 0600, whatever the umask', async () => {
    const umask = process.umask(0);
    const path = join(directory.path, 'var', 'lib', 'store.db');
    try {
      const { store } = open({ path });
      await addClient(store, 'client-1');
      expect(modeOf(join(directory.path, 'var', 'lib'))).toBe(0o700);
      const files = ['', '-wal', '-shm', '.lock'].map((ending) => `${path}${ending}`);
      expect(files.map(modeOf)).toEqual([0o600, 0o600, 0o600, 0o600]);
      await store.close();
    } finally {
      process.umask(umask);
    }
  });

  it('takes the rights of others away from an existing store', async () => {
    await open({ path: directory.store }).store.close();
    chmodSync(directory.store, 0o644);
    await open({ path: directory.store }).store.close();
    expect(modeOf(directory.store)).toBe(0o600);
  });

  it('keeps what it was given over a restart', async () => {
    const first = open({ path: directory.store });
    await addClient(first.store, 'client-1');
    await addAccount(first.store, 5, 'anna');
    await first.store.close();

    const second = open({ path: directory.store });
    expect((await second.store.clients.find('client-1'))?.name).toBe('Editor client-1');
    const found = await second.store.accounts.tokensOf(5);
    expect(found?.accessToken.reveal()).toBe('upstream-access-5');
    await second.store.close();
  });

  it('syncs every commit, checks foreign keys and writes ahead', () => {
    writeFileSync(directory.store, '', { mode: 0o600 });
    const database = openDatabase(directory.store, undefined);
    const pragma = (name: string) => database.query(`PRAGMA ${name}`).values()[0]?.[0];
    expect(pragma('journal_mode')).toBe('wal');
    expect(pragma('synchronous')).toBe(2);
    expect(pragma('foreign_keys')).toBe(1);
    expect(pragma('busy_timeout')).toBe(250);
    database.close(true);
  });

  it('has only STRICT tables', async () => {
    const { store } = open({ path: directory.store });
    const tables = directory.query<{ name: string; strict: number }>(
      "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'",
    );
    expect(tables.length).toBeGreaterThan(9);
    expect(tables.filter((table) => table.strict !== 1)).toEqual([]);
    await store.close();
  });
});

describe('closing a store', () => {
  it('leaves one file with everything in it, and no timer', async () => {
    const { store, clock } = open({ path: directory.store });
    await addClient(store, 'client-1');
    store.clients.used('client-1');
    await store.close();
    expect(existsSync(`${directory.store}-wal`)).toBe(false);
    expect(existsSync(`${directory.store}-shm`)).toBe(false);
    expect(clock.pending).toBe(0);
    const rows = directory.query<{ used: number }>('SELECT last_used_at AS used FROM clients');
    expect(rows).toEqual([{ used: clock.now() }]);
  });

  it('may be asked for twice', async () => {
    const { store } = open({ path: directory.store });
    await Promise.all([store.close(), store.close()]);
    await store.close();
  });

  it('answers later calls with a StoreError', async () => {
    const { store } = open({ path: directory.store });
    await store.close();
    const error = await failure(() => store.grants.find('g'));
    expect(error).toBeInstanceOf(StoreError);
    expect((error as StoreError).kind).toBe('broken');
    expect(await store.writable()).toBe(false);
  });
});
