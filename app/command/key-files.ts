import { chmodSync, chownSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { keyIdOf, STORE_KEY_BYTES } from '../base/keyring.ts';
import { err, ok, type Result } from '../base/result.ts';
import { type Random, Secret } from '../base/secret.ts';
import { readConfigFile } from '../config/read-file.ts';
import {
  findPreviousKey,
  findStoreKey,
  PREVIOUS_KEY_CREDENTIAL,
  STORE_KEY_CREDENTIAL,
} from '../config/secret-files.ts';
import { SETTINGS } from '../config/settings.ts';
import { spellings } from '../config/sources.ts';
import { publishFile } from '../store/whole-file.ts';
import type { CommandContext } from './command.ts';

/** Where the two keys are that the next start of the broker reads. */
export interface KeyPlaces {
  readonly current: string;
  readonly previous: string;
}

/** What is in those places. */
export interface KeysFound {
  readonly current: Uint8Array;
  readonly currentId: string;
  readonly previousId: string | undefined;
}

/** The files that settings name, or the two credentials of systemd; a failure is a sentence. */
export function findKeyPlaces(
  { env }: Pick<CommandContext, 'env'>,
  settings: {
    readonly storeKeyFile?: string | undefined;
    readonly storePreviousKeyFile?: string | undefined;
  },
): Result<KeyPlaces, string> {
  const { storeKeyFile, storePreviousKeyFile } = settings;
  const key = spellings(SETTINGS.storeKeyFile.name);
  const previous = spellings(SETTINGS.storePreviousKeyFile.name);
  const credentials = env.CREDENTIALS_DIRECTORY ?? '';
  if (storeKeyFile === undefined && credentials === '') {
    return err(`${key}: is missing. It says which file holds the key.`);
  }
  if (storeKeyFile !== undefined && storePreviousKeyFile === undefined) {
    return err(
      `${previous}: is missing. Name a file there, which need not exist: the key of now is put ` +
        'into it, so that a broker that starts in the midst of it can read everything.',
    );
  }
  return ok({
    current: resolve(storeKeyFile ?? join(credentials, STORE_KEY_CREDENTIAL)),
    previous: resolve(storePreviousKeyFile ?? join(credentials, PREVIOUS_KEY_CREDENTIAL)),
  });
}

/** Reads both files; a failure is a sentence. */
export function readKeys({ current, previous }: KeyPlaces): Result<KeysFound, string> {
  const key = findStoreKey(current, {}, readConfigFile);
  if (!key.ok) return err(key.reason);
  const before = findPreviousKey(previous, {}, readConfigFile);
  if (!before.ok) return err(before.reason);
  return ok({
    current: key.value,
    currentId: keyIdOf(key.value),
    previousId: before.value && keyIdOf(before.value),
  });
}

/**
 * Puts the present key into the place of the previous one, and a new one into its own; each file is
 * there as a whole or as before. Whatever breaks off, the two files hold every key that is in use.
 * Throws the system's error.
 */
export function writeNewKey(places: KeyPlaces, current: Uint8Array, random: Random): Uint8Array {
  const made = random(STORE_KEY_BYTES);
  const like = realpathSync(places.current);
  replaceFile(places.previous, current, like);
  replaceFile(like, made, like);
  return made;
}

/** A key as it travels to the broker. */
export function asKeyText(key: Uint8Array): Secret {
  return new Secret(Buffer.from(key).toString('base64'));
}

function replaceFile(path: string, key: Uint8Array, like: string): void {
  const partial = join(dirname(path), `.${process.pid}.new-key`);
  const { uid, gid } = statSync(like);
  try {
    writeFileSync(partial, key, { mode: 0o600, flag: 'wx' });
    chmodSync(partial, 0o600);
    if (process.getuid?.() === 0) chownSync(partial, uid, gid);
    publishFile(partial, path);
  } finally {
    rmSync(partial, { force: true });
  }
}
