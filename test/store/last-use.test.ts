import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import type { Grant } from '../../app/store/grants.ts';
import { LAST_USE_PERIOD_MS } from '../../app/store/last-use.ts';
import { Directory, type Opened, open, SECOND, STORED_MAX, sessionOf, signIn } from './harness.ts';

let directory: Directory;
let opened: Opened;
let grant: Grant;

beforeEach(async () => {
  directory = new Directory();
  opened = open({ path: directory.store });
  grant = await signIn(opened);
});

afterEach(async () => {
  await opened.store.close();
  directory.remove();
});

const lastUse = async () => (await opened.store.grants.find(grant.id))?.lastUsedAt;

describe('the time of last use', () => {
  it('is gathered and written after some seconds, not at once', async () => {
    const { store, clock } = opened;
    store.grants.used(grant.id);
    clock.advance(SECOND);
    store.grants.used(grant.id);
    const usedAt = clock.now();
    clock.advance(LAST_USE_PERIOD_MS - SECOND - 1);
    expect(await lastUse()).toBeNull();
    clock.advance(1);
    expect(await lastUse()).toBe(usedAt);
  });

  it('keeps no timer while nothing is used', () => {
    const { store, clock } = opened;
    expect(clock.pending).toBe(0);
    store.grants.used(grant.id);
    store.clients.used('client-1');
    expect(clock.pending).toBe(1);
    clock.advance(LAST_USE_PERIOD_MS);
    expect(clock.pending).toBe(0);
  });

  it('is kept of clients, grants and sessions', async () => {
    const { store, clock } = opened;
    await store.sessions.insert(sessionOf(clock, grant), STORED_MAX);
    clock.advance(SECOND);
    store.clients.used('client-1');
    store.sessions.used(digestOf('session-1'));
    const usedAt = clock.now();
    clock.advance(LAST_USE_PERIOD_MS);
    expect((await store.clients.find('client-1'))?.lastUsedAt).toBe(usedAt);
    expect((await store.sessions.find(digestOf('session-1')))?.lastUsedAt).toBe(usedAt);
  });

  it('is tried again after a failure, and what was noted meanwhile is the newer', async () => {
    const { store, clock, metrics } = opened;
    const other = new Database(directory.store);
    other.run('BEGIN IMMEDIATE');
    store.grants.used(grant.id);
    clock.advance(LAST_USE_PERIOD_MS);
    await Promise.resolve();
    other.run('ROLLBACK');
    other.close();
    expect((await metrics.storeFailures.get()).values).toEqual([
      { labels: { kind: 'busy' }, value: 1 },
    ]);
    expect(await lastUse()).toBeNull();
    store.grants.used(grant.id);
    const usedAt = clock.now();
    clock.advance(LAST_USE_PERIOD_MS);
    expect(await lastUse()).toBe(usedAt);
  });

  it('is written by prune, before it decides', async () => {
    const { store, clock } = opened;
    store.grants.used(grant.id);
    await store.prune();
    expect(await lastUse()).toBe(clock.now());
  });
});
