import type { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { digestOf } from '../../app/base/secret.ts';
import { openDatabase } from '../../app/store/database.ts';
import { MIGRATIONS, type Migration, migrate } from '../../app/store/migrations.ts';
import { StoreOpenError } from '../../app/store/store-error.ts';
import { addClient, Directory, failure, open, rotation } from './harness.ts';

let directory: Directory;

beforeEach(() => {
  directory = new Directory();
});

afterEach(() => {
  directory.remove();
});

/** Works on the database file as the store does when it opens. */
function withDatabase<T>(work: (database: Database) => T): T {
  writeFileSync(directory.store, '', { mode: 0o600, flag: 'a' });
  const database = openDatabase(directory.store, undefined);
  try {
    return work(database);
  } finally {
    database.close();
  }
}

/** A step that a later release may bring. */
const LATER: Migration = {
  number: MIGRATIONS.length + 1,
  name: 'later',
  sql: 'ALTER TABLE clients ADD COLUMN logo TEXT; CREATE TABLE audit (id INTEGER PRIMARY KEY) STRICT;',
};

const version = () =>
  directory.query<{ user_version: number }>('PRAGMA user_version')[0]?.user_version;

/** The step that lets a grant say what it allows; one from before says nothing. */
const PERMISSIONS = 3;

describe('migrations', () => {
  it('count from one without a gap', () => {
    expect(MIGRATIONS.map(({ number }) => number)).toEqual(MIGRATIONS.map((_, at) => at + 1));
    for (const { number, name } of MIGRATIONS) {
      expect(name).toStartWith(`${String(number).padStart(4, '0')}-`);
    }
  });

  it('leave nothing of a step that fails, and keep those before it', async () => {
    const broken: Migration = {
      ...LATER,
      sql: 'CREATE TABLE half (id INTEGER) STRICT; INSERT INTO nowhere VALUES (1);',
    };
    await failure(() => withDatabase((database) => migrate(database, [...MIGRATIONS, broken])));
    expect(version()).toBe(MIGRATIONS.length);
    expect(directory.query("SELECT * FROM sqlite_schema WHERE name = 'half'")).toEqual([]);
    await open({ path: directory.store }).store.close();
  });

  it('are applied once, and told in the log', async () => {
    const first = open({ path: directory.store });
    await first.store.close();
    expect(first.log.of('store.migrated')[0]?.applied).toEqual(MIGRATIONS.map(({ name }) => name));
    const second = open({ path: directory.store });
    await second.store.close();
    expect(second.log.of('store.migrated')).toEqual([]);
  });

  it('open an empty file', async () => {
    writeFileSync(directory.store, '');
    await open({ path: directory.store }).store.close();
    expect(version()).toBe(MIGRATIONS.length);
  });

  for (const { number, name } of MIGRATIONS) {
    it(`open a store made by ${name}, with all that it kept`, async () => {
      const rows = readFileSync(`${import.meta.dir}/rows/${name}.sql`, 'utf8');
      withDatabase((database) => {
        migrate(database, MIGRATIONS.slice(0, number));
        database.run(rows);
      });

      const { store, clock } = open({ path: directory.store });
      expect((await store.clients.find('client-1'))?.kind).toBe('dcr');
      expect((await store.clients.find('desktop'))?.secretDigest).toBe(digestOf('secret'));
      const upstream = await store.accounts.tokensOf(1);
      expect(upstream?.account).toMatchObject({ login: 'anna', state: 'active', generation: 1 });
      expect(upstream?.accessToken.reveal()).toBe('upstream-access-1');
      expect(upstream?.refreshToken?.reveal()).toBe('upstream-refresh-1');
      expect((await store.browserSessions.find(digestOf('browser-1')))?.login).toBe('anna');
      const request = await store.authorizationRequests.find(digestOf('request-1'));
      expect(request?.clientState).toBe('the-state-of-the-client');
      expect((await store.authorizationCodes.find(digestOf('code-1')))?.usedAt).toBe(clock.now());
      expect(await store.sessions.find(digestOf('session-1'))).toBeDefined();
      const [grant, ...others] = await store.grants.listLive(1);
      expect(others).toEqual([]);
      expect(grant?.permission === null).toBe(number < PERMISSIONS);
      const proof = await store.tokens.findAccess(digestOf('access-2'));
      expect(proof?.unconfirmedAnswer).toBe(digestOf('refresh-2'));
      const next = rotation(clock, 'refresh-2', 'refresh-3', 'access-3');
      expect((await store.tokens.rotate(next)).kind).toBe('rotated');
      expect((await store.tokens.findRefresh(digestOf('refresh-1')))?.successor?.confirmed).toBe(
        true,
      );
      await store.close();
    });
  }

  it('let the release before work with what a later one has added', async () => {
    const later = [...MIGRATIONS, LATER];
    withDatabase((database) => migrate(database, later));
    const before = open({ path: directory.store });
    await addClient(before.store, 'client-1');
    await before.store.close();
    expect(version()).toBe(later.length);
    expect(withDatabase((database) => migrate(database, later))).toEqual([]);
    expect(directory.query('SELECT id, logo FROM clients')).toEqual([
      { id: 'client-1', logo: null },
    ]);
  });

  it('refuse a store that a later release has closed to this one', async () => {
    const closing: Migration = {
      ...LATER,
      sql: `UPDATE meta SET value = ${LATER.number} WHERE name = 'oldest_reader'`,
    };
    withDatabase((database) => migrate(database, [...MIGRATIONS, closing]));
    const error = await failure(() => open({ path: directory.store }));
    expect(error).toBeInstanceOf(StoreOpenError);
    expect((error as StoreOpenError).kind).toBe('newer');
  });

  it('say nothing of a forge or a key: these are written when the store is claimed', () => {
    withDatabase((database) => migrate(database, MIGRATIONS));
    expect(directory.query('SELECT name FROM meta')).toEqual([{ name: 'oldest_reader' }]);
  });
});
