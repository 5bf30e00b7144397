import { beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import type { Approval } from '../../app/store/authorization-requests.ts';
import {
  addAccount,
  addClient,
  issueCode,
  MINUTE,
  newRequest,
  type Opened,
  open,
} from './harness.ts';

let opened: Opened;
const request = digestOf('request-1');
const approval = digestOf('approval');
const upstream = digestOf('upstream state');
const wrong = digestOf('wrong');

beforeEach(async () => {
  opened = open();
  await addClient(opened.store, 'client-1');
  await addAccount(opened.store, 1, 'anna');
});

const PERMISSION = '{"scope":"forgejo:read"}';

function yes(change: Partial<Approval> & Pick<Approval, 'expiresAt'>): Approval {
  return {
    approvalDigest: approval,
    upstreamStateDigest: upstream,
    permission: PERMISSION,
    ...change,
  };
}

async function create(): Promise<void> {
  const { store, clock } = opened;
  await store.authorizationRequests.create(newRequest(clock), approval, 10);
}

async function approve(): Promise<void> {
  const { store, clock } = opened;
  const expiresAt = clock.now() + 10 * MINUTE;
  await store.authorizationRequests.approve(request, yes({ expiresAt }));
}

describe('an authorization request in stage consent', () => {
  it('is refused beyond the limit, and expired ones do not count', async () => {
    const { store, clock } = opened;
    const requests = store.authorizationRequests;
    const numbered = (n: number) => newRequest(clock, { digest: digestOf(`request ${n}`) });
    expect(await requests.create(numbered(1), approval, 2)).toBe(true);
    expect(await requests.create(numbered(2), approval, 2)).toBe(true);
    expect(await requests.create(numbered(3), approval, 2)).toBe(false);
    expect(await requests.find(digestOf('request 3'))).toBeUndefined();
    clock.advance(10 * MINUTE);
    expect(await requests.create(numbered(3), approval, 2)).toBe(true);
  });

  it('is gone at its expiry', async () => {
    const { store, clock } = opened;
    await create();
    clock.advance(10 * MINUTE - 1);
    expect(await store.authorizationRequests.find(request)).toBeDefined();
    clock.advance(1);
    expect(await store.authorizationRequests.find(request)).toBeUndefined();
    const late = store.authorizationRequests.approve(request, yes({ expiresAt: clock.now() + 9 }));
    expect(await late).toBeUndefined();
  });

  it('gives back what it was made of, the state of the client too', async () => {
    const { store, clock } = opened;
    await create();
    const made = newRequest(clock);
    expect(await store.authorizationRequests.find(request)).toEqual({
      ...made,
      permission: null,
      stage: 'consent',
      accountId: null,
    });
    const bare = newRequest(clock, { digest: digestOf('bare'), clientState: null });
    await store.authorizationRequests.create({ ...bare, shownAccountId: 1 }, approval, 10);
    const found = await store.authorizationRequests.find(digestOf('bare'));
    expect(found).toMatchObject({ clientState: null, shownAccountId: 1 });
  });

  it('S2: has no upstream state, and no callback, before it was approved', async () => {
    const { store } = opened;
    await create();
    expect(await store.authorizationRequests.findCallback(upstream)).toBeUndefined();
    expect(await store.authorizationRequests.takeCallback(upstream)).toBeUndefined();
  });

  it('is not approved by another value, and stays as it was', async () => {
    const { store, clock } = opened;
    await create();
    const expiresAt = clock.now() + MINUTE;
    const requests = store.authorizationRequests;
    expect(
      await requests.approve(request, yes({ approvalDigest: wrong, expiresAt })),
    ).toBeUndefined();
    expect(await requests.approve(wrong, yes({ expiresAt }))).toBeUndefined();
    expect((await requests.find(request))?.stage).toBe('consent');
  });

  it('is approved once', async () => {
    const { store, clock } = opened;
    await create();
    const requests = store.authorizationRequests;
    const expiresAt = clock.now() + MINUTE;
    const approved = await requests.approve(request, yes({ expiresAt }));
    expect(approved).toMatchObject({ stage: 'forge', expiresAt, digest: request });
    const again = yes({ upstreamStateDigest: wrong, expiresAt });
    expect(await requests.approve(request, again)).toBeUndefined();
    expect(await requests.findCallback(wrong)).toBeUndefined();
  });

  it('keeps what the person allowed, from the approval to the callback', async () => {
    const { store, clock } = opened;
    await create();
    expect((await store.authorizationRequests.find(request))?.permission).toBeNull();
    await store.authorizationRequests.approve(request, yes({ expiresAt: clock.now() + MINUTE }));
    expect((await store.authorizationRequests.takeCallback(upstream))?.permission).toBe(PERMISSION);
  });

  it('cannot be confirmed', async () => {
    const { store, clock } = opened;
    await create();
    const requests = store.authorizationRequests;
    expect(await requests.toConfirm(request, 1, approval, clock.now() + 9)).toBe(false);
    expect(await requests.takeConfirm(request, approval)).toBeUndefined();
  });
});

describe('an authorization request in stage forge', () => {
  it('S2: gives its callback once, and finding it takes nothing', async () => {
    const { store } = opened;
    await create();
    await approve();
    const requests = store.authorizationRequests;
    expect((await requests.findCallback(upstream))?.digest).toBe(request);
    expect((await requests.findCallback(upstream))?.digest).toBe(request);
    expect(await requests.takeCallback(upstream)).toMatchObject({
      digest: request,
      stage: 'forge',
      clientState: 'the-state-of-the-client',
    });
    expect(await requests.takeCallback(upstream)).toBeUndefined();
    expect(await requests.findCallback(upstream)).toBeUndefined();
    expect((await requests.find(request))?.stage).toBe('forge');
  });

  it('gives its callback to one of two that come at once', async () => {
    const { store } = opened;
    await create();
    await approve();
    const both = await Promise.all([
      store.authorizationRequests.takeCallback(upstream),
      store.authorizationRequests.takeCallback(upstream),
    ]);
    expect(both.filter((taken) => taken !== undefined)).toHaveLength(1);
  });

  it('has no callback from its expiry on', async () => {
    const { store, clock } = opened;
    await create();
    await approve();
    clock.advance(10 * MINUTE);
    expect(await store.authorizationRequests.findCallback(upstream)).toBeUndefined();
    expect(await store.authorizationRequests.takeCallback(upstream)).toBeUndefined();
  });

  it('cannot be confirmed before its callback was taken', async () => {
    const { store, clock } = opened;
    await create();
    await approve();
    const later = clock.now() + MINUTE;
    const requests = store.authorizationRequests;
    expect(await requests.toConfirm(request, 1, approval, later)).toBe(false);
    await requests.takeCallback(upstream);
    // The answer of a slow forge: the person still waits.
    clock.advance(11 * MINUTE);
    expect(await requests.toConfirm(request, 1, approval, clock.now() + MINUTE)).toBe(true);
  });
});

describe('an authorization request in stage confirm', () => {
  const confirm = digestOf('confirm approval');

  beforeEach(async () => {
    const { store, clock } = opened;
    await create();
    await approve();
    await store.authorizationRequests.takeCallback(upstream);
    await store.authorizationRequests.toConfirm(request, 1, confirm, clock.now() + MINUTE);
  });

  it('is confirmed once, with its own approval value only', async () => {
    const requests = opened.store.authorizationRequests;
    expect(await requests.takeConfirm(request, approval)).toBeUndefined();
    expect(await requests.takeConfirm(wrong, confirm)).toBeUndefined();
    expect(await requests.takeConfirm(request, confirm)).toMatchObject({ accountId: 1 });
    expect(await requests.takeConfirm(request, confirm)).toBeUndefined();
  });

  it('is gone at its expiry', async () => {
    opened.clock.advance(MINUTE);
    const requests = opened.store.authorizationRequests;
    expect(await requests.takeConfirm(request, confirm)).toBeUndefined();
  });

  it('has no callback any more', async () => {
    expect(await opened.store.authorizationRequests.takeCallback(upstream)).toBeUndefined();
  });

  it('ends with its code, or when it is deleted', async () => {
    const { store, clock } = opened;
    const other = newRequest(clock, { digest: digestOf('request of code-1') });
    await store.authorizationRequests.create(other, approval, 10);
    await issueCode(opened, 'code-1');
    expect(await store.authorizationRequests.find(other.digest)).toBeUndefined();
    await store.authorizationRequests.delete(request);
    expect(await store.authorizationRequests.find(request)).toBeUndefined();
  });
});
