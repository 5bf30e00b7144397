import type { LoadSession } from './closed-loop.ts';

const LINE_FEED = 0x0a;

/** Starts one child and speaks to it over its pipe, with nothing in between. */
export async function openPipeSession(command: readonly string[]): Promise<LoadSession> {
  const child = Bun.spawn([...command], { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' });
  let waiting: PromiseWithResolvers<string> | undefined;
  void readLines(child.stdout, (line) => {
    waiting?.resolve(line);
    waiting = undefined;
  }).finally(() => waiting?.reject(new Error('the child ended during a call')));
  const send = (text: string): void => {
    // One call is in flight at a time, so the pipe never fills and the write never waits.
    void child.stdin.write(`${text}\n`);
    void child.stdin.flush();
  };
  const call = (text: string): Promise<string> => {
    waiting = Promise.withResolvers<string>();
    send(text);
    return waiting.promise;
  };
  await call(
    '{"jsonrpc":"2.0","id":"initialize","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1.0.0"}}}',
  );
  send('{"jsonrpc":"2.0","method":"notifications/initialized"}');
  return {
    call,
    async close() {
      await child.stdin.end();
      await child.exited;
    },
  };
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(LINE_FEED); end !== -1; end = rest.indexOf(LINE_FEED)) {
      onLine(rest.toString('utf8', 0, end));
      rest = rest.subarray(end + 1);
    }
  }
}
