import type { Log } from '../base/log.ts';

/** How the process ends: stopped as asked, failed, or started with a wrong configuration. */
export const EXIT = { stopped: 0, failed: 1, badConfiguration: 2 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What a command is given of the process; it touches nothing else of it. */
export interface CommandContext {
  /** The arguments after the command's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Text for the person who typed the command. */
  readonly print: (text: string) => void;
  /** Text about what went wrong. */
  readonly printError: (text: string) => void;
  /** All of standard input, to its end. */
  readonly readInput: () => Promise<string>;
  /** Resolves at the first SIGTERM or SIGINT, which asks for an orderly end. */
  readonly stopAsked: Promise<string>;
  /** From now on SIGHUP calls this and does nothing else. */
  readonly onHangUp: (run: () => void) => void;
  /** From now on a failure nobody caught is told in this log. */
  readonly useLog: (log: Log) => void;
}

/** Runs until it is done or asked to stop; the process ends with its exit code. */
export type Command = (context: CommandContext) => Promise<ExitCode>;
