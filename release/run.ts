import { ReleaseFailure } from './failure.ts';

/** Runs a program to its end and gives what it printed. Throws `ReleaseFailure` when it fails. */
export async function run(
  argv: readonly string[],
  options: { readonly cwd: string; readonly stdin?: 'inherit' | 'ignore' },
): Promise<string> {
  const program = Bun.spawn([...argv], {
    cwd: options.cwd,
    stdin: options.stdin ?? 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(program.stdout).text(),
    new Response(program.stderr).text(),
    program.exited,
  ]);
  if (code === 0) return stdout;
  throw new ReleaseFailure(`${argv[0]} ended with ${code}: ${stderr.trim() || stdout.trim()}`);
}
