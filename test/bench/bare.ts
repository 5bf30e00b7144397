import type { RunningTarget, TargetOptions } from './target.ts';

const PROGRAM = new URL('bare-bridge.ts', import.meta.url).pathname;

/** The bare bridge as a process of its own; see there what it leaves out. */
export async function startBare(options: TargetOptions): Promise<RunningTarget> {
  const bridge = Bun.spawn([process.execPath, PROGRAM, ...options.childCommand], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const { value } = await bridge.stdout.getReader().read();
  const port = new TextDecoder().decode(value).trim();
  if (port === '') throw new Error('the bare bridge did not start');
  return {
    mcpUrl: `http://127.0.0.1:${port}/mcp`,
    pid: bridge.pid,
    bearer: () => undefined,
    async stop() {
      bridge.kill('SIGTERM');
      await bridge.exited;
    },
  };
}
