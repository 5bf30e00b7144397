import { beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import type { Grant } from '../../app/store/grants.ts';
import {
  addAccount,
  addClient,
  answerOf,
  DAY,
  HOUR,
  issueCode,
  MINUTE,
  newRequest,
  type Opened,
  open,
  RETENTION,
  rotation,
  STORED_MAX,
  sessionOf,
  signIn,
} from './harness.ts';

let opened: Opened;
let grant: Grant;

const NOTHING = {
  authorization_codes: 0,
  access_tokens: 0,
  refresh_tokens: 0,
  sessions: 0,
  authorization_requests: 0,
  browser_sessions: 0,
  grants: 0,
  accounts: 0,
  clients: 0,
};

beforeEach(async () => {
  opened = open();
  grant = await signIn(opened);
});

/** One millisecond before and then at `ms` from now: what each run of prune deletes. */
async function around(ms: number) {
  opened.clock.advance(ms - 1);
  const before = await opened.store.prune();
  opened.clock.advance(1);
  return { before, at: await opened.store.prune() };
}

describe('pruning', () => {
  it('deletes nothing that lives', async () => {
    expect(await opened.store.prune()).toEqual(NOTHING);
  });

  it('deletes access tokens at their expiry', async () => {
    const { before, at } = await around(HOUR);
    expect(before).toEqual(NOTHING);
    expect(at).toEqual({ ...NOTHING, access_tokens: 1 });
    expect((await opened.store.grants.find(grant.id))?.endedAt).toBeNull();
  });

  it('deletes refresh tokens at their expiry and ends the grant that has nothing left', async () => {
    opened.clock.advance(HOUR);
    await opened.store.prune();
    const { before, at } = await around(90 * DAY - HOUR);
    expect(before).toEqual(NOTHING);
    expect(at).toEqual({ ...NOTHING, refresh_tokens: 1 });
    expect(await opened.store.grants.find(grant.id)).toMatchObject({
      endedAt: opened.clock.now(),
      endReason: 'expired',
    });
    const ended = await opened.metrics.grantsEnded.get();
    expect(ended.values).toEqual([{ labels: { reason: 'expired' }, value: 1 }]);
  });

  it('keeps a refresh token as long as an access token of its answer', async () => {
    const { store, clock } = opened;
    const successor = { digest: digestOf('refresh-2'), expiresAt: clock.now() + 1, keyId: null };
    await store.tokens.rotate(rotation(clock, 'refresh-1', 'refresh-2', 'access-2', { successor }));
    clock.advance(1);
    expect(await store.prune()).toEqual(NOTHING);
    expect((await store.tokens.findAccess(digestOf('access-2')))?.grantEnded).toBe(false);
  });

  it('keeps the whole chain as long as its first token could be presented', async () => {
    const { store, clock } = opened;
    await store.tokens.rotate(rotation(clock, 'refresh-1', 'refresh-2', 'access-2'));
    await store.tokens.rotate(rotation(clock, 'refresh-2', 'refresh-3', 'access-3'));
    clock.advance(90 * DAY);
    const pruned = await store.prune();
    expect(pruned).toEqual({ ...NOTHING, access_tokens: 3, refresh_tokens: 3 });
    expect((await store.grants.find(grant.id))?.endReason).toBe('expired');
  });

  it('deletes unused codes at their expiry and ends their grants', async () => {
    const unused = await issueCode(opened, 'code-2');
    const { before, at } = await around(MINUTE);
    expect(before).toEqual(NOTHING);
    expect(at).toEqual({ ...NOTHING, authorization_codes: 1 });
    expect((await opened.store.grants.find(unused.id))?.endReason).toBe('expired');
    expect((await opened.store.authorizationCodes.find(digestOf('code-1')))?.usedAt).not.toBeNull();
  });

  it('deletes requests and browser sessions at their expiry', async () => {
    const { store, clock } = opened;
    await store.authorizationRequests.create(newRequest(clock), digestOf('approval'), 10);
    const digest = digestOf('browser');
    await store.browserSessions.signIn(digest, 1, clock.now() + 10 * MINUTE);
    const { before, at } = await around(10 * MINUTE);
    expect(before).toEqual(NOTHING);
    expect(at).toEqual({ ...NOTHING, authorization_requests: 1, browser_sessions: 1 });
  });

  it('deletes sessions a month after their last use', async () => {
    const { store, clock } = opened;
    await store.sessions.insert(sessionOf(clock, grant), STORED_MAX);
    clock.advance(DAY);
    store.sessions.used(digestOf('session-1'));
    await store.prune();
    const { before, at } = await around(RETENTION.sessionMs);
    expect(before.sessions).toBe(0);
    expect(at.sessions).toBe(1);
  });

  it('deletes an ended grant after its time as a tombstone, with all that hangs on it', async () => {
    const { store, clock } = opened;
    await store.sessions.insert(sessionOf(clock, grant), STORED_MAX);
    await store.grants.end(grant.id, 'revoked');
    clock.advance(RETENTION.tombstoneMs - 1);
    expect((await store.prune()).grants).toBe(0);
    clock.advance(1);
    const pruned = await store.prune();
    expect(pruned.grants).toBe(1);
    expect(await store.grants.find(grant.id)).toBeUndefined();
    expect(await store.authorizationCodes.find(digestOf('code-1'))).toBeUndefined();
    expect(await store.tokens.findAccess(digestOf('access-1'))).toBeUndefined();
    expect(await store.sessions.find(digestOf('session-1'))).toBeUndefined();
  });

  it('deletes an account that has no grant a year after its last change', async () => {
    const { store, clock } = opened;
    await addAccount(store, 2, 'bert');
    await store.browserSessions.signIn(digestOf('browser'), 2, clock.now() + 1000 * DAY);
    clock.advance(RETENTION.tombstoneMs - 1);
    expect((await store.prune()).accounts).toBe(0);
    clock.advance(1);
    expect((await store.prune()).accounts).toBe(1);
    expect(await store.accounts.find(2)).toBeUndefined();
    expect(await store.accounts.find(1)).toBeDefined();
    const browser = await store.browserSessions.find(digestOf('browser'));
    expect(browser).toMatchObject({ accountId: null, login: null });
  });

  it('R6: deletes a registration that was not used for its time, and none with a grant', async () => {
    const { store, clock } = opened;
    await addClient(store, 'never-used');
    await addClient(store, 'used-later');
    clock.advance(DAY);
    store.clients.used('used-later');
    clock.advance(RETENTION.unusedClientMs - DAY - 1);
    expect((await store.prune()).clients).toBe(0);
    clock.advance(1);
    expect((await store.prune()).clients).toBe(1);
    expect(await store.clients.find('never-used')).toBeUndefined();
    expect(await store.clients.find('used-later')).toBeDefined();
    clock.advance(DAY);
    expect((await store.prune()).clients).toBe(1);
    expect(await store.clients.find('client-1')).toBeDefined();
  });

  it('deletes a retired static client once no grant remembers it', async () => {
    const { store, clock } = opened;
    const shipped = { id: 'desktop', name: 'Desktop', redirectUris: [], secretDigest: null };
    await store.clients.syncStatic([shipped]);
    await issueCode(opened, 'code-2', { clientId: 'desktop' });
    await store.clients.syncStatic([]);
    clock.advance(RETENTION.tombstoneMs - 1);
    const early = await store.prune();
    expect(early.grants).toBe(0);
    clock.advance(1);
    expect(await store.prune()).toMatchObject({ grants: 1, clients: 1 });
  });

  it('deletes more rows than fit into one batch', async () => {
    const { store, clock } = opened;
    for (let n = 0; n < 1_200; n += 1) {
      const digest = digestOf(`browser ${n}`);
      await store.browserSessions.signIn(digest, 1, clock.now() + MINUTE);
    }
    clock.advance(MINUTE);
    expect((await store.prune()).browser_sessions).toBe(1_200);
  });

  it('runs once when it is asked for twice at the same time', async () => {
    opened.clock.advance(HOUR);
    const [first, second] = await Promise.all([opened.store.prune(), opened.store.prune()]);
    expect(first).toBe(second);
    const counted = await opened.metrics.rowsPruned.get();
    const access = counted.values.find((value) => value.labels.table === 'access_tokens');
    expect(access?.value).toBe(1);
  });

  it('ends early when the store closes, and the store closes', async () => {
    const { store, clock } = opened;
    for (let n = 0; n < 1_200; n += 1) {
      const digest = digestOf(`browser ${n}`);
      await store.browserSessions.signIn(digest, 1, clock.now() + MINUTE);
    }
    clock.advance(MINUTE);
    const running = store.prune();
    await store.close();
    expect((await running).browser_sessions).toBeLessThan(1_200);
  });

  it('does not mistake a repeated answer for the end of a grant', async () => {
    const { store, clock } = opened;
    const answer = answerOf(clock, 'access-2', 'refresh-2');
    await issueCode(opened, 'code-2');
    await store.authorizationCodes.redeem(digestOf('code-2'), answer);
    clock.advance(HOUR);
    await store.prune();
    expect(await store.grants.listLive(1)).toHaveLength(2);
  });
});
