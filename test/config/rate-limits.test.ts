import { describe, expect, it } from 'bun:test';
import { LIMIT_NAMES } from '../../app/base/rate-limits.ts';
import { faults, loaded } from './config-input.ts';

const withLimits = (text: string) => ({ env: { FJMCP_RATE_LIMITS: text } });

describe('RATE_LIMITS', () => {
  it('has a rule for each limit', () => {
    const { rateLimits } = loaded();
    expect(Object.keys(rateLimits).toSorted()).toEqual([...LIMIT_NAMES].toSorted());
    expect(Object.values(rateLimits)).not.toContain(null);
    expect(rateLimits.register).toEqual({ count: 120, windowMs: 3_600_000 });
  });

  it('keeps the default of what it does not name', () => {
    const { rateLimits } = loaded(withLimits('authorize=30/10s, account_mcp=off'));
    expect(rateLimits.authorize).toEqual({ count: 30, windowMs: 10_000 });
    expect(rateLimits.account_mcp).toBeNull();
    expect(rateLimits.register).toEqual({ count: 120, windowMs: 3_600_000 });
  });

  it('may be an array in the file', () => {
    const { rateLimits } = loaded({
      argv: ['--config', '/c.toml'],
      files: { '/c.toml': 'rate_limits = ["token=1/1s", "register=off"]' },
    });
    expect(rateLimits).toMatchObject({ token: { count: 1, windowMs: 1000 }, register: null });
  });

  it('can be off as a whole', () => {
    const { rateLimits } = loaded(withLimits('off'));
    expect(Object.values(rateLimits)).toEqual(LIMIT_NAMES.map(() => null));
  });

  it('refuses what it cannot read, with the entry and a reason', () => {
    for (const wrong of [
      'register',
      'registration=1/1m',
      'register=1',
      'register=/1m',
      'register=1/1m/1m',
      'register=1=1/1m',
      'register=0/1m',
      'register=1/999ms',
      'register=1/25h',
      'register=-1/1m',
      'register=1.5/1m',
      'off register=1/1m',
      'register=1/1m register=2/1m',
    ]) {
      const told = faults(withLimits(wrong));
      expect(told).toHaveLength(1);
      expect(told.join()).toContain('--rate-limits (FJMCP_RATE_LIMITS, rate_limits): ');
    }
  });

  it('takes the least and the most, and a window of a second and of a day', () => {
    const { rateLimits } = loaded(withLimits('register=1/1s token=1000000000/24h'));
    expect(rateLimits).toMatchObject({
      register: { count: 1, windowMs: 1000 },
      token: { count: 1_000_000_000, windowMs: 86_400_000 },
    });
    expect(faults(withLimits('token=1000000001/24h'))).toHaveLength(1);
  });
});

describe('TRUSTED_PROXIES', () => {
  const withProxies = (text: string) => ({ env: { FJMCP_TRUSTED_PROXIES: text } });

  it('is nobody by default', () => {
    expect(loaded().trustedProxies).toEqual([]);
  });

  it('takes addresses and networks', () => {
    const { trustedProxies } = loaded(withProxies('127.0.0.1, 10.0.0.0/8 2001:db8::/32'));
    expect(trustedProxies.map(({ first, prefixBits }) => `${first}/${prefixBits}`)).toEqual([
      '127.0.0.1/32',
      '10.0.0.0/8',
      '2001:db8::/32',
    ]);
  });

  it('refuses names, ports, and everybody', () => {
    for (const wrong of ['localhost', '127.0.0.1:80', '10.0.0.0/33', '*', '0.0.0.0/0', '::/0']) {
      expect(faults(withProxies(wrong)).join()).toContain('TRUSTED_PROXIES');
    }
  });
});
