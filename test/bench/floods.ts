import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { brokerWith } from './broker.ts';
import type { LoadResult } from './closed-loop.ts';
import type { FloodJob, FloodResult } from './flood-client.ts';
import { FLOODS, type FloodKind, type FloodTarget } from './flood-kinds.ts';
import type { SteadyJob } from './steady-load.ts';

const FLOOD_CLIENT = new URL('flood-client.ts', import.meta.url).pathname;
const STEADY_LOAD = new URL('steady-load.ts', import.meta.url).pathname;

const REDIRECT_URI = 'https://client.example/callback';
/** From the networks for documentation (RFC 5737). */
const FLOOD_ADDRESS = '198.51.100.66';

export interface FloodOptions {
  readonly childCommand: readonly string[];
  readonly sessions: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly rounds: number;
  /** Between an answer and the next call of a session. */
  readonly pauseMs: number;
  readonly connections: number;
  /** The setting of the broker; the load client itself must never be limited by it. */
  readonly rateLimits: string;
}

/** What other people had before a flood and during it. */
export interface FloodRow {
  readonly kind: FloodKind;
  readonly before: LoadResult;
  readonly during: LoadResult;
  readonly flood: FloodResult;
}

/**
 * How much of a flood from one address other people notice: the same calls of the same sessions,
 * measured with and without it in turns, against one broker.
 */
export async function measureFloods(options: FloodOptions): Promise<readonly FloodRow[]> {
  const { childCommand, sessions, seconds, rateLimits } = options;
  const start = brokerWith({ tokenRows: 0, rateLimits });
  const target = await start({ childCommand, sessions });
  try {
    const bearers = Array.from({ length: sessions }, (_, n) => target.bearer(n) ?? []).flat();
    const people = await startPeople({ mcpUrl: target.mcpUrl, bearers, pauseMs: options.pauseMs });
    await people.measure(options.warmupSeconds);
    const flooded = await floodTarget(new URL(target.mcpUrl).origin);
    const rows: FloodRow[] = [];
    for (let round = 0; round < options.rounds; round += 1) {
      for (const kind of FLOODS) {
        process.stderr.write(`round ${round + 1}: ${kind}\n`);
        const before = await people.measure(seconds);
        const flood = await startFlood({ ...flooded, kind, connections: options.connections });
        const during = await people.measure(seconds);
        rows.push({ kind, before, during, flood: await flood.stop() });
      }
    }
    await people.stop();
    return rows;
  } finally {
    await target.stop();
  }
}

/** The figures of each kind of flood, the median of its rounds. */
export function floodTable(rows: readonly FloodRow[]): string {
  const lines = FLOODS.map((kind) => {
    const rounds = rows.filter((row) => row.kind === kind);
    const of = (value: (row: FloodRow) => number) => median(rounds.map(value));
    const answered = (row: FloodRow) => sum(Object.values(row.flood.answers));
    return [
      kind,
      of((row) => answered(row) / row.flood.seconds).toFixed(0),
      of((row) => ((row.flood.answers['429'] ?? 0) / answered(row)) * 100).toFixed(1),
      of((row) => row.before.callsPerSecond).toFixed(0),
      of((row) => row.during.callsPerSecond).toFixed(0),
      `${of((row) => row.before.p50Ms).toFixed(2)} / ${of((row) => row.before.p99Ms).toFixed(2)}`,
      `${of((row) => row.during.p50Ms).toFixed(2)} / ${of((row) => row.during.p99Ms).toFixed(2)}`,
      of(ratio).toFixed(2),
    ];
  });
  const head = [
    'flood',
    'its requests/s',
    '429 %',
    'calls/s before',
    'during',
    'p50 / p99 ms before',
    'during',
    'p99 ratio',
  ];
  return [head, head.map(() => '---'), ...lines]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

function ratio({ before, during }: FloodRow): number {
  return during.p99Ms / before.p99Ms;
}

/** By how much the p99 of other people's calls grew, in the median of the rounds of the worst flood. */
export function worstRatio(rows: readonly FloodRow[]): number {
  const ratios = FLOODS.map((kind) => rows.filter((row) => row.kind === kind).map(ratio));
  return Math.max(...ratios.map(median));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);

async function floodTarget(origin: string): Promise<FloodTarget> {
  const response = await fetch(`${origin}/oauth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_name: 'flooded', redirect_uris: [REDIRECT_URI] }),
  });
  const { client_id: clientId } = (await response.json()) as { readonly client_id: string };
  return { origin, address: FLOOD_ADDRESS, clientId, redirectUri: REDIRECT_URI };
}

/** A process that is told by lines and answers by lines. */
function helper(script: string, job: unknown) {
  const helped = Bun.spawn([process.execPath, script], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const lines = createInterface({ input: Readable.fromWeb(helped.stdout as never) })[
    Symbol.asyncIterator
  ]();
  const tell = (line: string) => {
    helped.stdin.write(`${line}\n`);
    helped.stdin.flush();
  };
  // The job goes over stdin, not as an argument: it holds bearer tokens.
  tell(JSON.stringify(job));
  return {
    tell,
    async answer<T>(): Promise<T> {
      const line = await lines.next();
      if (line.done === true) throw new Error(`${script} has ended`);
      return JSON.parse(line.value) as T;
    },
    endInput: () => helped.stdin.end(),
    exited: helped.exited,
  };
}

async function startPeople(job: SteadyJob) {
  const people = helper(STEADY_LOAD, job);
  await people.answer<'open'>();
  return {
    async measure(seconds: number): Promise<LoadResult> {
      people.tell(String(seconds));
      return people.answer<LoadResult>();
    },
    async stop() {
      people.endInput();
      await people.exited;
    },
  };
}

async function startFlood(job: FloodJob) {
  const flood = helper(FLOOD_CLIENT, job);
  await flood.answer<'on'>();
  return {
    async stop(): Promise<FloodResult> {
      flood.endInput();
      const result = await flood.answer<FloodResult>();
      await flood.exited;
      return result;
    },
  };
}
