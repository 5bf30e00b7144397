import { beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import type { Grant } from '../../app/store/grants.ts';
import { failure, issueCode, type Opened, open, STORED_MAX, sessionOf, signIn } from './harness.ts';

let opened: Opened;
let grant: Grant;

beforeEach(async () => {
  opened = open();
  grant = await signIn(opened);
});

describe('sessions', () => {
  it('are unknown before and after their life, and deleted once', async () => {
    const { sessions } = opened.store;
    const row = sessionOf(opened.clock, grant);
    expect(await sessions.find(row.idDigest)).toBeUndefined();
    expect(await sessions.delete(row.idDigest)).toBe(false);
    await sessions.insert(row, STORED_MAX);
    expect(await sessions.find(row.idDigest)).toEqual(row);
    expect(await sessions.delete(row.idDigest)).toBe(true);
    expect(await sessions.delete(row.idDigest)).toBe(false);
    expect(await sessions.find(row.idDigest)).toBeUndefined();
  });

  it('keep what they have become', async () => {
    const { sessions } = opened.store;
    const row = sessionOf(opened.clock, grant);
    await sessions.insert(row, STORED_MAX);
    const state = {
      initialized: false,
      serverCapabilities: null,
      logLevel: 'debug',
      subscriptions: ['a', 'b'],
      permission: 'a wider one',
    };
    await sessions.setState(row.idDigest, state);
    expect(await sessions.find(row.idDigest)).toEqual({ ...row, ...state });
  });

  it('beyond MAX_STORED_SESSIONS_PER_USER cost that person the least recently used one', async () => {
    const { sessions } = opened.store;
    for (const id of ['a', 'b', 'c']) {
      expect(await sessions.insert(sessionOf(opened.clock, grant, id), 3)).toEqual([]);
      opened.clock.advance(1000);
    }
    sessions.used(digestOf('a'));
    await opened.store.prune();
    expect(await sessions.insert(sessionOf(opened.clock, grant, 'd'), 3)).toEqual([digestOf('b')]);
    expect(await sessions.find(digestOf('b'))).toBeUndefined();
    expect(await sessions.find(digestOf('a'))).toBeDefined();
  });

  it('B6: go to another live grant of the pair when theirs ends, or end with the last one', async () => {
    const { sessions, grants } = opened.store;
    const row = sessionOf(opened.clock, grant);
    await sessions.insert(row, STORED_MAX);
    const next = await issueCode(opened, 'code-2');
    await grants.end(grant.id, 'revoked');
    expect(await sessions.endGrant(grant.id)).toEqual([{ idDigest: row.idDigest, heir: next.id }]);
    expect((await sessions.find(row.idDigest))?.grantId).toBe(next.id);
    await grants.end(next.id, 'revoked');
    expect(await sessions.endGrant(next.id)).toEqual([{ idDigest: row.idDigest, heir: null }]);
    expect(await sessions.find(row.idDigest)).toBeUndefined();
  });

  it('end with their account', async () => {
    const { sessions } = opened.store;
    await sessions.insert(sessionOf(opened.clock, grant), STORED_MAX);
    expect(await sessions.endAccount(2)).toBe(0);
    expect(await sessions.endAccount(1)).toBe(1);
  });

  it('outlive the end of their grant: a new one of the same pair may take them over', async () => {
    const { sessions, grants } = opened.store;
    const row = sessionOf(opened.clock, grant);
    await sessions.insert(row, STORED_MAX);
    await grants.end(grant.id, 'revoked');
    expect(await sessions.find(row.idDigest)).toEqual(row);
  });

  it('belong to a grant that exists', async () => {
    const row = { ...sessionOf(opened.clock, grant), grantId: 'g_unknown' };
    await failure(() => opened.store.sessions.insert(row, STORED_MAX));
    expect(await opened.store.sessions.find(row.idDigest)).toBeUndefined();
  });
});
