import type { Machine } from './machine.ts';

/** A line of the broker's own, as it lies in the journal. */
export type JournalEntry = Readonly<Record<string, unknown>>;

/** All that the journal holds of this boot and those before, of one unit or of all. */
export function journalText(machine: Machine, unit?: string): Promise<string> {
  return machine.must(`journalctl --no-pager -o cat${unit === undefined ? '' : ` -u ${unit}`}`);
}

/** The broker's lines, of one event or all. */
export async function brokerLog(machine: Machine, event?: string): Promise<JournalEntry[]> {
  const lines = (await journalText(machine, 'fjmcp-broker')).split('\n');
  return lines
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as JournalEntry)
    .filter((entry) => event === undefined || entry.event === event);
}

/** Resolves when the broker has logged that event `count` times. */
export async function untilLogged(machine: Machine, event: string, count = 1): Promise<void> {
  while ((await brokerLog(machine, event)).length < count) await Bun.sleep(50);
}

/** The process that a unit's life hangs on. */
export async function mainPid(machine: Machine, unit: string): Promise<number> {
  return Number(await machine.must(`systemctl show -P MainPID ${unit}`));
}
