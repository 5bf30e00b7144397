import type { Keyring } from '../base/keyring.ts';
import type { Log } from '../base/log.ts';
import type { Secret } from '../base/secret.ts';
import type { Store } from '../store/store.ts';
import type { KeyRotated } from './protocol.ts';

/**
 * Makes a key (base64) the one that everything is sealed with, and seals anew what earlier keys
 * have sealed. Without a key only the latter: so the work that a failure broke off is finished.
 * Whoever asks has put both keys where the next start finds them.
 */
export async function rotateKey(
  parts: {
    readonly store: Pick<Store, 'sealed'>;
    readonly keyring: Pick<Keyring, 'adopt' | 'currentKeyId'>;
    readonly log: Log;
  },
  key: Secret | undefined,
): Promise<KeyRotated> {
  const { store, keyring, log } = parts;
  const before = keyring.currentKeyId;
  if (key !== undefined) keyring.adopt(new Uint8Array(Buffer.from(key.reveal(), 'base64')));
  const keyId = keyring.currentKeyId;
  if (keyId !== before) log.info('key.adopted', { key: keyId, before });
  const { resealed, unreadable } = await store.sealed.reseal();
  if (resealed > 0 || unreadable > 0)
    log.info('key.resealed', { key: keyId, resealed, unreadable });
  const successorsOfEarlierKeys = await store.sealed.successorsOfEarlierKeys();
  return { keyId, resealed, unreadable, successorsOfEarlierKeys };
}
