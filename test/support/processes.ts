import { readdirSync, readFileSync } from 'node:fs';

/** Whether the process runs; a zombie, which only waits to be buried, does not. */
export function isAlive(pid: number): boolean {
  return state(pid) !== undefined && state(pid) !== 'Z';
}

/** Resolves when the process is gone; the test's own time limit is the bound. */
export async function untilGone(pid: number): Promise<void> {
  while (isAlive(pid)) await Bun.sleep(5);
}

/** Open file descriptors of this process. */
export function descriptorCount(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Dead children of this process that nobody has waited for. */
export function zombieCount(): number {
  return readdirSync('/proc').filter((name) => {
    const pid = Number(name);
    return Number.isInteger(pid) && state(pid) === 'Z' && parent(pid) === process.pid;
  }).length;
}

/** The command line of a process, its words separated by spaces. */
export function commandLine(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
}

function state(pid: number): string | undefined {
  return stat(pid)?.[0];
}

function parent(pid: number): number {
  return Number(stat(pid)?.[1]);
}

/** The fields of /proc/PID/stat from the state on; they follow the program's name. */
function stat(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
