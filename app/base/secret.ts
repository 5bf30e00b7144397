import { timingSafeEqual } from 'node:crypto';

/** The text that stands where a secret would be printed. */
const HIDDEN = '[secret]';

/**
 * A value that must never reach a log, an error or a page. Only `reveal()` gives it out, so every
 * place that does is found by searching for that word.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The clear value. Call it only where the value leaves for the one place that needs it. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return HIDDEN;
  }

  [Symbol.toPrimitive](): string {
    return HIDDEN;
  }
}

declare const digestBrand: unique symbol;

/** SHA-256 of a token, base64url without padding (43 characters): what the store keeps of it. */
export type Digest = string & { readonly [digestBrand]: 'Digest' };

/** A source of unpredictable bytes. */
export type Random = (byteCount: number) => Uint8Array;

/** The system's cryptographic random source. */
export const systemRandom: Random = (byteCount) =>
  crypto.getRandomValues(new Uint8Array(byteCount));

/** The digest under which a token, code or session id is kept and looked up. */
export function digestOf(value: string): Digest {
  return new Bun.CryptoHasher('sha256').update(value).digest('base64url') as Digest;
}

/** Marks a digest that was read back from the store or the configuration. */
export function asDigest(stored: string): Digest {
  return stored as Digest;
}

/** A fresh opaque value of `byteCount` random bytes (256 bit by default), base64url. */
export function newToken(random: Random, byteCount = 32): string {
  return Buffer.from(random(byteCount)).toString('base64url');
}

/** Compares two digests without telling by its duration where they differ. */
export function sameDigest(a: Digest, b: Digest): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
