import type { Command } from '../../app/command/command.ts';

/** What a command has left behind. */
export interface Ran {
  readonly exitCode: number;
  readonly out: string;
  readonly errors: string;
}

/** Runs a command of the program in this process, with this environment and nothing else. */
export async function runCommand(
  command: Command,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input = '',
): Promise<Ran> {
  let out = '';
  let errors = '';
  const exitCode = await command({
    argv,
    env,
    print: (text) => {
      out += text;
    },
    printError: (text) => {
      errors += text;
    },
    readInput: async () => input,
    stopAsked: new Promise(() => undefined),
    onHangUp: () => undefined,
    useLog: () => undefined,
  });
  return { exitCode, out, errors };
}
