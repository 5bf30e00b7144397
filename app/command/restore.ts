import { resolve } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { createKeyring, type Keyring } from '../base/keyring.ts';
import { err, ok, type Result } from '../base/result.ts';
import { systemRandom } from '../base/secret.ts';
import { readConfigFile } from '../config/read-file.ts';
import { findPreviousKey, findStoreKey } from '../config/secret-files.ts';
import { type Restored, restoreStore } from '../store/restore.ts';
import { StoreOpenError } from '../store/store-error.ts';
import { type Command, type CommandContext, EXIT } from './command.ts';
import { readFlags, tellUsage } from './flags.ts';
import { shownCount, shownJson } from './shown.ts';
import { findStore } from './store-place.ts';

const NEEDED = ['forgejoUrl', 'storeKeyFile', 'storePreviousKeyFile'] as const;

/**
 * Puts a backup in the place of the store of a broker that is stopped; the store before is set
 * aside. Exit codes: 0 restored, 1 not restored and nothing changed, 2 wrong flags or settings.
 */
export const restore: Command = async (context) => {
  const flags = readFlags(context, 'restore');
  const [backupPath] = flags.ok ? flags.value.names : [];
  if (!flags.ok || backupPath === undefined) {
    tellUsage(context, 'restore', flags.ok ? 'it is not said which backup.' : flags.error);
    return EXIT.badConfiguration;
  }
  const complain = (sentence: string) => context.printError(`fjmcp-broker restore: ${sentence}\n`);
  const store = findStore(context, flags.value.settings, NEEDED);
  if (!store.ok) {
    store.error.forEach(complain);
    return EXIT.badConfiguration;
  }
  const { storePath, settings } = store.value;
  const keys = flags.value.switches.has('without-key')
    ? ok(undefined)
    : findKeys(context, settings.storeKeyFile, settings.storePreviousKeyFile);
  if (!keys.ok) {
    complain(`The backup's key cannot be looked at: ${keys.error}. --without-key leaves it out.`);
    return EXIT.badConfiguration;
  }
  const { forgejoUrl } = settings;
  try {
    const restored = restoreStore({
      storePath,
      backupPath: resolve(backupPath),
      forgeOrigin: forgejoUrl === undefined ? undefined : new URL(forgejoUrl).origin,
      keyring: keys.value,
      nowMs: systemClock.now(),
    });
    context.print(flags.value.switches.has('json') ? shownJson(restored) : show(restored));
    return EXIT.stopped;
  } catch (error) {
    if (!(error instanceof StoreOpenError)) throw error;
    complain(error.message);
    return EXIT.failed;
  }
};

function findKeys(
  { env }: CommandContext,
  keyFile: string | undefined,
  previousFile: string | undefined,
): Result<Keyring, string> {
  const key = findStoreKey(keyFile, env, readConfigFile);
  if (!key.ok) return err(`the store key ${key.reason}`);
  const previous = findPreviousKey(previousFile, env, readConfigFile);
  if (!previous.ok) return err(`the previous key ${previous.reason}`);
  const given = previous.value === undefined ? {} : { previous: previous.value };
  return ok(createKeyring({ current: key.value, ...given, random: systemRandom }));
}

function show({ accounts, grants, sessions, endedSince, replaced }: Restored): string {
  const held = [
    shownCount(accounts, 'account'),
    shownCount(grants, 'grant'),
    shownCount(sessions, 'session'),
  ];
  return [
    `restored: ${held.join(', ')}`,
    ...(endedSince > 0 ? [`${shownCount(endedSince, 'grant')} ended since then stay ended`] : []),
    ...(replaced === null ? [] : [`the store before is ${replaced}; delete it when all is well`]),
    'Who has used a connection since the backup may have to connect again.',
    '',
  ].join('\n');
}
