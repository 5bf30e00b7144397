/**
 * People at work, a process of its own. Reads a `SteadyJob` as the first line of stdin, opens its
 * sessions and says so; then each line is a number of seconds for which it measures, and is answered
 * by a `LoadResult`.
 */
import { createInterface } from 'node:readline';
import { closedLoop, type LoadSession } from './closed-loop.ts';
import { openHttpSession } from './http-session.ts';

export interface SteadyJob {
  readonly mcpUrl: string;
  readonly bearers: readonly string[];
  /** Between an answer and the next call of the same session. */
  readonly pauseMs: number;
}

if (import.meta.main) {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const job: SteadyJob = JSON.parse((await lines.next()).value ?? '');
  const sessions: LoadSession[] = [];
  for (const bearer of job.bearers) sessions.push(await openHttpSession(job.mcpUrl, bearer));
  process.stdout.write('"open"\n');
  for (let run = 0; ; run += 1) {
    const line = await lines.next();
    if (line.done === true) break;
    const result = await closedLoop(sessions, Number(line.value), `run${run}`, job);
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
  await Promise.all(sessions.map((session) => session.close()));
}
