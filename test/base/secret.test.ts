import { describe, expect, it } from 'bun:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import {
  asDigest,
  digestOf,
  newToken,
  Secret,
  sameDigest,
  systemRandom,
} from '../../app/base/secret.ts';

const CANARY = 'canary-4f1c';

describe('Secret', () => {
  it('[logging class] S10: shows its value in no form that a log, an error or a page takes', () => {
    const secret = new Secret(CANARY);
    const holder = { secret, list: [secret], map: new Map([['key', secret]]) };
    const shown = [
      String(secret),
      `${secret}`,
      ['', secret].join(''),
      JSON.stringify(holder),
      inspect(holder, { depth: 9, showHidden: true }),
      Bun.inspect(holder, { depth: 9 }),
      Object.keys(secret).join(),
      JSON.stringify(Object.getOwnPropertyDescriptors(secret)),
      new Error(`failed with ${secret}`).message,
      JSON.stringify(structuredClone({ ...secret })),
    ];
    expect(shown.join('\n')).not.toContain(CANARY);
    expect(JSON.stringify(holder)).toContain('[secret]');
    expect(secret.reveal()).toBe(CANARY);
  });
});

describe('digests and tokens', () => {
  it('is SHA-256 in base64url, over the whole text', () => {
    // FIPS 180-4's example for "abc".
    expect(Buffer.from(digestOf('abc'), 'base64url').toString('hex')).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    expect(digestOf('abc')).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(digestOf('fjmcp_at_abc')).not.toBe(digestOf('abc'));
  });

  it('compares equal digests alone, whatever their length', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        expect(sameDigest(digestOf(a), digestOf(b))).toBe(a === b);
      }),
    );
    expect(sameDigest(digestOf('a'), asDigest(''))).toBe(false);
    expect(sameDigest(asDigest('ab'), asDigest('a'))).toBe(false);
  });

  it('E13: a token has 256 bit, in base64url without padding', () => {
    const asked: number[] = [];
    const token = newToken((byteCount) => {
      asked.push(byteCount);
      return new Uint8Array(byteCount).fill(0xff);
    });
    expect(asked).toEqual([32]);
    expect(token).toBe(`${'_'.repeat(42)}8`);
    expect(newToken(() => new Uint8Array(24), 24)).toBe('A'.repeat(32));
  });

  it('S5: the random source gives as many bytes as asked, never the same twice', () => {
    const values = Array.from({ length: 100 }, () => newToken(systemRandom));
    expect(new Set(values).size).toBe(100);
    expect(values.every((value) => value.length === 43)).toBe(true);
    expect(systemRandom(24)).toHaveLength(24);
  });
});
