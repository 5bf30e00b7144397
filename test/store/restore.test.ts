import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '../../app/base/secret.ts';
import { backUp, backupDirectoryOf } from '../../app/store/backup.ts';
import { lockStore } from '../../app/store/lock.ts';
import { type RestoreOptions, restoreStore } from '../../app/store/restore.ts';
import { StoreOpenError } from '../../app/store/store-error.ts';
import { addAccount, Directory, FORGE, failure, keyringOf, open, signIn } from './harness.ts';

const NOW = Date.UTC(2026, 10, 21, 14, 38, 1, 123);

let directory: Directory;

beforeEach(() => {
  directory = new Directory();
});

afterEach(() => {
  directory.remove();
});

function restore(backupPath: string, change: Partial<RestoreOptions> = {}) {
  return restoreStore({
    storePath: directory.store,
    backupPath,
    forgeOrigin: FORGE,
    keyring: keyringOf(7),
    nowMs: NOW,
    ...change,
  });
}

/** A store with anna, backed up, and bert who came later. */
async function backedUp() {
  const opened = open({ path: directory.store });
  const grant = await signIn(opened);
  const backup = backUp({
    storePath: directory.store,
    directory: backupDirectoryOf(directory.store),
    keep: 1,
    nowMs: NOW,
  });
  await addAccount(opened.store, 2, 'bert');
  return { opened, grant, backup: backup.path };
}

async function refusal(run: () => unknown): Promise<StoreOpenError> {
  const before = readdirSync(directory.path).sort();
  const error = await failure(run);
  if (!(error instanceof StoreOpenError)) throw error;
  const left = readdirSync(directory.path).filter((name) => !name.endsWith('.lock'));
  expect(left.sort()).toEqual(before.filter((name) => !name.endsWith('.lock')));
  return error;
}

const logins = (path: string) => {
  const database = new Database(path, { readonly: true });
  try {
    return database.query('SELECT login FROM accounts ORDER BY id').values().flat();
  } finally {
    database.close();
  }
};

describe('a restore refuses, and changes nothing,', () => {
  it('while a broker runs on the store', async () => {
    const { opened, backup } = await backedUp();
    const { kind, message } = await refusal(() => restore(backup));
    expect(kind).toBe('locked');
    expect(message).toContain('stop it first');
    expect((await opened.store.accounts.find(2))?.login).toBe('bert');
    await opened.store.close();
  });

  it('what is no backup: nothing, another database, no database, a damaged or cut one', async () => {
    const { opened, backup } = await backedUp();
    await opened.store.close();
    const foreign = join(backupDirectoryOf(directory.store), 'foreign.db');
    const other = new Database(foreign);
    other.run('CREATE TABLE user (id INTEGER PRIMARY KEY)');
    other.close();
    const text = join(backupDirectoryOf(directory.store), 'text.db');
    writeFileSync(text, 'a letter, not a database. '.repeat(100));
    const cut = join(backupDirectoryOf(directory.store), 'cut.db');
    copyFileSync(backup, cut);
    writeFileSync(cut, Buffer.from(await Bun.file(backup).bytes()).subarray(0, 3 * 4096));
    for (const path of [`${backup}.none`, foreign, text, cut]) {
      const { kind, message } = await refusal(() => restore(path));
      expect([kind, message]).toEqual(['unusable', expect.stringContaining(path)]);
    }
    expect(logins(directory.store)).toEqual(['anna', 'bert']);
  });

  it('the file of a store that was open when it was copied', async () => {
    const { opened, backup } = await backedUp();
    await opened.store.close();
    writeFileSync(`${backup}-wal`, 'rows');
    expect((await refusal(() => restore(backup))).message).toContain('-wal beside it');
  });

  it('a backup of another forge, of another key, of a release that is too new', async () => {
    const { opened, backup } = await backedUp();
    await opened.store.close();
    const forge = await refusal(() => restore(backup, { forgeOrigin: 'https://other.example' }));
    expect(forge.kind).toBe('other_forge');
    const key = await refusal(() => restore(backup, { keyring: keyringOf(8) }));
    expect(key.message).toContain('sealed with another key');
    const newer = new Database(backup);
    newer.run('PRAGMA user_version = 999');
    newer.run("UPDATE meta SET value = 999 WHERE name = 'oldest_reader'");
    newer.close();
    expect((await refusal(() => restore(backup))).kind).toBe('newer');
  });

  it('to put it where the database of another program is, or where there is no directory', async () => {
    const { opened, backup } = await backedUp();
    await opened.store.close();
    const elsewhere = join(directory.path, 'no', 'store.db');
    expect((await refusal(() => restore(backup, { storePath: elsewhere }))).message).toBe(
      `There is no directory ${join(directory.path, 'no')}.`,
    );
    rmSync(directory.store);
    const other = new Database(directory.store);
    other.run('CREATE TABLE user (id INTEGER PRIMARY KEY)');
    other.close();
    expect((await refusal(() => restore(backup))).message).toContain('another program');
  });
});

describe('a restore', () => {
  it('brings the rows of the backup back, and sets the store before aside as a whole', async () => {
    const { opened, backup } = await backedUp();
    await opened.store.close();
    const before = await Bun.file(backup).bytes();
    const restored = restore(backup);
    expect(restored).toMatchObject({ accounts: 1, grants: 1, sessions: 0, endedSince: 0 });
    expect(restored.replaced).toBe(`${directory.store}.replaced-20261121T143801.123Z`);
    expect(logins(directory.store)).toEqual(['anna']);
    expect(logins(restored.replaced ?? '')).toEqual(['anna', 'bert']);
    expect(await Bun.file(backup).bytes()).toEqual(before);
    const again = open({ path: directory.store });
    expect((await again.store.tokens.findAccess(digestOf('access-1')))?.accountId).toBe(1);
    await again.store.close();
  });

  it('works where there is no store, and gives it the mode of one', async () => {
    const { opened, backup } = await backedUp();
    await opened.store.close();
    chmodSync(backup, 0o644);
    for (const suffix of ['', '-wal', '-shm', '.lock']) {
      rmSync(`${directory.store}${suffix}`, { force: true });
    }
    expect(restore(backup).replaced).toBeNull();
    expect(statSync(directory.store).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory.path).sort()).toEqual(['backups', 'store.db', 'store.db.lock']);
  });

  it('keeps ended what was ended since the backup', async () => {
    const { opened, grant, backup } = await backedUp();
    await opened.store.grants.end(grant.id, 'revoked');
    await opened.store.close();
    expect(restore(backup)).toMatchObject({ grants: 0, endedSince: 1 });
    const again = open({ path: directory.store });
    expect((await again.store.grants.find(grant.id))?.endReason).toBe('revoked');
    expect(await again.store.tokens.findAccess(digestOf('access-1'))).toMatchObject({
      grantEnded: true,
    });
    await again.store.close();
  });

  it('takes the place of a store that is damaged, and of what its log still holds', async () => {
    const { opened, backup } = await backedUp();
    await opened.store.close();
    writeFileSync(directory.store, 'damaged '.repeat(1000));
    writeFileSync(`${directory.store}-wal`, 'damaged too');
    const { replaced } = restore(backup);
    expect(logins(directory.store)).toEqual(['anna']);
    expect(existsSync(`${directory.store}-wal`)).toBe(false);
    expect(await Bun.file(`${replaced}-wal`).text()).toBe('damaged too');
  });

  it('leaves the lock free', async () => {
    const { opened, backup } = await backedUp();
    await opened.store.close();
    restore(backup);
    lockStore(directory.store).release();
  });
});
