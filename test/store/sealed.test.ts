import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { createKeyring, type Keyring, STORE_KEY_BYTES } from '../../app/base/keyring.ts';
import { digestOf, systemRandom } from '../../app/base/secret.ts';
import {
  addAccount,
  addClient,
  Directory,
  keyringOf,
  newRequest,
  type Opened,
  open,
  rotation,
  signIn,
} from './harness.ts';

const keyOf = (byte: number) => new Uint8Array(STORE_KEY_BYTES).fill(byte);

let directory: Directory;
let keyring: Keyring;
let opened: Opened;

beforeEach(() => {
  directory = new Directory();
  keyring = keyringOf(7);
  opened = open({ path: directory.store, keyring });
});

afterEach(async () => {
  await opened.store.close();
  directory.remove();
});

/** How many values in all of the store's columns the key of that id has sealed. */
function sealedBy(keyId: string): number {
  const columns = directory.query<{ name: string; column: string }>(
    `SELECT t.name AS name, c.name AS "column" FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
     WHERE t.type = 'table' AND c.type IN ('BLOB', 'ANY')`,
  );
  const counts = columns.map(({ name, column }) =>
    directory.query<{ count: number }>(
      `SELECT count(*) AS count FROM ${name}
       WHERE typeof(${column}) = 'blob' AND hex(substr(${column}, 2, 4)) = upper('${keyId}')`,
    ),
  );
  return counts.flat().reduce((sum, { count }) => sum + count, 0);
}

async function fill(accounts: number): Promise<void> {
  const grant = await signIn(opened);
  expect(grant.accountId).toBe(1);
  for (let id = 2; id <= accounts; id += 1) await addAccount(opened.store, id, `login-${id}`);
  await opened.store.authorizationRequests.create(newRequest(opened.clock), digestOf('a'), 10);
}

/** The store, closed and opened with one key alone. */
async function reopen(key: number): Promise<void> {
  await opened.store.close();
  opened = open({ path: directory.store, keyring: keyringOf(key), clock: opened.clock });
}

describe('a store that is sealed anew', () => {
  it('E13: holds nothing that the key before has sealed, and opens with the new one alone', async () => {
    await fill(3);
    const before = keyring.currentKeyId;
    expect(sealedBy(before)).toBe(8);
    keyring.adopt(keyOf(8));
    expect(await opened.store.sealed.reseal()).toEqual({ resealed: 7, unreadable: 0 });
    expect([sealedBy(before), sealedBy(keyring.currentKeyId)]).toEqual([0, 8]);
    await reopen(8);
    const tokens = await opened.store.accounts.tokensOf(3);
    expect(tokens?.accessToken.reveal()).toBe('upstream-access-3');
    expect(tokens?.refreshToken?.reveal()).toBe('upstream-refresh-3');
    const request = await opened.store.authorizationRequests.find(digestOf('request-1'));
    expect(request?.clientState).toBe('the-state-of-the-client');
  });

  it('takes every row, also at, below and beyond the edge of a batch', async () => {
    for (const accounts of [99, 100, 101, 201]) {
      const own = keyringOf(7);
      const { store } = open({ keyring: own });
      for (let id = 0; id < accounts; id += 1) await addAccount(store, id);
      own.adopt(keyOf(8));
      expect((await store.sealed.reseal()).resealed).toBe(2 * accounts);
      expect((await store.sealed.reseal()).resealed).toBe(0);
      await store.close();
    }
  });

  it('has nothing to do the second time, and keeps generation and state of an account', async () => {
    await fill(2);
    const before = await opened.store.accounts.find(2);
    keyring.adopt(keyOf(8));
    await opened.store.sealed.reseal();
    expect(await opened.store.sealed.reseal()).toEqual({ resealed: 0, unreadable: 0 });
    expect(await opened.store.accounts.find(2)).toEqual(before as never);
  });

  it('gives two that ask at once, with a key each, the work of their own key', async () => {
    await fill(2);
    keyring.adopt(keyOf(8));
    const first = opened.store.sealed.reseal();
    keyring.adopt(keyOf(9));
    await Promise.all([first, opened.store.sealed.reseal()]);
    expect(sealedBy(keyring.currentKeyId)).toBe(6);
    await reopen(9);
  });

  it('leaves what no key opens as it is, counts it, and goes on', async () => {
    await fill(3);
    await opened.store.close();
    keyring = createKeyring({ current: keyOf(8), previous: keyOf(7), random: systemRandom });
    opened = open({ path: directory.store, keyring, clock: opened.clock });
    // Of account 2, as a third key would have sealed them.
    const database = new Database(directory.store);
    database.run(
      "UPDATE accounts SET access_token = CAST(x'01deadbeef' || access_token AS BLOB) WHERE id = 2",
    );
    database.close();
    expect(await opened.store.sealed.reseal()).toEqual({ resealed: 6, unreadable: 1 });
    await reopen(8);
  });

  it('E13: broken off at any point, opens with both keys and is finished by a second run', async () => {
    for (let id = 0; id < 300; id += 1) await addAccount(opened.store, id);
    keyring.adopt(keyOf(8));
    const run = opened.store.sealed.reseal();
    await opened.store.close();
    expect((await run).resealed).toBeLessThan(600);
    keyring = createKeyring({ current: keyOf(8), previous: keyOf(7), random: systemRandom });
    opened = open({ path: directory.store, keyring });
    await opened.store.sealed.reseal();
    await reopen(8);
    expect((await opened.store.accounts.tokensOf(299))?.accessToken.reveal()).toBe(
      'upstream-access-299',
    );
  });

  it('tells how many refresh tokens only an earlier key can give once more', async () => {
    await signIn(opened);
    await addClient(opened.store, 'client-2');
    const rotate = (from: string, to: string, access: string) => {
      const asked = rotation(opened.clock, from, to, access);
      const successor = { ...asked.successor, keyId: keyring.currentKeyId };
      return opened.store.tokens.rotate({ ...asked, successor });
    };
    await rotate('refresh-1', 'refresh-2', 'access-2');
    expect(await opened.store.sealed.successorsOfEarlierKeys()).toBe(0);
    keyring.adopt(keyOf(8));
    expect(await opened.store.sealed.successorsOfEarlierKeys()).toBe(1);
    // Its first use: from here its predecessor is spent, and nobody asks for it again.
    await rotate('refresh-2', 'refresh-3', 'access-3');
    expect(await opened.store.sealed.successorsOfEarlierKeys()).toBe(0);
  });
});
