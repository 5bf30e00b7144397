import { beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import type { Grant } from '../../app/store/grants.ts';
import {
  answerOf,
  DAY,
  failure,
  HOUR,
  issueCode,
  type Opened,
  open,
  RESOURCE,
  rotation,
  SECOND,
  signIn,
} from './harness.ts';

let opened: Opened;
let grant: Grant;

beforeEach(async () => {
  opened = open();
  grant = await signIn(opened);
});

const rotate = (from: string, to: string, access: string, change = {}) =>
  opened.store.tokens.rotate(rotation(opened.clock, from, to, access, change));
const accessOf = (name: string) => opened.store.tokens.findAccess(digestOf(name));
const refreshOf = (name: string) => opened.store.tokens.findRefresh(digestOf(name));
const endReason = async () => (await opened.store.grants.find(grant.id))?.endReason;

describe('access tokens', () => {
  it('are unknown until issued', async () => {
    expect(await accessOf('another')).toBeUndefined();
  });

  it('come with everything that a decision needs', async () => {
    expect(await accessOf('access-1')).toEqual({
      digest: digestOf('access-1'),
      grantId: grant.id,
      accountId: 1,
      login: 'anna',
      accountState: 'active',
      clientId: 'client-1',
      scope: 'forgejo:delete',
      permission: null,
      resource: RESOURCE,
      expiresAt: opened.clock.now() + HOUR,
      grantEnded: false,
      unconfirmedAnswer: null,
    });
  });

  it('come with what the person allowed', async () => {
    const { store, clock } = opened;
    await issueCode(opened, 'code-2', { permission: '{"scope":"forgejo:read"}' });
    const answer = answerOf(clock, 'access-of-2', 'refresh-of-2');
    await store.authorizationCodes.redeem(digestOf('code-2'), answer);
    expect((await accessOf('access-of-2'))?.permission).toBe('{"scope":"forgejo:read"}');
  });

  it('show at once that the grant ended or the account may not go on', async () => {
    await opened.store.accounts.setState(1, 'needs_sign_in', 1);
    expect((await accessOf('access-1'))?.accountState).toBe('needs_sign_in');
    await opened.store.grants.end(grant.id, 'revoked');
    expect((await accessOf('access-1'))?.grantEnded).toBe(true);
  });

  it('are bound to the narrower scope that they were issued with', async () => {
    const access = { ...rotation(opened.clock, 'r', 's', 'access-2').access, scope: 'narrow' };
    await rotate('refresh-1', 'refresh-2', 'access-2', { access });
    expect((await accessOf('access-2'))?.scope).toBe('narrow');
    expect((await refreshOf('refresh-2'))?.scope).toBe('forgejo:delete');
  });
});

describe('rotating a refresh token (OAuth 2.1 section 4.3.1)', () => {
  it('E9: gives nothing for a token that is unknown, of another client, or expired', async () => {
    const gone = { kind: 'gone' } as const;
    expect(await rotate('never-issued', 'x', 'y')).toEqual(gone);
    expect(await rotate('refresh-1', 'x', 'y', { clientId: 'client-2' })).toEqual(gone);
    expect((await refreshOf('refresh-1'))?.successor).toBeNull();
    opened.clock.advance(90 * DAY);
    expect(await rotate('refresh-1', 'x', 'y')).toEqual(gone);
    expect(await accessOf('y')).toBeUndefined();
  });

  it('E9: rotates until just before the expiry', async () => {
    opened.clock.advance(90 * DAY - 1);
    expect((await rotate('refresh-1', 'refresh-2', 'access-2')).kind).toBe('rotated');
  });

  it('E9: gives nothing for a token of an ended grant', async () => {
    await opened.store.grants.end(grant.id, 'revoked');
    expect((await rotate('refresh-1', 'refresh-2', 'access-2')).kind).toBe('gone');
  });

  it('gives nothing while the account must sign in, keeps the grant, and goes on after', async () => {
    await opened.store.accounts.setState(1, 'needs_sign_in', 1);
    expect((await rotate('refresh-1', 'refresh-2', 'access-2')).kind).toBe('gone');
    expect((await refreshOf('refresh-1'))?.accountState).toBe('needs_sign_in');
    expect(await endReason()).toBeNull();
    await opened.store.accounts.setState(1, 'active', 1);
    expect((await rotate('refresh-1', 'refresh-2', 'access-2')).kind).toBe('rotated');
  });

  it('inserts the successor and names the answer that its access token confirms', async () => {
    const expiresAt = opened.clock.now() + 90 * DAY;
    const answer = await rotate('refresh-1', 'refresh-2', 'access-2');
    expect(answer).toEqual({ kind: 'rotated', refreshExpiresAt: expiresAt });
    expect((await accessOf('access-2'))?.unconfirmedAnswer).toBe(digestOf('refresh-2'));
    expect(await refreshOf('refresh-1')).toEqual({
      digest: digestOf('refresh-1'),
      grantId: grant.id,
      clientId: 'client-1',
      accountId: 1,
      accountState: 'active',
      scope: 'forgejo:delete',
      resource: RESOURCE,
      expiresAt,
      grantEnded: false,
      successor: {
        digest: digestOf('refresh-2'),
        keyId: 'key-1',
        expiresAt,
        confirmed: false,
        answers: 1,
      },
    });
  });

  it('E9: repeats the same answer, whose expiry stays, with another access token', async () => {
    const first = await rotate('refresh-1', 'refresh-2', 'access-2');
    opened.clock.advance(10 * SECOND);
    const second = await rotate('refresh-1', 'refresh-2', 'access-3');
    expect(second).toEqual(first);
    expect((await refreshOf('refresh-1'))?.successor?.answers).toBe(2);
    expect((await accessOf('access-2'))?.grantEnded).toBe(false);
    expect((await accessOf('access-3'))?.unconfirmedAnswer).toBe(digestOf('refresh-2'));
  });

  it('repeats an answer up to the limit, and not once more', async () => {
    for (const n of [1, 2, 3, 4, 5]) {
      expect((await rotate('refresh-1', 'refresh-2', `again-${n}`)).kind).toBe('rotated');
    }
    expect(await rotate('refresh-1', 'refresh-2', 'again-6')).toEqual({ kind: 'too_many_answers' });
    expect(await accessOf('again-6')).toBeUndefined();
    expect((await refreshOf('refresh-1'))?.successor?.answers).toBe(5);
    expect(await endReason()).toBeNull();
  });

  it('E9: ends the grant when a token is presented after its successor was used', async () => {
    await rotate('refresh-1', 'refresh-2', 'access-2');
    await rotate('refresh-2', 'refresh-3', 'access-3');
    expect(await rotate('refresh-1', 'refresh-2', 'stolen')).toEqual({
      kind: 'reuse',
      grantId: grant.id,
    });
    expect(await endReason()).toBe('refresh_reuse');
    expect(await accessOf('stolen')).toBeUndefined();
    for (const name of ['access-1', 'access-2', 'access-3']) {
      expect((await accessOf(name))?.grantEnded).toBe(true);
    }
    expect((await rotate('refresh-3', 'refresh-4', 'access-4')).kind).toBe('gone');
  });

  it('E9: ends the grant after an access token of the answer was used', async () => {
    await rotate('refresh-1', 'refresh-2', 'access-2');
    await rotate('refresh-1', 'refresh-2', 'access-3');
    await opened.store.tokens.confirmAnswer(digestOf('refresh-2'));
    expect((await accessOf('access-3'))?.unconfirmedAnswer).toBeNull();
    expect((await refreshOf('refresh-1'))?.successor?.confirmed).toBe(true);
    expect((await rotate('refresh-1', 'refresh-2', 'stolen')).kind).toBe('reuse');
    expect(await endReason()).toBe('refresh_reuse');
  });

  it('E9: lets two that race have the same answer', async () => {
    const both = await Promise.all([
      rotate('refresh-1', 'refresh-2', 'access-2'),
      rotate('refresh-1', 'refresh-2', 'access-3'),
    ]);
    expect(both.map((answer) => answer.kind)).toEqual(['rotated', 'rotated']);
    expect((await rotate('refresh-2', 'refresh-3', 'access-4')).kind).toBe('rotated');
  });

  it('confirming twice changes nothing', async () => {
    await rotate('refresh-1', 'refresh-2', 'access-2');
    await opened.store.tokens.confirmAnswer(digestOf('refresh-2'));
    await opened.store.tokens.confirmAnswer(digestOf('refresh-2'));
    await opened.store.tokens.confirmAnswer(digestOf('unknown'));
    expect((await rotate('refresh-2', 'refresh-3', 'access-3')).kind).toBe('rotated');
  });

  it('does not hand out a successor that has expired meanwhile', async () => {
    const successor = {
      digest: digestOf('refresh-2'),
      expiresAt: opened.clock.now() + DAY,
      keyId: 'key-1',
    };
    await rotate('refresh-1', 'refresh-2', 'access-2', { successor });
    opened.clock.advance(DAY);
    expect((await rotate('refresh-1', 'refresh-2', 'access-3')).kind).toBe('gone');
  });

  it('E9: knows a spent token as spent after its short-lived successor expired', async () => {
    const successor = {
      digest: digestOf('refresh-2'),
      expiresAt: opened.clock.now() + DAY,
      keyId: 'key-1',
    };
    await rotate('refresh-1', 'refresh-2', 'access-2', { successor });
    await opened.store.tokens.confirmAnswer(digestOf('refresh-2'));
    opened.clock.advance(2 * DAY);
    await opened.store.prune();
    expect((await rotate('refresh-1', 'refresh-2', 'stolen')).kind).toBe('reuse');
  });

  it('refuses a second, different successor as a bug', async () => {
    await rotate('refresh-1', 'refresh-2', 'access-2');
    const error = await failure(() => rotate('refresh-1', 'another', 'access-3'));
    expect(String(error)).toContain('one successor');
    expect(await accessOf('access-3')).toBeUndefined();
    expect((await refreshOf('refresh-1'))?.successor?.answers).toBe(1);
  });
});
