/**
 * The load client, a process of its own so that its CPU time is not the target's. Reads a `LoadJob`
 * as the first line of stdin, opens the sessions, warms up, measures, and holds the sessions open
 * until stdin ends, so that the memory of the target can be read at each stage.
 */
import { createInterface } from 'node:readline';
import { closedLoop, type LoadResult, type LoadSession } from './closed-loop.ts';
import { openHttpSession } from './http-session.ts';
import { openPipeSession } from './pipe-session.ts';

/** Where to and how long. */
export type LoadJob = {
  readonly sessions: number;
  /** Calls in flight at once. */
  readonly busy: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
} & (
  | { readonly kind: 'pipe'; readonly command: readonly string[] }
  | { readonly kind: 'http'; readonly mcpUrl: string; readonly bearers: readonly string[] }
);

/** One line of JSON each on stdout. */
export type LoadEvent =
  | { readonly kind: 'open' }
  | { readonly kind: 'warm' }
  | { readonly kind: 'done'; readonly result: LoadResult };

/** Sessions that are opened at once: enough to be quick, few enough not to be a load of its own. */
const OPENING_MAX = 8;

if (import.meta.main) {
  const lines = createInterface({ input: process.stdin });
  const ended = new Promise<void>((resolve) => lines.once('close', resolve));
  const first = await new Promise<string>((resolve) => lines.once('line', resolve));
  const job: LoadJob = JSON.parse(first);
  const sessions = await openAll(job);
  say({ kind: 'open' });
  await closedLoop(sessions, job.warmupSeconds, 'warm', job);
  say({ kind: 'warm' });
  say({ kind: 'done', result: await closedLoop(sessions, job.seconds, 'call', job) });
  await ended;
  await Promise.all(sessions.map((session) => session.close()));
}

function say(event: LoadEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

async function openAll(job: LoadJob): Promise<LoadSession[]> {
  const sessions: LoadSession[] = [];
  for (let from = 0; from < job.sessions; from += OPENING_MAX) {
    const count = Math.min(OPENING_MAX, job.sessions - from);
    const opened = Array.from({ length: count }, (_, index) => openOne(job, from + index));
    sessions.push(...(await Promise.all(opened)));
  }
  return sessions;
}

function openOne(job: LoadJob, index: number): Promise<LoadSession> {
  switch (job.kind) {
    case 'pipe':
      return openPipeSession(job.command);
    case 'http':
      return openHttpSession(job.mcpUrl, job.bearers[index]);
  }
}
