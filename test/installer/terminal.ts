import type { Run } from './run.ts';

/** What is waited for on the screen (any of the parts between bars), and what is typed then. */
export type Dialogue = readonly (readonly [question: string, answer: string])[];

/** Runs a program on a terminal of its own and answers its questions; `out` is the screen. */
export async function runOnTerminal(
  argv: readonly string[],
  env: Record<string, string>,
  dialogue: Dialogue,
): Promise<Run> {
  const quoted = argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  const child = Bun.spawn([Bun.which('script') ?? 'script', '-qec', quoted, '/dev/null'], {
    env: { ...env, SHELL: '/bin/sh' },
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'ignore',
  });
  const decoder = new TextDecoder();
  const waiting = [...dialogue];
  let out = '';
  let answered = 0;
  for await (const chunk of child.stdout) {
    out += decoder.decode(chunk, { stream: true });
    const [question, answer] = waiting[0] ?? [];
    const isAsked = question?.split('|').some((part) => out.slice(answered).includes(part));
    if (isAsked !== true || answer === undefined) continue;
    answered = out.length;
    waiting.shift();
    child.stdin.write(`${answer}\n`);
    await child.stdin.flush();
  }
  await child.stdin.end();
  return { code: await child.exited, out, err: '' };
}
