import { afterEach, describe, expect, it, setSystemTime } from 'bun:test';
import { systemClock } from '../../app/base/clock.ts';
import { createRateLimiter } from '../../app/base/rate-limiter.ts';

const START = Date.UTC(2026, 0, 1);

afterEach(() => {
  setSystemTime();
});

function limiter(options: { count: number; windowMs?: number; keysMax?: number }) {
  setSystemTime(START);
  let evicted = 0;
  const made = createRateLimiter({
    windowMs: 60_000,
    keysMax: 100,
    ...options,
    onFull: () => {
      evicted += 1;
    },
    clock: systemClock,
  });
  const take = async (key: string) => (await made.take(key)).kind;
  return { made, take, evicted: () => evicted };
}

describe('a rate limiter', () => {
  it('allows as many as it says, and refuses the one beyond', async () => {
    const { take } = limiter({ count: 3 });
    expect([await take('a'), await take('a'), await take('a')]).toEqual(Array(3).fill('allowed'));
    expect(await take('a')).toBe('refused');
    expect(await take('b')).toBe('allowed');
  });

  it('tells when to come again, and how often a key was refused in its window', async () => {
    const { made } = limiter({ count: 1, windowMs: 60_000 });
    await made.take('a');
    setSystemTime(START + 45_000);
    expect(await made.take('a')).toEqual({ kind: 'refused', retryAfterMs: 15_000, beyond: 1 });
    expect(await made.take('a')).toMatchObject({ beyond: 2 });
    setSystemTime(START + 60_000);
    expect(await made.take('a')).toEqual({ kind: 'allowed' });
    expect(await made.take('a')).toMatchObject({ kind: 'refused', beyond: 1 });
  });

  it('still refuses a millisecond before its window is over', async () => {
    const { take } = limiter({ count: 1, windowMs: 60_000 });
    await take('a');
    setSystemTime(START + 59_999);
    expect(await take('a')).toBe('refused');
  });

  it('keeps as many counters as it may, and lets the oldest window go for one more', async () => {
    const { made, take, evicted } = limiter({ count: 1, keysMax: 3 });
    for (const key of ['a', 'b', 'c']) await take(key);
    expect([made.size, evicted()]).toEqual([3, 0]);
    await take('d');
    expect([made.size, evicted()]).toEqual([3, 1]);
    expect(await take('b')).toBe('refused');
    expect(await take('a')).toBe('allowed');
  });

  it('forgets counters whose window is over, without counting that as a lack of room', async () => {
    const { made, take, evicted } = limiter({ count: 1, keysMax: 3, windowMs: 1000 });
    for (const key of ['a', 'b', 'c']) await take(key);
    setSystemTime(START + 1000);
    await take('d');
    expect([made.size, evicted()]).toEqual([1, 0]);
  });

  it('stays within its bound under a flood of keys', async () => {
    const { made } = limiter({ count: 1, keysMax: 50 });
    await Promise.all(Array.from({ length: 5000 }, (_, n) => made.take(`key ${n}`)));
    expect(made.size).toBe(50);
    made.close();
    expect(made.size).toBe(0);
  });
});
