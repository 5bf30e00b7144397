import type { RunningTarget, TargetOptions } from './target.ts';

const PROGRAM = new URL('../../node_modules/supergateway/dist/index.js', import.meta.url).pathname;
const PRELOAD = new URL('loopback-listen.mjs', import.meta.url).pathname;
const START_MS_MAX = 30_000;
const LISTENING = /listening on port (\d+)/;

/** Node, which supergateway is made for; where there is none, this Bun. */
export const supergatewayRuntime = Bun.which('node') === null ? 'bun' : 'node';

/** supergateway as its manual says for many sessions: stateful, no log lines, no authorization. */
export async function startSupergateway(options: TargetOptions): Promise<RunningTarget> {
  const gateway = Bun.spawn(
    [
      ...(supergatewayRuntime === 'node'
        ? ['node', '--import', PRELOAD]
        : [process.execPath, '--preload', PRELOAD]),
      PROGRAM,
      // It hands the command to a shell.
      ...['--stdio', options.childCommand.map((word) => `'${word}'`).join(' ')],
      ...['--outputTransport', 'streamableHttp', '--stateful'],
      ...['--port', '0', '--logLevel', 'none'],
    ],
    { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit', killSignal: 'SIGKILL' },
  );
  const stuck = setTimeout(() => gateway.kill(), START_MS_MAX);
  const port = await readPort(gateway.stdout);
  clearTimeout(stuck);
  return {
    mcpUrl: `http://127.0.0.1:${port}/mcp`,
    pid: gateway.pid,
    bearer: () => undefined,
    async stop() {
      gateway.kill('SIGTERM');
      await gateway.exited;
    },
  };
}

async function readPort(stdout: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let said = '';
  const reader = stdout.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`supergateway did not start: ${said}`);
    said += decoder.decode(value, { stream: true });
    const port = said.match(LISTENING)?.[1];
    if (port !== undefined) return port;
  }
}
