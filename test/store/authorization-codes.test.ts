import { beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import {
  addAccount,
  addClient,
  answerOf,
  DAY,
  failure,
  issueCode,
  MINUTE,
  newRequest,
  type Opened,
  open,
  RESOURCE,
} from './harness.ts';

let opened: Opened;
const code = digestOf('code-1');

beforeEach(async () => {
  opened = open();
  await addClient(opened.store, 'client-1');
  await addAccount(opened.store);
});

function redeem(access = 'access-1', refresh = 'refresh-1') {
  const { store, clock } = opened;
  return store.authorizationCodes.redeem(code, answerOf(clock, access, refresh));
}

describe('authorization codes (RFC 6749 section 4.1.2)', () => {
  it('E6: does not redeem a code that was never issued', async () => {
    expect(await redeem()).toBe('gone');
    expect(await opened.store.authorizationCodes.find(code)).toBeUndefined();
    expect(await opened.store.tokens.findAccess(digestOf('access-1'))).toBeUndefined();
  });

  it('E6: redeems until just before the expiry, and not at it', async () => {
    await issueCode(opened, 'code-1');
    opened.clock.advance(MINUTE);
    expect(await redeem()).toBe('gone');
    expect(await opened.store.tokens.findAccess(digestOf('access-1'))).toBeUndefined();

    const late = open();
    await addClient(late.store, 'client-1');
    await addAccount(late.store);
    await issueCode(late, 'code-1');
    late.clock.advance(MINUTE - 1);
    const answer = answerOf(late.clock, 'access-1', 'refresh-1');
    expect(await late.store.authorizationCodes.redeem(code, answer)).toBe('issued');
  });

  it('E6: rejects a code used twice and ends the grant', async () => {
    const { store, clock } = opened;
    const grant = await issueCode(opened, 'code-1');
    expect(await redeem()).toBe('issued');
    expect(await redeem('access-2', 'refresh-2')).toBe('reused');
    expect(await store.grants.find(grant.id)).toMatchObject({
      endedAt: clock.now(),
      endReason: 'code_reuse',
    });
    expect((await store.tokens.findAccess(digestOf('access-1')))?.grantEnded).toBe(true);
    expect((await store.tokens.findRefresh(digestOf('refresh-1')))?.grantEnded).toBe(true);
    expect(await store.tokens.findAccess(digestOf('access-2'))).toBeUndefined();
  });

  it('E6: notices the reuse of a code long after it expired, while its grant lives', async () => {
    const { store, clock } = opened;
    const grant = await issueCode(opened, 'code-1');
    await redeem();
    clock.advance(30 * DAY);
    await store.prune();
    expect(await redeem('access-2', 'refresh-2')).toBe('reused');
    expect((await store.grants.find(grant.id))?.endReason).toBe('code_reuse');
  });

  it('E6: redeems for one of two that come at once, and ends the grant', async () => {
    const grant = await issueCode(opened, 'code-1');
    const both = await Promise.all([redeem(), redeem('access-2', 'refresh-2')]);
    expect(both).toEqual(['issued', 'reused']);
    expect((await opened.store.grants.find(grant.id))?.endReason).toBe('code_reuse');
  });

  it('does not redeem a code of a grant that has ended', async () => {
    const grant = await issueCode(opened, 'code-1');
    await opened.store.grants.end(grant.id, 'revoked');
    expect((await opened.store.authorizationCodes.find(code))?.grantEnded).toBe(true);
    expect(await redeem()).toBe('gone');
  });

  it('E6: binds a code to client, redirect URI, challenge, resource and grant', async () => {
    const { store, clock } = opened;
    const grant = await issueCode(opened, 'code-1');
    const issued = {
      digest: code,
      grantId: grant.id,
      clientId: 'client-1',
      redirectUri: 'https://editor.example/callback',
      codeChallenge: 'challenge',
      resource: RESOURCE,
      scope: 'forgejo:delete',
      expiresAt: clock.now() + MINUTE,
      usedAt: null,
      grantEnded: false,
    };
    expect(await store.authorizationCodes.find(code)).toEqual(issued);
    await redeem();
    const used = await store.authorizationCodes.find(code);
    expect(used).toEqual({ ...issued, usedAt: clock.now() });
  });

  it('makes grant and code together and ends the request', async () => {
    const { store, clock } = opened;
    const request = newRequest(clock, { digest: digestOf('request of code-1') });
    await store.authorizationRequests.create(request, digestOf('approval'), 10);
    const grant = await issueCode(opened, 'code-1');
    expect(grant).toEqual({
      id: grant.id,
      accountId: 1,
      clientId: 'client-1',
      scope: 'forgejo:delete',
      permission: null,
      resource: RESOURCE,
      createdAt: clock.now(),
      lastUsedAt: null,
      endedAt: null,
      endReason: null,
    });
    expect(grant.id).toMatch(/^g_[\w-]{16}$/);
    expect(await store.authorizationRequests.find(request.digest)).toBeUndefined();
  });

  it('makes nothing for an account or a client that does not exist', async () => {
    const { store, clock } = opened;
    const request = newRequest(clock, { digest: digestOf('request of code-1') });
    await store.authorizationRequests.create(request, digestOf('approval'), 10);
    await failure(() => issueCode(opened, 'code-1', { accountId: 99 }));
    await failure(() => issueCode(opened, 'code-1', { clientId: 'nobody' }));
    expect(await store.authorizationCodes.find(code)).toBeUndefined();
    expect(await store.grants.listLive(99)).toEqual([]);
    expect(await store.authorizationRequests.find(request.digest)).toBeDefined();
  });
});

describe('grants', () => {
  it('end once, and the first reason stays', async () => {
    const { grants } = opened.store;
    const grant = await issueCode(opened, 'code-1');
    expect(await grants.end('g_unknown', 'revoked')).toBe(false);
    expect(await grants.end(grant.id, 'revoked')).toBe(true);
    expect(await grants.end(grant.id, 'code_reuse')).toBe(false);
    expect((await grants.find(grant.id))?.endReason).toBe('revoked');
  });

  it('are listed for their person while they live, oldest first', async () => {
    const { store, clock } = opened;
    await addAccount(store, 2, 'bert');
    const first = await issueCode(opened, 'code-1');
    clock.advance(1);
    const second = await issueCode(opened, 'code-2');
    const ended = await issueCode(opened, 'code-3');
    await issueCode(opened, 'code-4', { accountId: 2 });
    await store.grants.end(ended.id, 'revoked');
    expect(await store.grants.listLive(1)).toEqual([first, second]);
    expect((await store.grants.findLatest(1, 'client-1'))?.id).toBe(second.id);
    expect(await store.grants.findLatest(1, 'client-2')).toBeUndefined();
    await store.grants.end(second.id, 'revoked');
    expect((await store.grants.findLatest(1, 'client-1'))?.id).toBe(first.id);
    expect(await store.grants.listLive(3)).toEqual([]);
  });
});
