import { describe, expect, it } from 'bun:test';
import { createMetrics } from '../../app/base/metrics.ts';
import type { RateLimitRules } from '../../app/base/rate-limits.ts';
import { createRateLimits } from '../../app/http/rate-limits.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { createMemoryLog } from '../support/memory-log.ts';
import { NO_RATE_LIMITS } from '../support/rate-limits.ts';

function limits(first: Partial<RateLimitRules>) {
  const log = createMemoryLog();
  const metrics = createMetrics();
  const clock = new FakeClock();
  let rules: RateLimitRules = { ...NO_RATE_LIMITS, ...first };
  const made = createRateLimits({
    rules: () => rules,
    // The address is the whole header here; test/http/client-address.test.ts has the real one.
    addresses: {
      of: ({ headers }) => ({ text: headers.get('from'), subscriber: headers.get('from') ?? '' }),
    },
    clock,
    log: log.log,
    metrics,
  });
  const change = (next: Partial<RateLimitRules>) => {
    rules = { ...NO_RATE_LIMITS, ...next };
  };
  const from = (address: string) =>
    new Request('http://localhost/', { headers: { from: address } });
  return { ...made, from, change, log, metrics, clock };
}

const TWO = { count: 2, windowMs: 60_000 };

describe('rate limits', () => {
  it('S9: count each limit and each address for itself', async () => {
    const { byAddress, from } = limits({ register: TWO, token: TWO });
    const register = () => byAddress('register', from('a'));
    expect([await register(), await register()]).toEqual([undefined, undefined]);
    expect(await register()).toBeWithin(1, 61);
    expect(await byAddress('token', from('a'))).toBeUndefined();
    expect(await byAddress('register', from('b'))).toBeUndefined();
  });

  it('S9: count each account for itself', async () => {
    const { byAccount } = limits({ account_mcp: TWO });
    for (const account of [1, 2]) {
      expect(await byAccount('account_mcp', account)).toBeUndefined();
      expect(await byAccount('account_mcp', account)).toBeUndefined();
      expect(await byAccount('account_mcp', account)).toBeWithin(1, 61);
    }
  });

  it('let everything pass where there is no rule', async () => {
    const { byAddress, from } = limits({});
    for (let n = 0; n < 1000; n += 1) {
      expect(await byAddress('register', from('a'))).toBeUndefined();
    }
  });

  it('count every refusal and log the first of a window', async () => {
    const { byAddress, from, log, metrics } = limits({ register: TWO });
    for (let n = 0; n < 10; n += 1) await byAddress('register', from('192.0.2.1'));
    const counted = await metrics.rateLimited.get();
    expect(counted.values).toEqual([{ labels: { limit: 'register' }, value: 8 }]);
    expect(log.of('rate.limited')).toMatchObject([
      { level: 'warn', limit: 'register', address: '192.0.2.1' },
    ]);
  });

  it('refuse at once twenty times, and let who goes on wait a second for each refusal', async () => {
    const { byAddress, from, clock } = limits({ register: TWO });
    const register = (address = 'a') => byAddress('register', from(address));
    for (let n = 0; n < 22; n += 1) await register();
    let answered = 0;
    const waiting = [register(), register()].map((asked) =>
      asked.then((seconds) => {
        answered += 1;
        return seconds;
      }),
    );
    // Another address is neither refused nor kept waiting.
    expect(await register('b')).toBeUndefined();
    clock.advance(999);
    expect(await register('b')).toBeUndefined();
    expect(answered).toBe(0);
    clock.advance(1);
    expect(await Promise.all(waiting)).toEqual([expect.any(Number), expect.any(Number)]);
  });

  it('let a thousand refusals wait and no more: the one beyond comes at once', async () => {
    const { byAddress, from, clock, metrics } = limits({ register: TWO });
    const register = () => byAddress('register', from('a'));
    for (let n = 0; n < 22; n += 1) await register();
    const waiting = Array.from({ length: 1000 }, register);
    expect(await register()).toBeNumber();
    const { values } = await metrics.limitsReached.get();
    expect(values).toEqual([{ labels: { limit: 'RATE_LIMIT_HELD' }, value: 1 }]);
    clock.advance(1000);
    await Promise.all(waiting);
    const after = register();
    await byAddress('register', from('b'));
    clock.advance(1000);
    expect(await after).toBeNumber();
    expect((await metrics.limitsReached.get()).values).toMatchObject([{ value: 1 }]);
  });

  it('follow their rules as soon as those change, and keep counting where they do not', async () => {
    const { byAddress, from, change } = limits({ register: TWO, token: TWO });
    const register = () => byAddress('register', from('a'));
    const token = () => byAddress('token', from('a'));
    for (let n = 0; n < 3; n += 1) await Promise.all([register(), token()]);
    change({ register: { count: 3, windowMs: 60_000 }, token: { ...TWO } });
    expect([await register(), await register(), await register()]).toEqual(
      Array(3).fill(undefined),
    );
    expect(await register()).toBeNumber();
    expect(await token()).toBeNumber();
    change({});
    expect(await token()).toBeUndefined();
  });
});
