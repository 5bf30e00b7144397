import { describe, expect, it } from 'bun:test';
import { isWithin, parseAddress, parseNetwork, subscriberOf } from '../../app/base/network.ts';

function within(address: string, ...networks: string[]): boolean {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new Error(`${address} is no address`);
  return isWithin(
    parsed,
    networks.map((text) => parseNetwork(text) ?? { first: parsed, prefixBits: 0 }),
  );
}

const subscriber = (text: string) => {
  const address = parseAddress(text);
  return address === undefined ? undefined : subscriberOf(address);
};

describe('addresses', () => {
  it('are refused in spellings that two programs may read differently', () => {
    const strange = [
      '127.1',
      '0x7f.0.0.1',
      '2130706433',
      '010.0.0.1',
      '1.2.3',
      '1.2.3.4.5',
      '256.0.0.1',
    ];
    const others = [
      '',
      ' ',
      '::1%eth0',
      '1.2.3.4:80',
      '[::1]',
      'localhost',
      '1.2.3.4/8',
      ':::',
      '1::2::3',
    ];
    for (const text of [...strange, ...others]) {
      expect({ text, address: parseAddress(text)?.toString() }).toEqual({
        text,
        address: undefined,
      });
    }
  });

  it('that are IPv4 in the clothes of IPv6 are IPv4', () => {
    expect(parseAddress('::ffff:192.0.2.1')?.toString()).toBe('192.0.2.1');
    expect(parseAddress('::ffff:c000:201')?.toString()).toBe('192.0.2.1');
  });

  it('count for their line: one address of IPv4, a /64 of IPv6', () => {
    expect(subscriber('192.0.2.1')).toBe('192.0.2.1');
    expect(subscriber('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(subscriber('2001:db8:1:2::1')).toBe('2001:db8:1:2::/64');
    expect(subscriber('2001:db8:1:2:ffff:ffff:ffff:ffff')).toBe('2001:db8:1:2::/64');
    expect(subscriber('2001:db8:1:3::1')).toBe('2001:db8:1:3::/64');
  });
});

describe('networks', () => {
  it('are refused when they are none', () => {
    for (const text of [
      '',
      '10.0.0.0/33',
      '::1/129',
      '10.0.0.0/',
      '10.0.0.0/-1',
      '10/8',
      'all',
      '1.2.3.4/8/8',
    ]) {
      expect({ text, network: parseNetwork(text) }).toEqual({ text, network: undefined });
    }
  });

  it('have what shares their prefix, and nothing beyond', () => {
    expect(within('10.255.255.255', '10.0.0.0/8')).toBe(true);
    expect(within('11.0.0.0', '10.0.0.0/8')).toBe(false);
    expect(within('192.0.2.1', '192.0.2.1')).toBe(true);
    expect(within('192.0.2.2', '192.0.2.1')).toBe(false);
    expect(within('2001:db8::1', '10.0.0.0/8', '2001:db8::/32')).toBe(true);
    expect(within('2001:db9::1', '10.0.0.0/8', '2001:db8::/32')).toBe(false);
    expect(within('::ffff:10.1.1.1', '10.0.0.0/8')).toBe(true);
    expect(within('::1', '127.0.0.0/8')).toBe(false);
  });
});
