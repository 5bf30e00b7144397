import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import { StoreError } from '../../app/store/store-error.ts';
import {
  addAccount,
  addClient,
  answerOf,
  DAY,
  Directory,
  HOUR,
  issueCode,
  newClient,
  newRequest,
  type Opened,
  open,
  rotation,
} from './harness.ts';

const REQUESTS = 300;
let directory: Directory;
let opened: Opened;

beforeEach(async () => {
  directory = new Directory();
  opened = open({ path: directory.store, pagesMax: 160 });
  await addClient(opened.store, 'client-1');
  await addAccount(opened.store);
});

afterEach(async () => {
  await opened.store.close();
  directory.remove();
});

/** Runs `write` with 0, 1, 2 ... until the store is full, and says with which number it was. */
async function untilFull(write: (n: number) => Promise<unknown>): Promise<number> {
  for (let n = 0; n < 10_000; n += 1) {
    try {
      await write(n);
    } catch (error) {
      if (error instanceof StoreError && error.kind === 'full') return n;
      throw error;
    }
  }
  throw new Error('the store never became full');
}

/** Takes every free page; what is left is room within pages. */
function fill(): Promise<number> {
  const name = 'n'.repeat(3_000);
  return untilFull((n) =>
    opened.store.clients.register(newClient({ id: `filler-${n}`, name: `${name}${n}` }), 10_000),
  );
}

const countOf = (table: string) =>
  directory.query<{ count: number }>(`SELECT count(*) AS count FROM ${table}`)[0]?.count;

describe('a full disk', () => {
  it('leaves no half-written grant', async () => {
    const { store, clock } = opened;
    for (let n = 0; n < REQUESTS; n += 1) {
      const digest = digestOf(`request of code-${n}`);
      await store.authorizationRequests.create(
        newRequest(clock, { digest }),
        digestOf('approval'),
        REQUESTS,
      );
    }
    await fill();
    const failed = await untilFull((n) => issueCode(opened, `code-${n}`));

    expect(failed).toBeLessThan(REQUESTS);
    expect(await store.authorizationCodes.find(digestOf(`code-${failed}`))).toBeUndefined();
    const request = await store.authorizationRequests.find(digestOf(`request of code-${failed}`));
    expect(request).toBeDefined();
    expect(countOf('grants')).toBe(failed);
    expect(countOf('authorization_codes')).toBe(failed);
    expect(countOf('authorization_requests')).toBe(REQUESTS - failed);
  });

  it('leaves no half-written token answer, and the code or token can be used later', async () => {
    const { store, clock } = opened;
    for (let n = 0; n < REQUESTS; n += 1) await issueCode(opened, `code-${n}`);
    await fill();
    const redeem = (n: number) =>
      store.authorizationCodes.redeem(
        digestOf(`code-${n}`),
        answerOf(clock, `access-${n}`, `refresh-${n}`),
      );
    const failed = await untilFull(redeem);
    expect(failed).toBeLessThan(REQUESTS);
    expect((await store.authorizationCodes.find(digestOf(`code-${failed}`)))?.usedAt).toBeNull();
    expect(await store.tokens.findAccess(digestOf(`access-${failed}`))).toBeUndefined();
    expect(await store.tokens.findRefresh(digestOf(`refresh-${failed}`))).toBeUndefined();
    expect(countOf('access_tokens')).toBe(failed);
    expect(countOf('refresh_tokens')).toBe(failed);

    const rotate = (n: number) =>
      store.tokens.rotate(rotation(clock, `refresh-${n}`, `next-${n}`, `access-next-${n}`));
    const stuck = await untilFull(rotate);
    const token = await store.tokens.findRefresh(digestOf(`refresh-${stuck}`));
    expect(token).toMatchObject({ successor: null, grantEnded: false });
    expect(await store.tokens.findAccess(digestOf(`access-next-${stuck}`))).toBeUndefined();

    // Room again: the registrations that were never used are dropped.
    clock.advance(30 * DAY);
    await store.prune();
    expect((await rotate(stuck)).kind).toBe('rotated');
  });

  it('is told by writable(), counted, logged, and over when there is room', async () => {
    const { store, clock, metrics, log } = opened;
    expect(await store.writable()).toBe(true);
    await fill();
    expect(await store.writable()).toBe(false);
    const failures = await metrics.storeFailures.get();
    expect(failures.values).toEqual([{ labels: { kind: 'full' }, value: 2 }]);
    expect(log.of('store.failed')[0]).toMatchObject({ kind: 'full', level: 'error' });

    clock.advance(30 * DAY);
    await store.prune();
    expect(await store.writable()).toBe(true);
    expect(directory.query("SELECT * FROM meta WHERE name = 'probe'")).toEqual([]);
  });

  it('still answers what only reads', async () => {
    await fill();
    expect((await opened.store.clients.find('client-1'))?.id).toBe('client-1');
    expect((await opened.store.accounts.tokensOf(1))?.account.login).toBe('anna');
  });

  it('says what failed and nothing of what was to be written', async () => {
    await fill();
    const name = 'canary-of-a-full-disk'.repeat(200);
    const error = await opened.store.clients
      .register(newClient({ id: 'late', name }), 10_000)
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(StoreError);
    expect((error as StoreError).message).toBe('the disk of the store is full');
    expect(opened.log.text()).not.toContain('canary-of-a-full-disk');
  });

  it('still keeps last uses, which take no new room', async () => {
    const { store, clock } = opened;
    const grant = await issueCode(opened, 'code-1');
    await fill();
    clock.advance(HOUR);
    store.grants.used(grant.id);
    clock.advance(5_000);
    expect((await store.grants.find(grant.id))?.lastUsedAt).toBe(clock.now() - 5_000);
  });
});
