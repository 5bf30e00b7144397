import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { backUp, backupDirectoryOf, listBackups } from '../../app/store/backup.ts';
import { StoreOpenError } from '../../app/store/store-error.ts';
import { addAccount, DAY, Directory, failure, open, signIn } from './harness.ts';

const NOW = Date.UTC(2026, 10, 21, 14, 38, 1, 123);

let directory: Directory;
let backups: string;

beforeEach(() => {
  directory = new Directory();
  backups = backupDirectoryOf(directory.store);
});

afterEach(() => {
  directory.remove();
});

const modeOf = (path: string) => statSync(path).mode & 0o777;

const take = (nowMs = NOW, keep = 3) =>
  backUp({ storePath: directory.store, directory: backups, keep, nowMs });

async function refusal(run: () => unknown): Promise<string> {
  const error = await failure(run);
  if (!(error instanceof StoreOpenError)) throw error;
  return error.message;
}

describe('a backup', () => {
  it('refuses a store that is not there, and leaves nothing behind', async () => {
    expect(await refusal(() => take())).toBe(`There is no store ${directory.store}.`);
    expect(existsSync(backups)).toBe(false);
  });

  it('refuses the database of another program, and leaves no copy of it', async () => {
    const other = new Database(directory.store);
    other.run('CREATE TABLE user (id INTEGER PRIMARY KEY)');
    other.close();
    expect(await refusal(() => take())).toBe(
      `${directory.store} is the database of another program.`,
    );
    expect(readdirSync(backups)).toEqual([]);
  });

  it('refuses a file that is no database, and a damaged store, and leaves no copy', async () => {
    writeFileSync(directory.store, 'a letter, not a database. '.repeat(100));
    expect(await refusal(() => take())).toContain(`The store ${directory.store} was not copied`);
    expect(readdirSync(backups)).toEqual([]);
  });

  it('says which directory it cannot write to', async () => {
    await open({ path: directory.store }).store.close();
    writeFileSync(backups, '');
    expect(await refusal(() => take())).toContain(backups);
  });

  it('is a whole store of the moment, while another connection goes on writing', async () => {
    const opened = open({ path: directory.store });
    await signIn(opened);
    const made = take();
    await addAccount(opened.store, 2, 'bert');
    expect(made.path).toBe(join(backups, 'store-20261121T143801.123Z.db'));
    expect(made.bytes).toBe(statSync(made.path).size);
    const copy = new Database(made.path, { readonly: true });
    expect(copy.query('SELECT login FROM accounts').values()).toEqual([['anna']]);
    expect(copy.query('PRAGMA integrity_check').values()).toEqual([['ok']]);
    copy.close();
    await opened.store.close();
  });

  it('is for its owner alone, whatever the mask of the process is', async () => {
    const opened = open({ path: directory.store });
    const before = process.umask(0);
    try {
      const { path } = take();
      expect([modeOf(path), modeOf(backups)]).toEqual([0o600, 0o700]);
    } finally {
      process.umask(before);
    }
    await opened.store.close();
  });

  it('takes what a broker that was killed has left in the log along', async () => {
    const opened = open({ path: directory.store });
    await signIn(opened);
    const killed = new Directory();
    const copies = Bun.spawnSync(['cp', '-a', `${directory.path}/.`, killed.path]);
    expect(copies.exitCode).toBe(0);
    const made = backUp({
      storePath: killed.store,
      directory: backupDirectoryOf(killed.store),
      keep: 1,
      nowMs: NOW,
    });
    const copy = new Database(made.path, { readonly: true });
    expect(copy.query('SELECT login FROM accounts').values()).toEqual([['anna']]);
    copy.close();
    await opened.store.close();
    killed.remove();
  });
});

describe('older backups', () => {
  it('stay as many as are to be kept, and one beyond goes', async () => {
    const opened = open({ path: directory.store });
    const paths = [0, 1, 2].map((day) => take(NOW + day * DAY).path);
    expect(listBackups(directory.store, backups)).toEqual(paths);
    const fourth = take(NOW + 3 * DAY);
    expect(fourth.deleted).toEqual(paths.slice(0, 1));
    expect(listBackups(directory.store, backups)).toEqual([...paths.slice(1), fourth.path]);
    await opened.store.close();
  });

  it('go only after the new one is there', async () => {
    const opened = open({ path: directory.store });
    const { path } = take(NOW, 1);
    await opened.store.close();
    chmodSync(directory.store, 0o600);
    writeFileSync(directory.store, 'damaged '.repeat(1000));
    await refusal(() => take(NOW + DAY, 1));
    expect(listBackups(directory.store, backups)).toEqual([path]);
  });

  it('are told from whatever else is in the directory, which stays', async () => {
    const opened = open({ path: directory.store });
    mkdirSync(backups);
    const others = [
      'store-mine.db',
      'store-20261121T143801Z.db',
      'other-20261121T143801.123Z.db',
      'store-20261121T143801.123Z.db.gz',
      'notes',
    ];
    for (const name of others) writeFileSync(join(backups, name), '');
    take(NOW, 1);
    const { path } = take(NOW + DAY, 1);
    expect(readdirSync(backups).sort()).toEqual([...others, path.slice(backups.length + 1)].sort());
    await opened.store.close();
  });

  it('that were broken off are taken away after a day, and not while they are made', async () => {
    const opened = open({ path: directory.store });
    mkdirSync(backups);
    const partial = (name: string, ageMs: number) => {
      const path = join(backups, `store-${name}.db.partial`);
      writeFileSync(path, '');
      utimesSync(path, (NOW - ageMs) / 1000, (NOW - ageMs) / 1000);
      return path;
    };
    const [young, old] = [partial('young', DAY), partial('old', DAY + 1)];
    take();
    expect([existsSync(young), existsSync(old)]).toEqual([true, false]);
    await opened.store.close();
  });
});
