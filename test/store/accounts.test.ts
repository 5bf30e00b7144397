import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { Secret } from '../../app/base/secret.ts';
import { StoreError } from '../../app/store/store-error.ts';
import { addAccount, Directory, failure, type Opened, open } from './harness.ts';

let opened: Opened;

beforeEach(() => {
  opened = open();
});

const anna = { id: 1, login: 'anna', isAdmin: false };
const answer = (name: string, refresh = true) => ({
  accessToken: new Secret(`access-${name}`),
  refreshToken: refresh ? new Secret(`refresh-${name}`) : null,
  accessExpiresAt: 100,
  refreshExpiresAt: refresh ? 200 : null,
});

describe('accounts', () => {
  it('knows nobody who has not signed in', async () => {
    const { accounts } = opened.store;
    expect(await accounts.find(1)).toBeUndefined();
    expect(await accounts.tokensOf(1)).toBeUndefined();
    expect(await accounts.setState(1, 'disabled', 1)).toBe(false);
  });

  it('does not change the state for a generation that has passed', async () => {
    const { accounts } = opened.store;
    await accounts.storeTokens(anna, answer('1'));
    await accounts.storeTokens(anna, answer('2'));
    expect(await accounts.setState(1, 'needs_sign_in', 1)).toBe(false);
    expect((await accounts.find(1))?.state).toBe('active');
    expect(await accounts.setState(1, 'needs_sign_in', 2)).toBe(true);
    expect(await accounts.find(1)).toMatchObject({ state: 'needs_sign_in', generation: 2 });
  });

  it('makes an account active again with each token answer, one generation on', async () => {
    const { accounts } = opened.store;
    const first = await accounts.storeTokens(anna, answer('1'));
    expect(first).toEqual({
      ...anna,
      state: 'active',
      generation: 1,
      accessExpiresAt: 100,
      refreshExpiresAt: 200,
    });
    await accounts.setState(1, 'disabled', 1);
    const second = await accounts.storeTokens({ ...anna, isAdmin: true }, answer('2'));
    expect(second).toMatchObject({ state: 'active', generation: 2, isAdmin: true });
    const found = await accounts.tokensOf(1);
    expect(found?.account).toEqual(second);
    expect(found?.accessToken.reveal()).toBe('access-2');
    expect(found?.refreshToken?.reveal()).toBe('refresh-2');
  });

  it('keeps the refresh token and its expiry when an answer has none', async () => {
    const { accounts } = opened.store;
    await accounts.storeTokens(anna, answer('1'));
    const account = await accounts.storeTokens(anna, answer('2', false));
    expect(account.refreshExpiresAt).toBe(200);
    const found = await accounts.tokensOf(1);
    expect(found?.accessToken.reveal()).toBe('access-2');
    expect(found?.refreshToken?.reveal()).toBe('refresh-1');
  });

  it('has no refresh token when there never was one', async () => {
    const { accounts } = opened.store;
    await accounts.storeTokens(anna, answer('1', false));
    expect((await accounts.tokensOf(1))?.refreshToken).toBeNull();
  });

  it('lets two people swap their logins', async () => {
    const { accounts } = opened.store;
    await addAccount(opened.store, 1, 'anna');
    await addAccount(opened.store, 2, 'bert');
    await addAccount(opened.store, 1, 'bert');
    await addAccount(opened.store, 2, 'anna');
    expect((await accounts.find(1))?.login).toBe('bert');
    expect((await accounts.find(2))?.login).toBe('anna');
  });
});

describe('sealed values in the database', () => {
  let directory: Directory;

  beforeEach(() => {
    directory = new Directory();
  });

  afterEach(() => {
    directory.remove();
  });

  it('cannot be moved to another account or another column', async () => {
    const before = open({ path: directory.store });
    await addAccount(before.store, 1, 'anna');
    await addAccount(before.store, 2, 'mallory');
    await addAccount(before.store, 3, 'carl');
    await before.store.close();
    const hand = new Database(directory.store);
    hand.run(
      'UPDATE accounts SET access_token = (SELECT access_token FROM accounts WHERE id = 1) WHERE id = 2',
    );
    hand.run('UPDATE accounts SET access_token = refresh_token WHERE id = 3');
    hand.close();

    const { store, log } = open({ path: directory.store });
    for (const id of [2, 3]) {
      const error = await failure(() => store.accounts.tokensOf(id));
      expect(error).toBeInstanceOf(StoreError);
      expect((error as StoreError).kind).toBe('broken');
    }
    expect((await store.accounts.tokensOf(1))?.accessToken.reveal()).toBe('upstream-access-1');
    expect(log.of('store.failed')).toHaveLength(2);
    await store.close();
  });
});
