/** One open session: sends a request's text and gives its answer's text. */
export interface LoadSession {
  call(text: string): Promise<string>;
  close(): Promise<void>;
}

export interface LoadResult {
  readonly sessions: number;
  readonly seconds: number;
  readonly calls: number;
  /** Answers with another id or other content, and calls that failed; must be 0. */
  readonly wrong: number;
  readonly firstWrong: string | undefined;
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time of the load client itself: near the wall time it, not the target, is measured. */
  readonly clientCpuMs: number;
}

/**
 * Calls `noop` in every session for `seconds`: `busy` callers share the sessions among them, and each
 * makes its next call, in its next session, `pauseMs` after the last was answered. Each id is used once
 * in the whole run, so that an answer for another session is seen as a wrong one.
 */
export async function closedLoop(
  sessions: readonly LoadSession[],
  seconds: number,
  run: string,
  {
    busy = sessions.length,
    pauseMs = 0,
  }: { readonly busy?: number; readonly pauseMs?: number } = {},
): Promise<LoadResult> {
  const latencies: number[] = [];
  let wrong = 0;
  let firstWrong: string | undefined;
  const cpu = process.cpuUsage();
  const begin = performance.now();
  const end = begin + seconds * 1000;
  const loop = async (own: readonly LoadSession[], index: number): Promise<void> => {
    for (let count = 0; ; count += 1) {
      const session = own[count % own.length];
      if (session === undefined) return;
      const start = performance.now();
      if (start >= end) return;
      const id = `${run}-${index}-${count}`;
      const answer = await session.call(
        `{"jsonrpc":"2.0","id":"${id}","method":"tools/call","params":{"name":"noop","arguments":{}}}`,
      );
      latencies.push(performance.now() - start);
      if (!isRight(answer, id)) {
        wrong += 1;
        firstWrong ??= answer;
      }
      if (pauseMs > 0) await Bun.sleep(pauseMs);
    }
  };
  const callers = Array.from({ length: Math.min(busy, sessions.length) }, (_, caller) =>
    sessions.filter((_session, at) => at % busy === caller),
  );
  await Promise.all(callers.map(loop));
  const elapsed = (performance.now() - begin) / 1000;
  const used = process.cpuUsage(cpu);
  latencies.sort((a, b) => a - b);
  return {
    sessions: sessions.length,
    seconds: elapsed,
    calls: latencies.length,
    wrong,
    firstWrong,
    callsPerSecond: latencies.length / elapsed,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    clientCpuMs: (used.user + used.system) / 1000,
  };
}

/** The smallest of the sorted values that at least `share` of them do not exceed. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

function isRight(answer: string, id: string): boolean {
  try {
    const message = JSON.parse(answer);
    return message.id === id && message.result.content[0].text === 'ok';
  } catch {
    return false;
  }
}
