import { readdirSync, readFileSync } from 'node:fs';

/** Whether the process runs; a zombie, which only waits to be buried, does not. */
export function isAlive(pid: number): boolean {
  return state(pid) !== undefined && state(pid) !== 'Z';
}

/** Resolves when the process is gone; the test's own time limit is the bound. */
export async function untilGone(pid: number): Promise<void> {
  while (isAlive(pid)) await Bun.sleep(5);
}

/** Open file descriptors of a process, this one by default. */
export function descriptorCount(pid = process.pid): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Dead children of a process, this one by default, that nobody has waited for. */
export function zombieCount(pid = process.pid): number {
  return childrenOf(pid).filter((child) => state(child) === 'Z').length;
}

/** All children of a process, the dead ones that nobody has waited for too. */
export function childrenOf(pid = process.pid): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((other) => Number.isInteger(other) && parent(other) === pid);
}

/** The resident set of a process in MiB. */
export function residentMb(pid: number): number {
  const kb = readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmRSS:\s*(\d+) kB$/m)?.[1];
  return Number(kb) / 1024;
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
