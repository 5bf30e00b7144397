const MAIN = Bun.fileURLToPath(new URL('../../app/main.ts', import.meta.url));

/** What a program has left behind. */
interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command of the program to its end, with a bare environment. */
export function ownCommand(...words: readonly string[]): Promise<Finished> {
  return runScript(MAIN, ...words);
}

/** The same for any script of the tree. */
export async function runScript(script: string, ...words: readonly string[]): Promise<Finished> {
  const child = Bun.spawn([process.execPath, script, ...words], {
    env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}
