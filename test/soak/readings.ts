import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { processUsage } from '../bench/process-usage.ts';

/** What the machine says about the broker and its children at one moment. */
export interface Reading {
  readonly rssMb: number;
  /** What each open file descriptor of the broker leads to, without its number. */
  readonly descriptors: readonly string[];
  /** Processes that were started for this run and live. */
  readonly children: readonly number[];
  /** Dead processes that the broker has not waited for. */
  readonly zombies: number;
}

/** Reads /proc; a child is whose command line holds `marker`. */
export function readBroker(pid: number, marker: string): Reading {
  const children: number[] = [];
  let zombies = 0;
  for (const name of readdirSync('/proc')) {
    const id = Number(name);
    if (!Number.isInteger(id) || id === pid) continue;
    const stat = statOf(id);
    if (stat?.state === 'Z') zombies += stat.parent === pid ? 1 : 0;
    else if (stat !== undefined && commandOf(id).includes(marker)) children.push(id);
  }
  const rssMb = processUsage(pid)?.rssMb ?? 0;
  return { rssMb, descriptors: descriptorsOf(pid), children, zombies };
}

function descriptorsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${name}`).replace(/:\[\d+\]$/, '')];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

function statOf(pid: number): { readonly state: string; readonly parent: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', parent = ''] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
