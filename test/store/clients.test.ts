import { beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import {
  addAccount,
  addClient,
  HOUR,
  issueCode,
  MINUTE,
  newClient,
  newRequest,
  type Opened,
  open,
} from './harness.ts';

let opened: Opened;

beforeEach(() => {
  opened = open();
});

describe('registering a client', () => {
  it('R6: refuses one beyond the limit while all are younger than an hour', async () => {
    const { store, clock } = opened;
    await store.clients.register(newClient({ id: 'a', name: 'a' }), 2);
    await store.clients.register(newClient({ id: 'b', name: 'b' }), 2);
    clock.advance(HOUR);
    const answer = await store.clients.register(newClient({ id: 'c', name: 'c' }), 2);
    expect(answer).toEqual({ kind: 'full' });
    expect(await store.clients.find('c')).toBeUndefined();
  });

  it('R6: makes room by the oldest one that was never used, once it is older than an hour', async () => {
    const { store, clock } = opened;
    await store.clients.register(newClient({ id: 'a', name: 'a' }), 2);
    clock.advance(MINUTE);
    await store.clients.register(newClient({ id: 'b', name: 'b' }), 2);
    clock.advance(HOUR + 1);
    const answer = await store.clients.register(newClient({ id: 'c', name: 'c' }), 2);
    expect(answer.kind).toBe('registered');
    expect(await store.clients.find('a')).toBeUndefined();
    expect(await store.clients.find('b')).toBeDefined();
  });

  it('R6: never drops a client that was used, has a grant, or has a login on its way', async () => {
    const { store, clock } = opened;
    for (const id of ['used', 'granted', 'asking']) await addClient(store, id);
    await addAccount(store);
    await issueCode(opened, 'code', { clientId: 'granted' });
    const request = newRequest(clock, { clientId: 'asking', expiresAt: clock.now() + 2 * HOUR });
    await store.authorizationRequests.create(request, digestOf('approval'), 10);
    clock.advance(HOUR + 1);
    // Only noted so far, not yet written.
    store.clients.used('used');
    expect(await store.clients.register(newClient({ id: 'late' }), 3)).toEqual({ kind: 'full' });
    for (const id of ['used', 'granted', 'asking']) {
      expect(await store.clients.find(id)).toBeDefined();
    }
  });

  it('R6: gives the client that is there for an identical public registration', async () => {
    const { store, clock } = opened;
    const first = await store.clients.register(newClient({ id: 'a' }), 1);
    clock.advance(HOUR);
    const second = await store.clients.register(newClient({ id: 'b' }), 1);
    if (first.kind !== 'registered') throw new Error(first.kind);
    expect(second).toEqual({ kind: 'existing', client: first.client });
    expect(await store.clients.find('b')).toBeUndefined();
  });

  it('R6: does not drop for being old what was just registered again', async () => {
    const { store, clock } = opened;
    await store.clients.register(newClient({ id: 'a' }), 1);
    clock.advance(2 * HOUR);
    await store.clients.register(newClient({ id: 'again' }), 1);
    const other = await store.clients.register(newClient({ id: 'b', name: 'other' }), 1);
    expect(other).toEqual({ kind: 'full' });
  });

  it('never takes two registrations with secrets for one', async () => {
    const { store } = opened;
    const withSecret = (id: string) =>
      newClient({ id, authMethod: 'client_secret_basic', secretDigest: digestOf(`of ${id}`) });
    expect((await store.clients.register(withSecret('a'), 9)).kind).toBe('registered');
    expect((await store.clients.register(withSecret('b'), 9)).kind).toBe('registered');
    expect((await store.clients.find('b'))?.secretDigest).toBe(digestOf('of b'));
  });

  it('takes registrations that differ in one member for two', async () => {
    const { store } = opened;
    const variants = [
      newClient({ id: 'a' }),
      newClient({ id: 'b', name: 'Another' }),
      newClient({ id: 'c', redirectUris: ['https://editor.example/callback', 'http://[::1]/'] }),
      newClient({ id: 'd', applicationType: 'native' }),
      newClient({ id: 'e', clientUri: 'https://editor.example' }),
    ];
    for (const variant of variants) {
      expect((await store.clients.register(variant, 9)).kind).toBe('registered');
    }
  });

  it('gives back what was registered', async () => {
    const { store, clock } = opened;
    const client = newClient({
      redirectUris: ['http://127.0.0.1/', 'https://editor.example/ä?x=1'],
      authMethod: 'client_secret_post',
      secretDigest: digestOf('secret'),
      applicationType: 'web',
      clientUri: 'https://editor.example',
    });
    await store.clients.register(client, 9);
    expect(await store.clients.find('client-1')).toEqual({
      ...client,
      kind: 'dcr',
      createdAt: clock.now(),
      lastUsedAt: null,
    });
  });
});

describe('static clients (R8)', () => {
  const shipped = {
    id: 'desktop',
    name: 'Desktop',
    redirectUris: ['https://desktop.example/cb'],
    secretDigest: null,
  };

  it('R8: retires a client that the configuration lost and ends its live grants', async () => {
    const { store, clock } = opened;
    await store.clients.syncStatic([shipped, { ...shipped, id: 'other' }]);
    await addAccount(store);
    const ended = await issueCode(opened, 'code-1', { clientId: 'desktop' });
    const kept = await issueCode(opened, 'code-2', { clientId: 'other' });
    const earlier = await issueCode(opened, 'code-3', { clientId: 'desktop' });
    await store.grants.end(earlier.id, 'revoked');

    expect(await store.clients.syncStatic([{ ...shipped, id: 'other' }])).toEqual([ended.id]);
    expect(await store.clients.find('desktop')).toBeUndefined();
    const grant = await store.grants.find(ended.id);
    expect(grant).toMatchObject({ endedAt: clock.now(), endReason: 'client_removed' });
    expect((await store.grants.find(kept.id))?.endedAt).toBeNull();
    expect((await store.grants.find(earlier.id))?.endReason).toBe('revoked');
  });

  it('R8: takes a client back that the configuration has again, with its new values', async () => {
    const { store } = opened;
    await store.clients.syncStatic([shipped]);
    await store.clients.syncStatic([]);
    const secretDigest = digestOf('secret');
    expect(await store.clients.syncStatic([{ ...shipped, secretDigest }])).toEqual([]);
    expect(await store.clients.find('desktop')).toMatchObject({
      kind: 'static',
      authMethod: 'client_secret_basic',
      secretDigest,
    });
  });

  it('changes nothing when nothing changed', async () => {
    const { store } = opened;
    await store.clients.syncStatic([shipped]);
    await addAccount(store);
    const grant = await issueCode(opened, 'code-1', { clientId: 'desktop' });
    expect(await store.clients.syncStatic([shipped])).toEqual([]);
    expect((await store.grants.find(grant.id))?.endedAt).toBeNull();
  });

  it('never counts against the limit of registrations, nor makes room for them', async () => {
    const { store, clock } = opened;
    await store.clients.syncStatic([shipped]);
    clock.advance(2 * HOUR);
    expect((await store.clients.register(newClient({ id: 'a' }), 1)).kind).toBe('registered');
    expect(await store.clients.find('desktop')).toBeDefined();
  });
});
