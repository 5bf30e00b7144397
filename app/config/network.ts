import { type Network, parseNetwork } from '../base/network.ts';
import { type Parsed, parsed, wrong } from './parse.ts';

/** `127.0.0.1`, `10.0.0.0/8`, `2001:db8::/32`: proxies that are believed. */
export function network(text: string): Parsed<Network> {
  const value = parseNetwork(text);
  if (value === undefined)
    return wrong(`"${text}" is neither an address nor a network like 10.0.0.0/8`);
  return value.prefixBits === 0
    ? wrong(`"${text}" is everybody: who is believed must be named`)
    : parsed(value);
}
