import type { Turn } from './turn.ts';

/** The median of each figure over the rounds of one contender at one number of sessions. */
export interface Row {
  readonly name: string;
  readonly sessions: number;
  readonly rounds: number;
  readonly calls: number;
  readonly wrong: number;
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly idleRssMb: number | undefined;
  readonly openRssMb: number | undefined;
  readonly loadedRssMb: number | undefined;
  readonly cpuUsPerCall: number | undefined;
  readonly systemUsPerCall: number | undefined;
  /** Share of one core that the load client used: near 1 it is the load client that is measured. */
  readonly clientCpu: number;
}

const HEADINGS = [
  ...['sessions', 'what', 'calls/s', 'of pipe', 'x supergateway', 'p50 ms', 'p99 ms'],
  ...['idle MB', 'open MB', 'KB/session', 'loaded MB', 'CPU us/call', 'system', 'client CPU'],
];

/** One row for each contender and number of sessions, in the order of the turns. */
export function summarize(turns: readonly Turn[]): Row[] {
  const groups = new Map<string, Turn[]>();
  for (const turn of turns) {
    const key = `${turn.sessions} ${turn.name}`;
    groups.set(key, [...(groups.get(key) ?? []), turn]);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : [row(first, group)];
  });
}

/** The rows as text, with ratios against the pipe and supergateway at the same load. */
export function table(rows: readonly Row[]): string {
  const rate = (name: string, sessions: number) =>
    rows.find((row) => row.name === name && row.sessions === sessions)?.callsPerSecond;
  const ratio = (row: Row, name: string) => {
    const base = rate(name, row.sessions);
    return base === undefined ? '-' : (row.callsPerSecond / base).toFixed(2);
  };
  const cells = rows.map((row) => [
    String(row.sessions),
    row.name,
    row.callsPerSecond.toFixed(0),
    ratio(row, 'pipe'),
    ratio(row, 'supergateway'),
    row.p50Ms.toFixed(3),
    row.p99Ms.toFixed(3),
    figure(row.idleRssMb),
    figure(row.openRssMb),
    figure(kbPerSession(row)),
    figure(row.loadedRssMb),
    figure(row.cpuUsPerCall),
    figure(row.systemUsPerCall),
    `${(row.clientCpu * 100).toFixed(0)} %`,
  ]);
  const lines = [HEADINGS, ...cells];
  const widths = HEADINGS.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, at) =>
          at === 1 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
        )
        .join('  '),
    )
    .join('\n');
}

function row(first: Turn, group: readonly Turn[]): Row {
  const of = (pick: (turn: Turn) => number) => median(group.map(pick));
  const ofSome = (pick: (turn: Turn) => number | undefined) => {
    const known = group.map(pick).filter((value) => value !== undefined);
    return known.length === 0 ? undefined : median(known);
  };
  const sum = (pick: (turn: Turn) => number) => group.reduce((s, turn) => s + pick(turn), 0);
  return {
    name: first.name,
    sessions: first.sessions,
    rounds: group.length,
    calls: sum(({ calls }) => calls),
    wrong: sum(({ wrong }) => wrong),
    callsPerSecond: of(({ callsPerSecond }) => callsPerSecond),
    p50Ms: of(({ p50Ms }) => p50Ms),
    p99Ms: of(({ p99Ms }) => p99Ms),
    idleRssMb: ofSome(({ idleRssMb }) => idleRssMb),
    openRssMb: ofSome(({ openRssMb }) => openRssMb),
    loadedRssMb: ofSome(({ loadedRssMb }) => loadedRssMb),
    cpuUsPerCall: ofSome(({ cpuUsPerCall }) => cpuUsPerCall),
    systemUsPerCall: ofSome(({ systemUsPerCall }) => systemUsPerCall),
    clientCpu: of(({ clientCpuMs, seconds }) => clientCpuMs / 1000 / seconds),
  };
}

/** What one session costs the bridge, its share of what the first one allocates included. */
function kbPerSession({ idleRssMb, openRssMb, sessions }: Row): number | undefined {
  if (idleRssMb === undefined || openRssMb === undefined) return undefined;
  return ((openRssMb - idleRssMb) * 1024) / sessions;
}

function figure(value: number | undefined): string {
  return value === undefined ? '-' : value.toFixed(1);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}
