import { describe, expect, it } from 'bun:test';
import fc from 'fast-check';
import { createKeyring, keyIdOf, SealError } from '../../app/base/keyring.ts';
import { Secret, systemRandom } from '../../app/base/secret.ts';

const KEY = new Uint8Array(32).map((_, index) => index);
const OTHER_KEY = new Uint8Array(32).map((_, index) => 255 - index);
const PLACE = { forgeOrigin: 'https://git.example.org', subject: '7', column: 'access_token' };

const keyring = (current = KEY, previous?: Uint8Array) =>
  createKeyring({
    current,
    random: systemRandom,
    ...(previous === undefined ? {} : { previous }),
  });

describe('sealing', () => {
  it('E13: opens nothing that was moved to another row, column or forge', () => {
    const sealed = keyring().seal(new Secret('token'), PLACE);
    const elsewhere = [
      { ...PLACE, subject: '8' },
      { ...PLACE, column: 'refresh_token' },
      { ...PLACE, forgeOrigin: 'https://other.example.org' },
      // The same text over all, cut at other places.
      { forgeOrigin: 'https://git.example.org7', subject: '', column: 'access_token' },
      { ...PLACE, subject: '7access', column: '_token' },
    ];
    for (const place of elsewhere) {
      expect(() => keyring().open(sealed, place)).toThrow(SealError);
    }
  });

  it('E13: opens nothing of which a single bit was changed', () => {
    const sealed = keyring().seal(new Secret('token'), PLACE);
    fc.assert(
      fc.property(fc.nat(sealed.length * 8 - 1), (bit) => {
        const changed = Uint8Array.from(sealed);
        const at = bit >> 3;
        changed[at] = (changed[at] ?? 0) ^ (1 << (bit & 7));
        expect(() => keyring().open(changed, PLACE)).toThrow(SealError);
      }),
    );
  });

  it('E13: opens nothing that was cut short, or sealed with a key it does not have', () => {
    const sealed = keyring().seal(new Secret('token'), PLACE);
    for (let length = 0; length < sealed.length; length += 1) {
      expect(() => keyring().open(sealed.subarray(0, length), PLACE)).toThrow(SealError);
    }
    expect(() => keyring(OTHER_KEY).open(sealed, PLACE)).toThrow(SealError);
  });

  it('gives back what was sealed, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const sealed = keyring().seal(new Secret(text), PLACE);
        expect(keyring().open(sealed, PLACE).reveal()).toBe(text);
      }),
    );
  });

  it('never seals twice to the same bytes, and holds no clear byte of the value', () => {
    const text = 'canary-in-the-clear';
    const one = keyring().seal(new Secret(text), PLACE);
    const two = keyring().seal(new Secret(text), PLACE);
    expect(one).not.toEqual(two);
    expect(Buffer.from(one).includes('canary')).toBe(false);
  });

  it('reads with the previous key, and writes with the current one alone', () => {
    const old = keyring(OTHER_KEY).seal(new Secret('token'), PLACE);
    const both = keyring(KEY, OTHER_KEY);
    expect(both.open(old, PLACE).reveal()).toBe('token');
    const fresh = both.seal(new Secret('token'), PLACE);
    expect(keyring(KEY).open(fresh, PLACE).reveal()).toBe('token');
    expect(() => keyring(OTHER_KEY).open(fresh, PLACE)).toThrow(SealError);
  });

  it('adopts a key: writes with it, and reads what all of its keys have sealed', () => {
    const ring = keyring(KEY);
    const before = ring.seal(new Secret('token'), PLACE);
    const successor = ring.refreshSuccessor('refresh token');
    ring.adopt(OTHER_KEY);
    expect(ring.currentKeyId).toBe(keyIdOf(OTHER_KEY));
    expect(ring.open(before, PLACE).reveal()).toBe('token');
    expect(ring.refreshSuccessor('refresh token', successor?.keyId)).toEqual(successor);
    const after = ring.seal(new Secret('token'), PLACE);
    expect(() => keyring(KEY).open(after, PLACE)).toThrow(SealError);
    expect(Buffer.from(after.subarray(1, 5))).toEqual(Buffer.from(ring.currentKeyMark));
    expect(() => ring.adopt(KEY.subarray(1))).toThrow(RangeError);
  });

  it('refuses a key of another length', () => {
    for (const length of [0, 31, 33]) {
      expect(() => keyring(new Uint8Array(length))).toThrow(RangeError);
    }
  });
});

describe('derivation', () => {
  it('E9: the same token has the same successor after a restart, and each token its own', () => {
    const token = 'fjmcp_rt_x';
    expect(keyring().refreshSuccessor(token)).toEqual(keyring().refreshSuccessor(token));
    expect(keyring().refreshSuccessor(token)?.token).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(keyring().refreshSuccessor(token)?.token).not.toBe(
      keyring().refreshSuccessor('fjmcp_rt_y')?.token,
    );
    expect(keyring().refreshSuccessor(token)?.token).not.toBe(
      keyring(OTHER_KEY).refreshSuccessor(token)?.token,
    );
  });

  it('E9: a successor of the previous key is repeated with that key, and an unknown key says so', () => {
    const first = keyring(OTHER_KEY).refreshSuccessor('fjmcp_rt_x');
    expect(keyring(KEY, OTHER_KEY).refreshSuccessor('fjmcp_rt_x', first?.keyId)).toEqual(first);
    expect(keyring(KEY).refreshSuccessor('fjmcp_rt_x', first?.keyId)).toBeUndefined();
    const [a, b] = [keyring(KEY), keyring(OTHER_KEY)];
    expect(a.currentKeyId).not.toBe(b.currentKeyId);
    expect(keyring(KEY, OTHER_KEY).currentKeyId).toBe(a.currentKeyId);
  });

  it('E3: the upstream verifier is one by RFC 7636 section 4.1, and not the successor of its state', () => {
    const verifier = keyring().upstreamVerifier('state');
    expect(verifier).toMatch(/^[A-Za-z0-9._~-]{43,128}$/);
    expect(verifier).not.toBe(keyring().refreshSuccessor('state')?.token);
  });

  it('E3: a verifier is that of the key of its state, which was rotated while the person was away', () => {
    const ring = keyring(KEY);
    const state = ring.upstreamState('a-random-value');
    const verifier = ring.upstreamVerifier(state);
    expect(state).toStartWith('a-random-value');
    ring.adopt(OTHER_KEY);
    expect(ring.upstreamVerifier(state)).toBe(verifier);
    expect(keyring(OTHER_KEY, KEY).upstreamVerifier(state)).toBe(verifier);
    expect(ring.upstreamVerifier(ring.upstreamState('a-random-value'))).not.toBe(verifier);
  });

  it('can be made again of its store keys, the current one last', () => {
    const ring = keyring(KEY);
    ring.adopt(OTHER_KEY);
    expect(ring.storeKeys).toEqual([KEY, OTHER_KEY]);
    expect(keyring(OTHER_KEY, KEY).storeKeys).toEqual([KEY, OTHER_KEY]);
  });

  it('stays as it is over releases: a store of today is read tomorrow', () => {
    const fixed = createKeyring({ current: KEY, random: (count) => new Uint8Array(count).fill(9) });
    expect(fixed.currentKeyId).toBe('e0cd2754');
    expect(fixed.refreshSuccessor('fjmcp_rt_x')?.token).toBe(
      'jequ_SMB3t0Xd1Amz-Whepn4--JkE5-4NsENh92t7yU',
    );
    expect(fixed.upstreamVerifier('state')).toBe('V2ib5Sw2KlrNQYB9TZnO1xafi6oxYDhxpba_fNn5Zjk');
    expect(Buffer.from(fixed.seal(new Secret('token'), PLACE)).toString('hex')).toBe(
      '01e0cd275409090909090909090909090901a77aa86762b48e1799c9fdcb9287f9b3000762a9',
    );
  });
});
