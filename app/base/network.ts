import ipaddr from 'ipaddr.js';

/** An IP address. An IPv4 address that was written as IPv6 is the IPv4 address. */
export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Addresses with a prefix in common. */
export interface Network {
  readonly first: Address;
  readonly prefixBits: number;
}

/** One line of one customer has a /64 of IPv6 at least, so all of it counts as one. */
const SUBSCRIBER_BITS = 64;

/** Reads `192.0.2.1`, `2001:db8::1` or `::ffff:192.0.2.1`; undefined for everything else. */
export function parseAddress(text: string): Address | undefined {
  // The library also reads `127.1` and `0x7f.1`, which two programs may understand differently.
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  if (text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  return ipaddr.process(text);
}

/** Reads `10.0.0.0/8`, `2001:db8::/32` or one address; undefined for everything else. */
export function parseNetwork(text: string): Network | undefined {
  const match = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text);
  const first = parseAddress(match?.[1] ?? '');
  if (first === undefined) return undefined;
  const bits = first.kind() === 'ipv4' ? 32 : 128;
  const prefixBits = match?.[2] === undefined ? bits : Number(match[2]);
  return prefixBits <= bits ? { first, prefixBits } : undefined;
}

/** True when one of the networks has the address. */
export function isWithin(address: Address, networks: readonly Network[]): boolean {
  return networks.some(
    ({ first, prefixBits }) => address.kind() === first.kind() && address.match(first, prefixBits),
  );
}

/** What stands for everybody behind one line: the address, or the /64 of an IPv6 address. */
export function subscriberOf(address: Address): string {
  if (address.kind() === 'ipv4') return address.toString();
  const bytes = address.toByteArray().fill(0, SUBSCRIBER_BITS / 8);
  return `${ipaddr.fromByteArray(bytes)}/${SUBSCRIBER_BITS}`;
}

/** True for an address that the whole Internet can reach by its kind, firewalls aside. */
export function isPublic(address: Address): boolean {
  return address.range() === 'unicast';
}
