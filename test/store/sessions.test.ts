import { beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import type { Grant } from '../../app/store/grants.ts';
import { failure, type Opened, open, sessionOf, signIn } from './harness.ts';

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
    await sessions.insert(row);
    expect(await sessions.find(row.idDigest)).toEqual(row);
    expect(await sessions.delete(row.idDigest)).toBe(true);
    expect(await sessions.delete(row.idDigest)).toBe(false);
    expect(await sessions.find(row.idDigest)).toBeUndefined();
  });

  it('are deleted all together', async () => {
    const { sessions } = opened.store;
    expect(await sessions.deleteAll()).toBe(0);
    await sessions.insert(sessionOf(opened.clock, grant, 'a'));
    await sessions.insert(sessionOf(opened.clock, grant, 'b'));
    expect(await sessions.deleteAll()).toBe(2);
    expect(await sessions.find(digestOf('a'))).toBeUndefined();
  });

  it('outlive the end of their grant: a new one of the same pair may take them over', async () => {
    const { sessions, grants } = opened.store;
    const row = sessionOf(opened.clock, grant);
    await sessions.insert(row);
    await grants.end(grant.id, 'revoked');
    expect(await sessions.find(row.idDigest)).toEqual(row);
  });

  it('belong to a grant that exists', async () => {
    const row = { ...sessionOf(opened.clock, grant), grantId: 'g_unknown' };
    await failure(() => opened.store.sessions.insert(row));
    expect(await opened.store.sessions.find(row.idDigest)).toBeUndefined();
  });
});
