import { resolve } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { backUp, backupDirectoryOf } from '../store/backup.ts';
import { StoreOpenError } from '../store/store-error.ts';
import { type Command, EXIT } from './command.ts';
import { readFlags, tellUsage } from './flags.ts';
import { shownCount, shownJson, shownSize } from './shown.ts';
import { findStore } from './store-place.ts';

/** Two weeks of a timer that comes once a day. */
const KEEP_DEFAULT = 14;
const KEEP_MAX = 10_000;

/**
 * Copies the store into a directory, while the broker runs or not, and deletes the oldest copies
 * beyond `--keep`. Exit codes: 0 copied, 1 not copied, 2 wrong flags or settings.
 */
export const backup: Command = async (context) => {
  const flags = readFlags(context, 'backup');
  const keep = flags.ok ? Number(flags.value.texts.keep ?? KEEP_DEFAULT) : 0;
  if (!flags.ok) {
    tellUsage(context, 'backup', flags.error);
    return EXIT.badConfiguration;
  }
  if (!Number.isInteger(keep) || keep < 1 || keep > KEEP_MAX) {
    tellUsage(context, 'backup', `--keep takes a number from 1 to ${KEEP_MAX}.`);
    return EXIT.badConfiguration;
  }
  const store = findStore(context, flags.value.settings, []);
  if (!store.ok) {
    for (const fault of store.error) context.printError(`fjmcp-broker backup: ${fault}\n`);
    return EXIT.badConfiguration;
  }
  const { storePath } = store.value;
  const directory = resolve(flags.value.texts.directory ?? backupDirectoryOf(storePath));
  try {
    const made = backUp({ storePath, directory, keep, nowMs: systemClock.now() });
    const { path, bytes, deleted } = made;
    const gone = deleted.length === 0 ? '' : `, ${shownCount(deleted.length, 'older one')} deleted`;
    context.print(
      flags.value.switches.has('json') ? shownJson(made) : `${path} (${shownSize(bytes)})${gone}\n`,
    );
    return EXIT.stopped;
  } catch (error) {
    if (!(error instanceof StoreOpenError)) throw error;
    context.printError(`fjmcp-broker backup: ${error.message}\n`);
    return EXIT.failed;
  }
};
