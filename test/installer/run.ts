/** What a run of the installer ended with and said. */
export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** In a session of its own: no terminal can be reached, whoever runs the tests. */
export async function runScript(
  argv: readonly string[],
  given: { readonly env: Record<string, string>; readonly stdin: string | undefined },
): Promise<Run> {
  const child = Bun.spawn([...argv], {
    env: given.env,
    stdin: given.stdin === undefined ? 'ignore' : new TextEncoder().encode(given.stdin),
    stdout: 'pipe',
    stderr: 'pipe',
    detached: true,
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err };
}
