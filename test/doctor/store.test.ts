import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { chmodSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { keyIdOf } from '../../app/base/keyring.ts';
import { storeChecks } from '../../app/doctor/store.ts';
import { backUp, backupDirectoryOf } from '../../app/store/backup.ts';
import { addAccount, Directory, keyringOf, open } from '../store/harness.ts';
import { type DoctorOptions, doctorParts, FORGE, foundBy } from './parts.ts';

const KEY = new Uint8Array(32).fill(7);
const OTHER_KEY = new Uint8Array(32).fill(8);
const MIB = 1024 * 1024;

let directory: Directory;

beforeEach(() => {
  directory = new Directory();
});

afterEach(() => {
  directory.remove();
});

/** A store of the key 7 and the forge of the doctor. */
async function makeStore(): Promise<void> {
  const { store } = open({ path: directory.store, forgeOrigin: FORGE, keyring: keyringOf(7) });
  await addAccount(store);
  await store.close();
}

async function found(name: string, options: DoctorOptions = {}): Promise<string> {
  const { storePath } = { storePath: directory.store };
  const parts = doctorParts({
    examined: { keyId: keyIdOf(KEY) },
    ...options,
    config: { storePath, storeKey: KEY, ...options.config },
    parts: { backupDirectory: backupDirectoryOf(storePath), ...options.parts },
  });
  const all = await foundBy(storeChecks(parts), name);
  return all.map(({ status, says }) => `${status}: ${says}`).join('\n');
}

describe('doctor looks at the store', () => {
  it('and finds it whole', async () => {
    await makeStore();
    expect(await found('store')).toMatch(/^fine: \S+store\.db is whole \(0\.\d MiB\)\.$/);
  });

  it('that is not there yet, is none, or is damaged', async () => {
    expect(await found('store')).toBe(`warning: There is no store ${directory.store} yet.`);
    expect(await found('key')).toStartWith('skipped: ');
    writeFileSync(directory.store, 'a letter, not a database. '.repeat(100));
    expect(await found('store')).toStartWith(`fault: The store ${directory.store} cannot be used`);
    directory.remove();
    directory = new Directory();
    await makeStore();
    const bytes = await Bun.file(directory.store).bytes();
    bytes.fill(0xff, 5 * 4096, 6 * 4096);
    writeFileSync(directory.store, bytes);
    expect(await found('store')).toMatch(/^fault: The store .* (is damaged|cannot be used): /);
  });

  it('of another program, of another forge, of others to read, of an older release', async () => {
    const other = new Database(directory.store);
    other.run('CREATE TABLE user (id INTEGER PRIMARY KEY)');
    other.close();
    expect(await found('store')).toContain('it is no store of a broker');
    directory.remove();
    directory = new Directory();
    await makeStore();
    expect(await found('store', { config: { forgejoUrl: 'https://other.example' } })).toBe(
      `fault: The store belongs to the forge ${FORGE}, not to https://other.example.`,
    );
    chmodSync(directory.store, 0o640);
    expect(await found('store')).toBe(`warning: Others may read ${directory.store}.`);
    chmodSync(directory.store, 0o600);
    const older = new Database(directory.store);
    older.run('PRAGMA user_version = 1');
    older.close();
    expect(await found('store')).toContain('is older than this program');
  });

  it('and changes nothing of it', async () => {
    await makeStore();
    const before = directory.bytes();
    await found('store');
    await found('key');
    expect(Buffer.concat([directory.bytes()]).includes(before)).toBe(true);
  });
});

describe('doctor looks at the key', () => {
  const id = keyIdOf(KEY);

  it('that opens the store, and is the one of the broker that runs', async () => {
    await makeStore();
    expect(await found('key')).toBe(`fine: The key ${id} opens the store.`);
    expect(await found('key', { examined: 'No broker runs.' })).toStartWith('fine: ');
  });

  it('that does not open it', async () => {
    await makeStore();
    expect(await found('key', { config: { storeKey: OTHER_KEY } })).toBe(
      `fault: The key ${keyIdOf(OTHER_KEY)} does not open the store.`,
    );
  });

  it('that the broker that runs never heard of: a rotation was broken off', async () => {
    await makeStore();
    const config = { storeKey: OTHER_KEY, storePreviousKey: KEY };
    expect(await found('key', { config })).toBe(
      `fault: The broker seals with the key ${id}, and the next start gets ${keyIdOf(OTHER_KEY)}.`,
    );
  });

  it('before it, which is needed or not', async () => {
    await makeStore();
    const config = { storePreviousKey: OTHER_KEY };
    const before = keyIdOf(OTHER_KEY);
    const waiting = { keyId: id, successorsOfEarlierKeys: 3 };
    expect(await found('key', { config, examined: waiting })).toEndWith(
      `fine: 3 connections may still need the previous key ${before}.`,
    );
    expect(await found('key', { config })).toEndWith(
      `fine: Nothing but old backups needs the previous key ${before}.`,
    );
  });
});

describe('doctor looks at the backups and the disk', () => {
  it('misses a backup, and one of the last two days', async () => {
    await makeStore();
    expect(await found('backup')).toStartWith('warning: There is no backup in ');
    const to = backupDirectoryOf(directory.store);
    const now = doctorParts().clock.now();
    const { path } = backUp({ storePath: directory.store, directory: to, keep: 1, nowMs: now });
    const aged = (hours: number) => {
      const at = (now - hours * 3_600_000) / 1000;
      utimesSync(path, at, at);
    };
    aged(48);
    expect(await found('backup')).toBe(`fine: The last backup ${path} is 48 h old.`);
    aged(48.1);
    expect(await found('backup')).toStartWith('warning: ');
    writeFileSync(join(to, 'notes'), '');
  });

  it.each([
    [64 * MIB - 1, 'fault'],
    [64 * MIB, 'warning'],
    [1024 * MIB - 1, 'warning'],
    [1024 * MIB, 'fine'],
  ])('finds %d bytes free a %s', async (bytes, status) => {
    const parts = { freeBytes: () => bytes };
    expect(await found('disk', { parts })).toStartWith(`${status}: `);
  });
});
