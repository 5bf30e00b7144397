import type { Faults } from './faults.ts';
import type { Reading } from './readings.ts';
import type { Tally } from './tally.ts';

const COLUMNS = [
  ['', 10],
  ['memory', 10],
  ['descr.', 7],
  ['children', 9],
  ['zombies', 8],
  ['calls', 8],
  ['answered', 9],
  ['doubles', 8],
  ['broker', 7],
  ['deaths', 7],
  ['renewals', 9],
  ['resumes', 8],
  ['refreshes', 10],
  ['errors (injected/other)', 24],
] as const;

/** The names of the columns. */
export function heading(): string {
  return line(COLUMNS.map(([name]) => name));
}

/** One moment of the run: `broker` counts its kills and stops, `deaths` those of children. */
export function row(
  label: string,
  reading: Reading,
  { tally, faults, renewals }: { tally: Tally; faults: Faults; renewals: number },
): string {
  const errors = [...tally.errors.values()];
  const injected = errors.reduce((sum, count) => sum + count.injected, 0);
  return line([
    label,
    `${reading.rssMb.toFixed(1)} MB`,
    String(reading.descriptors.length),
    String(reading.children.length),
    String(reading.zombies),
    String(tally.calls),
    String(tally.answered),
    String(tally.executions().doubles),
    String(faults.outages),
    String(faults.deaths),
    String(renewals),
    String(tally.resumes),
    String(tally.refreshes),
    `${injected}/${tally.notInjected}`,
  ]);
}

/** The errors by kind, and the first ones that nobody has injected. */
export function tailOf(tally: Tally): readonly string[] {
  const kinds = [...tally.errors].toSorted(([a], [b]) => a.localeCompare(b));
  return [
    ...kinds.map(([kind, { injected, other }]) => `${kind}: ${injected} injected, ${other} other`),
    ...tally.examples,
  ];
}

function line(cells: readonly string[]): string {
  return cells.map((cell, at) => cell.padStart(COLUMNS[at]?.[1] ?? 0)).join('');
}
