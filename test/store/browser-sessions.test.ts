import { beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import { addAccount, type Opened, open } from './harness.ts';

let opened: Opened;

beforeEach(() => {
  opened = open();
});

describe('browser sessions', () => {
  const digest = digestOf('browser');

  it('are unknown before a sign-in, and from their expiry on', async () => {
    const { store, clock } = opened;
    expect(await store.browserSessions.find(digest)).toBeUndefined();
    await addAccount(store, 1, 'anna');
    await store.browserSessions.signIn(digest, 1, clock.now() + 10);
    clock.advance(9);
    expect(await store.browserSessions.find(digest)).toBeDefined();
    clock.advance(1);
    expect(await store.browserSessions.find(digest)).toBeUndefined();
  });

  it('name who signed in last, by the present login', async () => {
    const { store, clock } = opened;
    const expiresAt = clock.now() + 10;
    await addAccount(store, 1, 'anna');
    await addAccount(store, 2, 'bert');
    await store.browserSessions.signIn(digest, 1, expiresAt);
    const anna = { digest, accountId: 1, login: 'anna', expiresAt };
    expect(await store.browserSessions.find(digest)).toEqual(anna);
    await store.browserSessions.signIn(digest, 2, expiresAt + 5);
    await addAccount(store, 2, 'bert-renamed');
    const bert = { digest, accountId: 2, login: 'bert-renamed', expiresAt: expiresAt + 5 };
    expect(await store.browserSessions.find(digest)).toEqual(bert);
  });
});
