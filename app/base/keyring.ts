import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto';
import { type Random, Secret } from './secret.ts';

/** Bytes of a store key. */
export const STORE_KEY_BYTES = 32;

/** What a sealed value belongs to; opening it in any other place fails. */
export interface SealPlace {
  readonly forgeOrigin: string;
  /** The row: an account id, or the digest of an authorization request. */
  readonly subject: string;
  readonly column: string;
}

/** A derived refresh token and the key that made it (kept in its row, so that keys can rotate). */
export interface Successor {
  readonly token: string;
  readonly keyId: string;
}

/** Every use of the store key; nothing else sees its bytes. */
export interface Keyring {
  /** The key that everything new is made with; another one after `adopt`. */
  readonly currentKeyId: string;
  /** Bytes of the id of that key, as they stand in what it has sealed. */
  readonly currentKeyMark: Uint8Array;
  /** The store keys that it was given, the current one last: what another keyring is made of. */
  readonly storeKeys: readonly Uint8Array[];
  /** Makes `key` (32 bytes) the current one; what earlier keys have made is still read. */
  adopt(key: Uint8Array): void;
  /** Encrypts with AES-256-GCM: version, key id, nonce, ciphertext and tag in one value. */
  seal(clear: Secret, place: SealPlace): Uint8Array;
  /** Decrypts; throws `SealError` when the key is unknown, or the value or its place was changed. */
  open(sealed: Uint8Array, place: SealPlace): Secret;
  /**
   * The refresh token that follows `token`: HMAC-SHA-256, so that a lost answer is repeated and
   * not replaced. `keyId` names the key of an earlier derivation; undefined when it is unknown.
   */
  refreshSuccessor(token: string, keyId?: string): Successor | undefined;
  /** An upstream `state` made of a random value; it names the key that its verifier is made with. */
  upstreamState(value: string): string;
  /**
   * A PKCE verifier (RFC 7636 section 4.1, 43 characters) bound to an upstream `state`: derived
   * when it is needed, so it is never stored.
   */
  upstreamVerifier(state: string): string;
  /** Seals a short text that is given to a client as a part of an event id, base64url. */
  sealEventText(clear: string, place: string): string;
  /** undefined for what no key of ours has sealed, or for another place; it never throws. */
  openEventText(sealed: string, place: string): string | undefined;
}

/** A sealed value that cannot be opened: wrong key, wrong row, or tampering. */
export class SealError extends Error {
  override readonly name = 'SealError';
}

interface Key {
  readonly id: Uint8Array;
  readonly sealing: Uint8Array;
  readonly successor: Uint8Array;
  readonly verifier: Uint8Array;
  readonly eventId: Uint8Array;
}

const VERSION = 1;
const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + KEY_ID_BYTES + NONCE_BYTES;

/** Builds the keyring of a running broker; `previous` is read with, never written with. */
export function createKeyring(keys: {
  readonly current: Uint8Array;
  readonly previous?: Uint8Array;
  readonly random: Random;
}): Keyring {
  let current = deriveKey(keys.current);
  const storeKeys = [...(keys.previous === undefined ? [] : [keys.previous]), keys.current];
  const known = new Map([[hex(current.id), current]]);
  if (keys.previous !== undefined) {
    const previous = deriveKey(keys.previous);
    known.set(hex(previous.id), previous);
  }
  return {
    get currentKeyId() {
      return hex(current.id);
    },
    get currentKeyMark() {
      return current.id;
    },
    get storeKeys() {
      return [...storeKeys];
    },
    adopt(key) {
      storeKeys.push(key);
      current = deriveKey(key);
      known.set(hex(current.id), current);
    },
    seal: (clear, place) => seal(current, keys.random(NONCE_BYTES), clear, place),
    open(sealed, place) {
      const key = known.get(hex(sealed.subarray(1, 1 + KEY_ID_BYTES)));
      if (sealed[0] !== VERSION || key === undefined) {
        throw new SealError('the value was sealed with a key that this broker does not have');
      }
      return open(key, sealed, place);
    },
    refreshSuccessor(token, keyId = hex(current.id)) {
      const key = known.get(keyId);
      if (key === undefined) return undefined;
      return { token: hmac(key.successor, token), keyId };
    },
    upstreamState: (value) => `${value}${hex(current.id)}`,
    upstreamVerifier(state) {
      // The key may have been rotated while the person was at Forgejo.
      const { verifier } = known.get(state.slice(-2 * KEY_ID_BYTES)) ?? current;
      return hmac(verifier, state);
    },
    sealEventText(clear, place) {
      const nonce = keys.random(NONCE_BYTES);
      const sealed = encrypt(current.eventId, nonce, clear, Buffer.from(place));
      return Buffer.concat([nonce, sealed]).toString('base64url');
    },
    openEventText(sealed, place) {
      const bytes = Buffer.from(sealed, 'base64url');
      if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
      const nonce = bytes.subarray(0, NONCE_BYTES);
      for (const { eventId } of known.values()) {
        const clear = decrypt(eventId, nonce, bytes.subarray(NONCE_BYTES), Buffer.from(place));
        if (clear !== undefined) return clear;
      }
      return undefined;
    },
  };
}

/** The id of a store key as rows and logs name it; it tells nothing about the key. */
export function keyIdOf(key: Uint8Array): string {
  return hex(deriveKey(key).id);
}

function deriveKey(bytes: Uint8Array): Key {
  if (bytes.length !== STORE_KEY_BYTES) {
    throw new RangeError(`a store key has ${STORE_KEY_BYTES} bytes`);
  }
  // HKDF (RFC 5869) with a label each: one leaked sub-key says nothing about the others.
  const sub = (label: string, length: number) =>
    new Uint8Array(hkdfSync('sha256', bytes, new Uint8Array(0), `fjmcp-broker/${label}`, length));
  return {
    id: sub('key-id', KEY_ID_BYTES),
    sealing: sub('sealing', 32),
    successor: sub('refresh-successor', 32),
    verifier: sub('upstream-verifier', 32),
    eventId: sub('event-id', 32),
  };
}

function seal(key: Key, nonce: Uint8Array, clear: Secret, place: SealPlace): Uint8Array {
  const sealed = encrypt(key.sealing, nonce, clear.reveal(), associatedData(place));
  return Buffer.concat([Uint8Array.of(VERSION), key.id, nonce, sealed]);
}

function open(key: Key, sealed: Uint8Array, place: SealPlace): Secret {
  if (sealed.length < HEADER_BYTES + TAG_BYTES) throw new SealError('a sealed value is cut short');
  const nonce = sealed.subarray(1 + KEY_ID_BYTES, HEADER_BYTES);
  const body = sealed.subarray(HEADER_BYTES);
  const clear = decrypt(key.sealing, nonce, body, associatedData(place));
  if (clear !== undefined) return new Secret(clear);
  throw new SealError('a sealed value was changed, or belongs to another row');
}

/** AES-256-GCM: ciphertext and tag. */
function encrypt(key: Uint8Array, nonce: Uint8Array, clear: string, associated: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(associated);
  return Buffer.concat([cipher.update(clear, 'utf8'), cipher.final(), cipher.getAuthTag()]);
}

/** undefined when the key is another one, or anything was changed. */
function decrypt(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  associated: Buffer,
): string | undefined {
  const tagAt = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAAD(associated);
  decipher.setAuthTag(sealed.subarray(tagAt));
  try {
    const clear = [decipher.update(sealed.subarray(0, tagAt)), decipher.final()];
    return Buffer.concat(clear).toString('utf8');
  } catch {
    return undefined;
  }
}

/** Length-prefixed by JSON, so that no two places give the same bytes. */
function associatedData(place: SealPlace): Buffer {
  return Buffer.from(JSON.stringify([place.forgeOrigin, place.subject, place.column]));
}

function hmac(key: Uint8Array, value: string): string {
  return createHmac('sha256', key).update(value).digest('base64url');
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
