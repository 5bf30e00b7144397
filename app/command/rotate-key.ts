import { dirname, resolve } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { keyIdOf } from '../base/keyring.ts';
import { err, ok, type Result } from '../base/result.ts';
import { type Secret, systemRandom } from '../base/secret.ts';
import { findControlSocket } from '../config/control-socket.ts';
import { readConfigFile } from '../config/read-file.ts';
import { readSomeSettings } from '../config/some-settings.ts';
import { askControl } from '../control/ask.ts';
import { type KeyRotated, LONG_CONTROL_TIMEOUT_MS } from '../control/protocol.ts';
import { lockStore, type StoreLock } from '../store/lock.ts';
import { ownLike } from '../store/owner.ts';
import { StoreOpenError } from '../store/store-error.ts';
import { type Command, type CommandContext, EXIT } from './command.ts';
import { readFlags, tellUsage } from './flags.ts';
import { asKeyText, findKeyPlaces, type KeyPlaces, readKeys, writeNewKey } from './key-files.ts';
import { shownCount, shownJson } from './shown.ts';

/**
 * Makes a new store key, puts both keys where the next start reads them, and has the running broker
 * seal everything anew. Broken off at any point, a second run goes on where it stopped. Exit codes:
 * 0 rotated, 1 not (yet) rotated, 2 wrong flags or settings.
 */
export const rotateKey: Command = async (context) => {
  const flags = readFlags(context, 'rotate-key');
  if (!flags.ok) {
    tellUsage(context, 'rotate-key', flags.error);
    return EXIT.badConfiguration;
  }
  const complain = (sentence: string) => {
    context.printError(`fjmcp-broker rotate-key: ${sentence}\n`);
  };
  const found = findPlaces(context, flags.value.settings);
  if (!found.ok) {
    found.error.forEach(complain);
    return EXIT.badConfiguration;
  }
  const { socket, keys } = found.value;
  const rotated = await rotate(socket, keys);
  if (!rotated.ok) {
    complain(rotated.error);
    return EXIT.failed;
  }
  const { value } = rotated;
  context.print(
    flags.value.switches.has('json') ? shownJson({ ...value, ...keys }) : show(value, keys),
  );
  return value.unreadable === 0 ? EXIT.stopped : EXIT.failed;
};

function findPlaces(
  context: CommandContext,
  argv: readonly string[],
): Result<{ readonly socket: string; readonly keys: KeyPlaces }, readonly string[]> {
  const input = { argv, env: context.env, readFile: readConfigFile, resolvePath: resolve };
  const socket = findControlSocket(input);
  if (!socket.ok) return socket;
  const settings = readSomeSettings(input, ['storeKeyFile', 'storePreviousKeyFile']);
  if (!settings.ok) return settings;
  const keys = findKeyPlaces(context, settings.value);
  return keys.ok ? ok({ socket: socket.value, keys: keys.value }) : err([keys.error]);
}

/** Two at once would each write a key that the other one does not know: one after the other. */
async function rotate(socket: string, places: KeyPlaces): Promise<Result<KeyRotated, string>> {
  const running = await ask(socket, undefined);
  if (!running.ok) return running;
  const lock = lockRotation(socket);
  if (lock === undefined) return err('Another rotation goes on now.');
  try {
    return await rotateAlone(socket, places);
  } finally {
    lock.release();
  }
}

/** Beside the socket: whoever may write there may rotate. It ends with this process. */
function lockRotation(socket: string): StoreLock | undefined {
  try {
    const lock = lockStore(`${socket}.rotation`);
    ownLike(`${socket}.rotation.lock`, dirname(socket));
    return lock;
  } catch (error) {
    if (error instanceof StoreOpenError && error.kind === 'locked') return undefined;
    throw error;
  }
}

async function rotateAlone(socket: string, places: KeyPlaces): Promise<Result<KeyRotated, string>> {
  const keys = readKeys(places);
  if (!keys.ok) return keys;
  // Also finishes what an earlier run has left: with the next key, a third one would be in use.
  const now = await ask(socket, undefined);
  if (!now.ok) return now;
  const { current, currentId, previousId } = keys.value;
  if (now.value.keyId === currentId) {
    const made = replaceKey(places, current);
    return made.ok ? askWith(socket, made.value) : made;
  }
  // The files were written, and the broker never heard of it.
  if (now.value.keyId === previousId) return askWith(socket, current);
  return err(
    `The broker seals with the key ${now.value.keyId}, but ${places.current} holds ${currentId}: ` +
      'name the file that it was started with.',
  );
}

function replaceKey(places: KeyPlaces, current: Uint8Array): Result<Uint8Array, string> {
  try {
    return ok(writeNewKey(places, current, systemRandom));
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    return err(`The keys cannot be written (${String(error.code)}): be the owner of the files.`);
  }
}

async function askWith(socket: string, key: Uint8Array): Promise<Result<KeyRotated, string>> {
  const answer = await ask(socket, asKeyText(key));
  if (!answer.ok) {
    return err(
      `${answer.error} Both keys are in their files: run it again, it goes on from there.`,
    );
  }
  if (answer.value.keyId === keyIdOf(key)) return answer;
  return err('The broker did not take the new key; run it again.');
}

function ask(socket: string, key: Secret | undefined): Promise<Result<KeyRotated, string>> {
  const question = { action: 'rotate_key', key } as const;
  return askControl(socket, question, systemClock, LONG_CONTROL_TIMEOUT_MS);
}

function show(rotated: KeyRotated, { current, previous }: KeyPlaces): string {
  const { keyId, resealed, unreadable, successorsOfEarlierKeys: waiting } = rotated;
  return [
    `The store is sealed with the new key ${keyId} (${current}); ` +
      `${shownCount(resealed, 'value')} sealed anew.`,
    `The key before is ${previous}. Keep it as long as backups that were sealed with it.`,
    ...(waiting > 0
      ? [`${shownCount(waiting, 'refresh token')} made with it may still be asked for once more.`]
      : []),
    ...(unreadable > 0
      ? [`No known key opens ${shownCount(unreadable, 'value')}: those people sign in again.`]
      : []),
    '',
  ].join('\n');
}
