import { beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import type { Grant } from '../../app/store/grants.ts';
import {
  addAccount,
  addClient,
  answerOf,
  issueCode,
  MINUTE,
  type Opened,
  open,
  STORED_MAX,
  sessionOf,
  signIn,
} from './harness.ts';

let opened: Opened;
let annas: Grant;
let bobs: Grant;

beforeEach(async () => {
  opened = open();
  annas = await signIn(opened);
  await addClient(opened.store, 'client-2');
  await addAccount(opened.store, 2, 'Bob');
  opened.clock.advance(MINUTE);
  bobs = await issueCode(opened, 'code-2', { clientId: 'client-2', accountId: 2 });
  const answer = answerOf(opened.clock, 'access-2', 'refresh-2');
  await opened.store.authorizationCodes.redeem(digestOf('code-2'), answer);
});

describe('the list of sessions', () => {
  it('names person, client and grant, the latest used first, and no handshake', async () => {
    const { sessions, listings } = opened.store;
    expect(await listings.sessions({}, 10)).toEqual([]);
    await sessions.insert(sessionOf(opened.clock, annas, 'a'), STORED_MAX);
    opened.clock.advance(MINUTE);
    await sessions.insert(sessionOf(opened.clock, bobs, 'b'), STORED_MAX);
    const rows = await listings.sessions({}, 10);
    expect(rows.map(({ login, clientName }) => [login, clientName])).toEqual([
      ['Bob', 'Editor client-2'],
      ['anna', 'Editor client-1'],
    ]);
    expect(Object.keys(rows[0] ?? {}).toSorted()).toEqual([
      'clientId',
      'clientName',
      'createdAt',
      'grantId',
      'idDigest',
      'lastUsedAt',
      'login',
      'protocolVersion',
    ]);
  });

  it('holds those of one person, whatever the case of the login, and of one client', async () => {
    const { sessions, listings } = opened.store;
    await sessions.insert(sessionOf(opened.clock, annas, 'a'), STORED_MAX);
    await sessions.insert(sessionOf(opened.clock, bobs, 'b'), STORED_MAX);
    const digests = async (filter: { login?: string; clientId?: string }) =>
      (await listings.sessions(filter, 10)).map(({ idDigest }) => idDigest);
    expect(await digests({ login: 'bob' })).toEqual([digestOf('b')]);
    expect(await digests({ clientId: 'client-1' })).toEqual([digestOf('a')]);
    expect(await digests({ login: 'bob', clientId: 'client-1' })).toEqual([]);
    expect(await digests({ login: 'bo%' })).toEqual([]);
  });

  it('is never longer than asked for', async () => {
    const { sessions, listings } = opened.store;
    for (const id of ['a', 'b', 'c']) {
      await sessions.insert(sessionOf(opened.clock, annas, id), STORED_MAX);
    }
    expect(await listings.sessions({}, 2)).toHaveLength(2);
    expect(await listings.sessions({}, 3)).toHaveLength(3);
  });

  it('finds a session by the beginning of its digest', async () => {
    const { sessions, listings } = opened.store;
    await sessions.insert(sessionOf(opened.clock, annas, 'a'), STORED_MAX);
    await sessions.insert(sessionOf(opened.clock, annas, 'b'), STORED_MAX);
    const digest = digestOf('a');
    expect(await listings.sessionsNamed(digest.slice(0, 8))).toEqual([digest]);
    expect(await listings.sessionsNamed(digest)).toEqual([digest]);
    expect(await listings.sessionsNamed(`${digest}x`)).toEqual([]);
    expect(await listings.sessionsNamed('')).toHaveLength(2);
  });
});

describe('the list of grants', () => {
  it('holds those that live, with the state of the account', async () => {
    const { grants, listings, accounts } = opened.store;
    const account = await accounts.find(1);
    await accounts.setState(1, 'needs_sign_in', account?.generation ?? 0);
    const rows = await listings.grants({}, 10);
    expect(rows.map(({ id, accountState }) => [id, accountState])).toEqual([
      [bobs.id, 'active'],
      [annas.id, 'needs_sign_in'],
    ]);
    await grants.end(annas.id, 'revoked');
    expect((await listings.grants({}, 10)).map(({ id }) => id)).toEqual([bobs.id]);
  });

  it('holds those of one person and of one client', async () => {
    const { listings } = opened.store;
    expect(await listings.grants({ login: 'ANNA' }, 10)).toHaveLength(1);
    expect(await listings.grants({ clientId: 'client-2' }, 10)).toHaveLength(1);
    expect(await listings.grants({ login: 'anna', clientId: 'client-2' }, 10)).toEqual([]);
    expect(await listings.grants({}, 1)).toHaveLength(1);
  });
});
