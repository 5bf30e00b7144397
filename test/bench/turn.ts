import type { LoadResult } from './closed-loop.ts';
import type { LoadEvent, LoadJob } from './load.ts';
import { type ProcessUsage, processUsage } from './process-usage.ts';
import type { StartTarget } from './target.ts';

const LOAD = new URL('load.ts', import.meta.url).pathname;

/** What is measured: the pipe itself, or a bridge in front of it. */
export type Contender =
  | { readonly kind: 'pipe'; readonly name: string }
  | { readonly kind: 'bridge'; readonly name: string; readonly start: StartTarget };

export interface TurnOptions {
  readonly childCommand: readonly string[];
  readonly sessions: number;
  /** Calls in flight at once; no more than sessions. */
  readonly busy: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
}

export interface Turn extends LoadResult {
  readonly name: string;
  /** Of the bridge's process: before the first session, with all open, and after the load. */
  readonly idleRssMb: number | undefined;
  readonly openRssMb: number | undefined;
  readonly loadedRssMb: number | undefined;
  /** CPU time of the bridge's process per call. */
  readonly cpuUsPerCall: number | undefined;
  /** What of it the kernel used: system calls, and waking the processes at their other ends. */
  readonly systemUsPerCall: number | undefined;
}

/** One contender, started afresh, under load once. */
export async function takeTurn(contender: Contender, options: TurnOptions): Promise<Turn> {
  const { sessions, busy, seconds, warmupSeconds, childCommand } = options;
  const common = { sessions, busy, seconds, warmupSeconds };
  if (contender.kind === 'pipe') {
    const job: LoadJob = { ...common, kind: 'pipe', command: childCommand };
    return turn(contender.name, undefined, job);
  }
  const target = await contender.start({ childCommand, sessions });
  try {
    const bearers = Array.from({ length: sessions }, (_, n) => target.bearer(n) ?? []).flat();
    const job: LoadJob = { ...common, kind: 'http', mcpUrl: target.mcpUrl, bearers };
    return await turn(contender.name, target.pid, job);
  } finally {
    await target.stop();
  }
}

async function turn(name: string, pid: number | undefined, job: LoadJob): Promise<Turn> {
  const usage = () => (pid === undefined ? undefined : processUsage(pid));
  const idle = usage();
  const stages = new Map<LoadEvent['kind'], ProcessUsage | undefined>();
  let result: LoadResult | undefined;
  // The job goes over stdin, not as an argument: it holds bearer tokens.
  const load = Bun.spawn([process.execPath, LOAD], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  await load.stdin.write(`${JSON.stringify(job)}\n`);
  await load.stdin.flush();
  await readEvents(load.stdout, async (event) => {
    stages.set(event.kind, usage());
    if (event.kind !== 'done') return;
    result = event.result;
    await load.stdin.end();
  });
  if ((await load.exited) !== 0 || result === undefined) {
    throw new Error(`the load client failed at ${name} with ${job.sessions} sessions`);
  }
  const calls = result.calls;
  const usPerCall = (key: 'cpuMs' | 'systemMs'): number | undefined => {
    const spentMs = (stages.get('done')?.[key] ?? Number.NaN) - (stages.get('warm')?.[key] ?? 0);
    return Number.isNaN(spentMs) ? undefined : (spentMs * 1000) / calls;
  };
  return {
    ...result,
    name,
    idleRssMb: idle?.rssMb,
    openRssMb: stages.get('open')?.rssMb,
    loadedRssMb: stages.get('done')?.rssMb,
    cpuUsPerCall: usPerCall('cpuMs'),
    systemUsPerCall: usPerCall('systemMs'),
  };
}

async function readEvents(
  stream: ReadableStream<Uint8Array>,
  onEvent: (event: LoadEvent) => Promise<void>,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) await onEvent(JSON.parse(line));
  }
}
