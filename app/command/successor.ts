import { readFileSync, statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { STORE_KEY_BYTES } from '../base/keyring.ts';
import type { StartedSuccessor, SuccessorStarter } from '../broker.ts';
import { type ServiceManager, WATCHDOG_PID } from '../systemd/service-manager.ts';
import type { CommandContext } from './command.ts';
import { ownProgram } from './own-program.ts';

/** Tells a process that it is to succeed the broker that has started it; no setting. */
const MARK = 'BROKER_SUCCESSION';

/** Of what is written to a successor's standard input, so that another release understands it. */
const FORMAT = 1;

const OWN_EXECUTABLE = '/proc/self/exe';
const OWN_WORDS = '/proc/self/cmdline';

/** What the broker before has given to this process, if there is one. Throws when it is no sense. */
export async function readInheritance({
  env,
  readInput,
}: Pick<CommandContext, 'env' | 'readInput'>): Promise<
  { readonly storeKeys: readonly Uint8Array[] } | undefined
> {
  if (env[MARK] === undefined) return undefined;
  const { format, storeKeys } = JSON.parse(await readInput()) as Record<string, unknown>;
  const keys = Array.isArray(storeKeys)
    ? storeKeys.map((key) => Buffer.from(`${key}`, 'base64'))
    : [];
  if (format !== FORMAT || keys.length === 0 || keys.some(isNoKey)) {
    throw new Error('the broker before has given no store keys that can be used');
  }
  return { storeKeys: keys.map((key) => new Uint8Array(key)) };
}

/**
 * Starts the program at the path by which this process was started, with the same arguments: after
 * an upgrade that path leads to another program. The store keys go through a pipe, where nobody
 * else can read them: what systemd gives as credentials stays as it was at the start of the unit.
 */
export function createStarter(
  { argv, env }: Pick<CommandContext, 'argv' | 'env'>,
  manager: ServiceManager,
): SuccessorStarter {
  const [own = process.execPath, ...entry] = ownProgram();
  const program = startedBy() ?? own;
  return {
    programChanged: () => identityOf(program) !== identityOf(OWN_EXECUTABLE),
    start(storeKeys) {
      const child = Bun.spawn([program, ...entry, 'serve', ...argv], {
        // Only the first process of the unit is meant by the variable that names it.
        env: { ...env, [WATCHDOG_PID]: undefined, [MARK]: '1' },
        stdio: [new Blob([inherited(storeKeys)]), 'inherit', 'inherit'],
        // It outlives this process, and no signal of a terminal is meant for both.
        detached: true,
      });
      return asStarted(child);
    },
    handedOver: (pid) => manager.mainProcess(pid),
  };
}

function asStarted(child: Bun.Subprocess): StartedSuccessor {
  return {
    pid: child.pid,
    exited: child.exited.then((code) => String(child.signalCode ?? `exit code ${code}`)),
    kill: () => child.kill('SIGKILL'),
  };
}

function inherited(storeKeys: readonly Uint8Array[]): string {
  const keys = storeKeys.map((key) => Buffer.from(key).toString('base64'));
  return JSON.stringify({ format: FORMAT, storeKeys: keys });
}

function isNoKey(key: Uint8Array): boolean {
  return key.length !== STORE_KEY_BYTES;
}

/** The path as it was written when this process was started: links in it may lead elsewhere by now. */
function startedBy(): string | undefined {
  const word = readFileSync(OWN_WORDS, 'utf8').split('\0')[0] ?? '';
  return isAbsolute(word) ? word : undefined;
}

/** The file that a path leads to. */
function identityOf(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return 'nothing';
  }
}
