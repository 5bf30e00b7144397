import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { counted } from '../base/counted.ts';
import { createKeyring, keyIdOf } from '../base/keyring.ts';
import { systemRandom } from '../base/secret.ts';
import { listBackups } from '../store/backup.ts';
import { inspectStore, type StoreLook } from '../store/inspect.ts';
import type { Check } from './examine.ts';
import { type Found, fault, fine, skipped, warning } from './finding.ts';
import type { DoctorParts } from './parts.ts';

const MIB = 1024 * 1024;
/** Below it a store that doubles its log, or a backup, may find no room. */
const FREE_WARNING_BYTES = 1024 * MIB;
const FREE_FAULT_BYTES = 64 * MIB;

/** The backup comes once a day. */
const BACKUP_AGE_MS_MAX = 48 * 3_600_000;

/** The store, its key, its backups, and the disk that they are on. */
export function storeChecks(parts: DoctorParts): Check[] {
  // Reading a large store through takes its time; once is enough for both.
  let seen: StoreLook | undefined;
  const look = () => {
    seen ??= lookAt(parts.config);
    return seen;
  };
  return [
    { name: 'store', run: async () => [lookAtStore(parts, look())] },
    { name: 'key', run: async () => lookAtKey(parts, look()) },
    { name: 'backup', run: async () => [lookAtBackups(parts)] },
    { name: 'disk', run: async () => [lookAtDisk(parts)] },
  ];
}

type Keys = Pick<DoctorParts['config'], 'storePath' | 'storeKey' | 'storePreviousKey'>;

function lookAt({ storePath, storeKey, storePreviousKey: previous }: Keys): StoreLook {
  const keys = { current: storeKey, ...(previous && { previous }), random: systemRandom };
  return inspectStore(storePath, createKeyring(keys));
}

function lookAtStore({ config }: DoctorParts, look: StoreLook): Found {
  const { storePath, forgejoUrl } = config;
  const forgeOrigin = new URL(forgejoUrl).origin;
  if (look.kind === 'missing') {
    return warning(
      `There is no store ${storePath} yet.`,
      'The first start of the broker makes it.',
    );
  }
  if (look.kind === 'unreadable') {
    return fault(
      `The store ${storePath} cannot be used: ${look.reason}.`,
      'Be the user that the broker runs as, or root; a damaged one: fjmcp-broker restore BACKUP.',
    );
  }
  if (look.damage !== undefined) {
    return fault(
      `The store ${storePath} is damaged: ${look.damage}.`,
      'Stop the broker and put the last backup in its place: fjmcp-broker restore BACKUP.',
    );
  }
  if (look.forgeOrigin !== forgeOrigin) {
    return fault(
      `The store belongs to the forge ${look.forgeOrigin}, not to ${forgeOrigin}.`,
      'Set FORGEJO_URL back, or give this forge a store of its own with STORE_PATH.',
    );
  }
  if ((look.mode & 0o077) !== 0) {
    return warning(`Others may read ${storePath}.`, `chmod 600 ${storePath}`);
  }
  return look.migrationsMissing > 0
    ? warning(
        `The store ${storePath} is older than this program.`,
        'The next start of the broker brings it up to date by itself.',
      )
    : fine(`${storePath} is whole (${(look.bytes / MIB).toFixed(1)} MiB).`);
}

async function lookAtKey(
  { config, askBroker }: DoctorParts,
  look: StoreLook,
): Promise<readonly Found[]> {
  if (look.kind !== 'store') return [skipped('There is nothing that a key could open.')];
  const id = keyIdOf(config.storeKey);
  if (!look.keyOpens) {
    return [
      fault(
        `The key ${id} does not open the store.`,
        'Give the broker the key that the store was sealed with; without it, all sign in again.',
      ),
    ];
  }
  const answer = await askBroker();
  if (answer.ok && answer.value.keyId !== id) {
    return [
      fault(
        `The broker seals with the key ${answer.value.keyId}, and the next start gets ${id}.`,
        'fjmcp-broker rotate-key goes on with a rotation that was broken off.',
      ),
    ];
  }
  const opens = fine(`The key ${id} opens the store.`);
  if (!answer.ok || config.storePreviousKey === undefined) return [opens];
  const { successorsOfEarlierKeys: waiting } = answer.value;
  const before = keyIdOf(config.storePreviousKey);
  return [
    opens,
    fine(
      waiting > 0
        ? `${counted(waiting, 'connection')} may still need the previous key ${before}.`
        : `Nothing but old backups needs the previous key ${before}.`,
    ),
  ];
}

function lookAtBackups({ config, clock, backupDirectory }: DoctorParts): Found {
  const last = listBackups(config.storePath, backupDirectory).at(-1);
  const remedy = 'systemctl enable --now fjmcp-broker-backup.timer, or fjmcp-broker backup.';
  if (last === undefined) return warning(`There is no backup in ${backupDirectory}.`, remedy);
  const ageMs = clock.now() - statSync(last).mtimeMs;
  const age = `${Math.max(0, Math.floor(ageMs / 3_600_000))} h old`;
  return ageMs > BACKUP_AGE_MS_MAX
    ? warning(`The last backup ${last} is ${age}.`, remedy)
    : fine(`The last backup ${last} is ${age}.`);
}

function lookAtDisk({ config, freeBytes }: DoctorParts): Found {
  const directory = dirname(config.storePath);
  if (!existsSync(directory)) return skipped(`There is no directory ${directory} yet.`);
  const free = freeBytes(directory);
  const says = `${Math.floor(free / MIB)} MiB are free in ${directory}.`;
  const remedy = 'Make room: with a full disk the broker answers 503 until there is some.';
  if (free < FREE_FAULT_BYTES) return fault(says, remedy);
  return free < FREE_WARNING_BYTES ? warning(says, remedy) : fine(says);
}
