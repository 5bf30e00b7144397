import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { type Connection, createConnection, FOREIGN_WRITE_MS } from '../../app/store/connection.ts';
import { openDatabase } from '../../app/store/database.ts';
import { StoreError } from '../../app/store/store-error.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { Directory, failure } from './harness.ts';

let directory: Directory;
let connection: Connection;
let failures: StoreError[];
let clock: FakeClock;

beforeEach(() => {
  directory = new Directory();
  writeFileSync(directory.store, '', { mode: 0o600 });
  const database = openDatabase(directory.store, undefined);
  database.run('PRAGMA application_id = 0x666a6d63');
  database.run('CREATE TABLE parents (id INTEGER PRIMARY KEY) STRICT');
  database.run(
    'CREATE TABLE things (name TEXT NOT NULL UNIQUE, parent INTEGER REFERENCES parents)',
  );
  failures = [];
  clock = new FakeClock();
  connection = createConnection(database, clock, (error) => failures.push(error));
});

afterEach(() => {
  connection.close();
  directory.remove();
});

const things = () => directory.query<{ name: string }>('SELECT name FROM things');
const insert = () => connection.prepare<never, [string]>('INSERT INTO things (name) VALUES (?)');

describe('a transaction of the store', () => {
  it('keeps nothing when it throws, and passes a bug on as it is', async () => {
    const put = insert();
    const bug = new RangeError('a bug');
    const error = await failure(() =>
      connection.write(() => {
        put.run('a');
        throw bug;
      }),
    );
    expect(error).toBe(bug);
    expect(things()).toEqual([]);
    expect(failures).toEqual([]);
  });

  it('refuses an async body and keeps nothing of it', async () => {
    const put = insert();
    const error = await failure(() =>
      connection.write(async () => {
        put.run('a');
        await Promise.resolve();
      }),
    );
    expect(String(error)).toContain('synchronous');
    expect(things()).toEqual([]);
    await connection.write(() => put.run('b'));
    expect(things()).toEqual([{ name: 'b' }]);
  });

  it('tells a broken rule of the schema as a bug, without the words of SQLite', async () => {
    const put = insert();
    const orphan = connection.prepare<never, [string]>(
      'INSERT INTO things (name, parent) VALUES (?, 9)',
    );
    await connection.write(() => put.run('a'));
    for (const run of [() => put.run('a'), () => orphan.run('b')]) {
      const error = await failure(() => connection.write(run));
      expect(error).toBeInstanceOf(Error);
      expect(error).not.toBeInstanceOf(StoreError);
      expect((error as Error).message).not.toContain('things');
    }
    expect(failures).toEqual([]);
    expect(things()).toEqual([{ name: 'a' }]);
  });

  it('fails as busy while another process writes, and works after', async () => {
    const put = insert();
    const other = new Database(directory.store);
    other.run('BEGIN IMMEDIATE');
    const error = await failure(() => connection.write(() => put.run('a')));
    expect(error).toBeInstanceOf(StoreError);
    expect((error as StoreError).kind).toBe('busy');
    expect(failures).toEqual([error as StoreError]);
    other.run('ROLLBACK');
    other.close();
    await connection.write(() => put.run('a'));
    expect(things()).toEqual([{ name: 'a' }]);
  });

  it('can be read from beside while it is open', async () => {
    const put = insert();
    await connection.write(() => {
      put.run('a');
      expect(things()).toEqual([]);
    });
    expect(things()).toEqual([{ name: 'a' }]);
  });

  it('fails as broken when the file is damaged', async () => {
    const put = insert();
    await connection.write(() => {
      for (let n = 0; n < 500; n += 1) put.run(`thing ${n}`);
    });
    connection.close();
    const firstPageBytes = 4096;
    const damaged = readFileSync(directory.store);
    damaged.fill(0xff, firstPageBytes);
    writeFileSync(directory.store, damaged);
    const again = createConnection(openDatabase(directory.store, undefined), clock, (error) =>
      failures.push(error),
    );
    const all = again.prepare<unknown, []>('SELECT * FROM things');
    const error = await failure(() => again.read(() => all.all()));
    expect(error).toBeInstanceOf(StoreError);
    expect((error as StoreError).kind).toBe('broken');
    again.close();
  });
});

describe('the version of what was read', () => {
  it('is another one after each write of its own, also after one that failed', async () => {
    const put = insert();
    const versions = [connection.version, connection.version];
    await connection.write(() => put.run('a'));
    versions.push(connection.version);
    await failure(() => connection.write(() => put.run('a')));
    versions.push(connection.version);
    expect(new Set(versions.slice(1)).size).toBe(3);
    expect(versions[0]).toBe(versions[1]);
  });

  it('is another one a moment after a write of another process', () => {
    const before = connection.version;
    const other = new Database(directory.store);
    other.run("INSERT INTO things (name) VALUES ('foreign')");
    other.close();
    expect(connection.version).toBe(before);
    clock.advance(FOREIGN_WRITE_MS);
    expect(connection.version).not.toBe(before);
  });
});
