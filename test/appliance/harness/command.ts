/** How a command ended; `code` is 128 + N after signal N, as a shell tells it. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Killed after that; default ten minutes. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 600_000;

/** Runs a command to its end. Only a command that does not exist throws. */
export async function run(argv: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const child = Bun.spawn([...argv], {
    stdin: options.stdin === undefined ? 'ignore' : new Blob([options.stdin]),
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: options.timeoutMs ?? TIMEOUT_MS,
    killSignal: 'SIGKILL',
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

/** The stdout of a command that must end with 0; throws with what it said otherwise. */
export async function must(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  return succeeded(argv.join(' '), await run(argv, options));
}

/** The stdout of an outcome that must be 0. */
export function succeeded(what: string, { code, stdout, stderr }: Outcome): string {
  if (code === 0) return stdout;
  throw new Error(`exit code ${code} of: ${what}\n${tail(stdout)}\n${tail(stderr)}`);
}

function tail(text: string): string {
  return text.split('\n').slice(-40).join('\n');
}
