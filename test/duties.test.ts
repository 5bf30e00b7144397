import { describe, expect, it } from 'bun:test';
import { silentLog } from '../app/base/log.ts';
import { createDuties } from '../app/duties.ts';
import type { Built } from '../app/mount.ts';
import { FakeClock } from './support/fake-clock.ts';

function setUp() {
  const clock = new FakeClock();
  const told: string[] = [];
  const idle = Promise.withResolvers<void>();
  const tell = (what: string) => () => void told.push(what);
  const parts = {
    clock,
    log: silentLog,
    store: {
      takeLock: tell('lock'),
      releaseLock: tell('unlock'),
      prune: async () => void told.push('prune'),
    },
    sessions: {
      sweep() {
        told.push('sweep');
        return tell('no sweep');
      },
    },
    tokens: { resume: tell('tokens'), pause: tell('no tokens'), idle: () => idle.promise },
  };
  const duties = createDuties(parts as unknown as Built);
  const since = () => told.splice(0);
  return { clock, duties, idle, since };
}

const PRUNE_EVERY_MS = 10 * 60_000;

describe('what one broker of a store does alone', () => {
  it('begins with the lock, and goes on by itself', () => {
    const { clock, duties, since } = setUp();
    duties.begin();
    expect(since()).toEqual(['lock', 'tokens', 'sweep']);
    clock.advance(2 * PRUNE_EVERY_MS);
    expect(since()).toEqual(['prune', 'prune']);
    duties.stop();
    clock.advance(2 * PRUNE_EVERY_MS);
    expect(since()).toEqual(['no sweep']);
  });

  it('is given away when the token calls that are on their way have ended, the lock last', async () => {
    const { clock, duties, idle, since } = setUp();
    duties.begin();
    since();
    const released = duties.release();
    expect(since()).toEqual(['no sweep', 'no tokens']);
    clock.advance(1000);
    idle.resolve();
    expect(await released).toBe(true);
    expect(since()).toEqual(['unlock']);
    clock.advance(2 * PRUNE_EVERY_MS);
    expect(since()).toEqual([]);
  });

  it('is kept when a token call does not end: its answer may have rotated the tokens', async () => {
    const { clock, duties, since } = setUp();
    duties.begin();
    since();
    const released = duties.release();
    clock.advance(14_999);
    expect(since()).not.toContain('lock');
    clock.advance(1);
    expect(await released).toBe(false);
    expect(since()).toEqual(['lock', 'tokens', 'sweep']);
    clock.advance(PRUNE_EVERY_MS);
    expect(since()).toEqual(['prune']);
  });

  it('is begun anew after it was given away and nobody took it, once', async () => {
    const { clock, duties, idle, since } = setUp();
    duties.begin();
    idle.resolve();
    await duties.release();
    since();
    duties.begin();
    duties.begin();
    expect(since()).toEqual(['lock', 'tokens', 'sweep', 'lock', 'tokens', 'no sweep', 'sweep']);
    clock.advance(PRUNE_EVERY_MS);
    expect(since()).toEqual(['prune']);
  });
});
