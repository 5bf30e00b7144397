import { readFileSync } from 'node:fs';

/** The kernel counts CPU time in ticks of this many milliseconds, on every Linux that Bun runs on. */
const TICK_MS = 10;
const KIB_PER_MB = 1024;

export interface ProcessUsage {
  readonly rssMb: number;
  /** User and system time together. */
  readonly cpuMs: number;
  readonly systemMs: number;
}

/** Memory and CPU time of a process; undefined where there is no /proc, or no such process. */
export function processUsage(pid: number): ProcessUsage | undefined {
  try {
    const rssKib = readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmRSS:\s+(\d+)/m)?.[1];
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name and may hold spaces: count from behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [userMs, systemMs] = [Number(fields[11]) * TICK_MS, Number(fields[12]) * TICK_MS];
    return { rssMb: Number(rssKib) / KIB_PER_MB, cpuMs: userMs + systemMs, systemMs };
  } catch {
    return undefined;
  }
}
