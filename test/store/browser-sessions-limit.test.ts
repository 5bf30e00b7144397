import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import { BROWSER_SESSIONS_MAX } from '../../app/store/browser-sessions.ts';
import { addAccount, DAY, Directory, open } from './harness.ts';

let directory: Directory;

beforeEach(() => {
  directory = new Directory();
});

afterEach(() => {
  directory.remove();
});

const countOf = () =>
  directory.query<{ count: number }>('SELECT count(*) AS count FROM browser_sessions')[0]?.count;

describe('the number of browser sessions', () => {
  it('stays at its limit by forgetting those without a sign-in that expire first', async () => {
    const first = open({ path: directory.store });
    await addAccount(first.store, 1);
    const now = first.clock.now();
    await first.store.browserSessions.signIn(digestOf('signed in'), 1, now + 1);
    await first.store.close();
    // All but one of the strangers, written at once: one commit each would take seconds.
    const hand = new Database(directory.store);
    const fill = hand.prepare<never, [string, number]>(
      'INSERT INTO browser_sessions (digest, created_at, expires_at) VALUES (?, 1, ?)',
    );
    hand.transaction(() => {
      for (let at = 1; at < BROWSER_SESSIONS_MAX; at += 1) {
        fill.run(digestOf(`stranger ${at}`), now + DAY + at);
      }
    })();
    fill.finalize();
    hand.close();

    const { store } = open({ path: directory.store });
    const expiresAt = now + 2 * DAY;
    await store.browserSessions.create({ digest: digestOf('at the limit'), expiresAt });
    expect(countOf()).toBe(BROWSER_SESSIONS_MAX + 1);
    expect(await store.browserSessions.find(digestOf('stranger 1'))).toBeDefined();

    await store.browserSessions.create({ digest: digestOf('one beyond'), expiresAt });
    expect(countOf()).toBe(BROWSER_SESSIONS_MAX + 1);
    expect(await store.browserSessions.find(digestOf('stranger 1'))).toBeUndefined();
    expect(await store.browserSessions.find(digestOf('stranger 2'))).toBeDefined();
    expect(await store.browserSessions.find(digestOf('signed in'))).toBeDefined();
    expect(await store.browserSessions.find(digestOf('one beyond'))).toBeDefined();
    await store.close();
  });
});
