import type { Machine } from './machine.ts';

/** A line of the broker's own, as it lies in the journal. */
export type JournalEntry = Readonly<Record<string, unknown>>;

/**
 * All that was logged before, in this boot and those before, by one unit or by all. What a process
 * writes lies in the journal a moment later, on a busy machine a long one: this waits for it.
 */
export function journalText(machine: Machine, unit?: string): Promise<string> {
  const ofUnit = unit === undefined ? '' : ` -u ${unit}`;
  return machine.must(`journalctl --sync; journalctl --no-pager -o cat${ofUnit}`);
}

/** The broker's lines, of one event or all. */
export async function brokerLog(machine: Machine, event?: string): Promise<JournalEntry[]> {
  const lines = (await journalText(machine, 'fjmcp-broker')).split('\n');
  return lines
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as JournalEntry)
    .filter((entry) => event === undefined || entry.event === event);
}

/** The process that a unit's life hangs on. */
export async function mainPid(machine: Machine, unit: string): Promise<number> {
  return Number(await machine.must(`systemctl show -P MainPID ${unit}`));
}
