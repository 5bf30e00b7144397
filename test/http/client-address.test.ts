import { describe, expect, it } from 'bun:test';
import { parseNetwork } from '../../app/base/network.ts';
import { createClientAddresses } from '../../app/http/client-address.ts';
import { createMemoryLog } from '../support/memory-log.ts';

/** A listener on a port whose peer is `peer`, or on a unix socket when there is none. */
function addresses(o: { readonly peer?: string | null; readonly trusted?: readonly string[] }) {
  const log = createMemoryLog();
  const trusted = (o.trusted ?? []).flatMap((text) => parseNetwork(text) ?? []);
  const made = createClientAddresses({ trustedProxies: () => trusted, log: log.log });
  made.listenWith(() => ({
    port: o.peer === undefined ? undefined : 8080,
    requestIP: () => (typeof o.peer === 'string' ? { address: o.peer } : null),
  }));
  const of = (forwarded?: string) =>
    made.of(
      new Request('http://localhost/', {
        headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
      }),
    );
  return { of, text: (forwarded?: string) => of(forwarded).text, log };
}

describe('the address of a client', () => {
  it('[GHSA-g53w-w6mj-hrpp] is that of the peer, whatever a peer that is not trusted forwards', () => {
    const { text, of } = addresses({ peer: '203.0.113.9', trusted: ['10.0.0.0/8'] });
    expect(text()).toBe('203.0.113.9');
    expect(text('198.51.100.1')).toBe('203.0.113.9');
    expect(of('198.51.100.1').subscriber).toBe(of('198.51.100.2').subscriber);
  });

  it('is the last one that a trusted proxy has seen, not what the client wrote before it', () => {
    const { text } = addresses({ peer: '10.0.0.1', trusted: ['10.0.0.0/8'] });
    expect(text('198.51.100.1')).toBe('198.51.100.1');
    expect(text('1.1.1.1, 198.51.100.1')).toBe('198.51.100.1');
    expect(text('10.9.9.9, 198.51.100.1')).toBe('198.51.100.1');
  });

  it('is looked for through several trusted proxies', () => {
    const { text } = addresses({ peer: '10.0.0.1', trusted: ['10.0.0.0/8', '192.0.2.7'] });
    expect(text('1.1.1.1, 198.51.100.1, 192.0.2.7, 10.0.0.2')).toBe('198.51.100.1');
    expect(text('192.0.2.7, 10.0.0.2')).toBe('192.0.2.7');
  });

  it('is that of the last known proxy when something that is no address follows', () => {
    const { text } = addresses({ peer: '10.0.0.1', trusted: ['10.0.0.0/8'] });
    for (const nothing of ['', 'unknown', '198.51.100.1.5', '127.1', 'a, b']) {
      expect(text(nothing)).toBe('10.0.0.1');
    }
    expect(text('198.51.100.1, unknown, 10.0.0.2')).toBe('10.0.0.2');
  });

  it('may have a port, and may be IPv6', () => {
    const { text, of } = addresses({ peer: '::1', trusted: ['::1'] });
    expect(text('198.51.100.1:4711')).toBe('198.51.100.1');
    expect(text('[2001:db8::1]:4711')).toBe('2001:db8::1');
    expect(of('2001:db8::1').subscriber).toBe(of('2001:db8::ffff').subscriber);
    expect(text('::ffff:198.51.100.1')).toBe('198.51.100.1');
  });

  it('looks through sixteen proxies and no more', () => {
    const { text } = addresses({ peer: '10.0.0.1', trusted: ['10.0.0.0/8'] });
    const proxies = (count: number) => Array(count).fill('10.0.0.2').join(', ');
    expect(text(`198.51.100.1, ${proxies(15)}`)).toBe('198.51.100.1');
    expect(text(`198.51.100.1, ${proxies(16)}`)).toBe('10.0.0.2');
  });

  it('behind a unix socket is what the proxy there says', () => {
    const { text } = addresses({});
    expect(text('198.51.100.1')).toBe('198.51.100.1');
    expect(text('1.1.1.1, 198.51.100.1')).toBe('198.51.100.1');
  });

  it('is unknown behind a proxy on a unix socket that names nobody, which is told once', () => {
    const { of, log } = addresses({});
    expect(of()).toEqual({ text: null, subscriber: 'unknown' });
    expect(of('nonsense').subscriber).toBe('unknown');
    expect(log.of('http.address_unknown')).toHaveLength(1);
  });

  it('is unknown when the client of a port has gone: what it forwarded is not believed', () => {
    const { of } = addresses({ peer: null, trusted: ['10.0.0.0/8'] });
    expect(of('198.51.100.1')).toEqual({ text: null, subscriber: 'unknown' });
  });

  it('tells once of somebody who forwards and is not trusted', () => {
    const { of, log } = addresses({ peer: '127.0.0.1' });
    of();
    expect(log.of('http.proxy_not_trusted')).toEqual([]);
    of('198.51.100.1');
    of('198.51.100.2');
    expect(log.of('http.proxy_not_trusted')).toMatchObject([{ address: '127.0.0.1' }]);
  });
});
