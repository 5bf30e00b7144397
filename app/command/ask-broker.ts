import { resolve } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { findControlSocket } from '../config/control-socket.ts';
import { readConfigFile } from '../config/read-file.ts';
import { askControl } from '../control/ask.ts';
import type { ControlQuestion, ControlResults } from '../control/protocol.ts';
import { type CommandContext, EXIT, type ExitCode } from './command.ts';
import { type Flags, readFlags, tellUsage } from './flags.ts';
import { shownJson } from './shown.ts';
import type { UsedCommand } from './usage.ts';

type QuestionOf<Action> = Extract<ControlQuestion, { readonly action: Action }>;

/** A command that is one question to the running broker, and has its name. */
export interface Asking<Action extends ControlQuestion['action'] & UsedCommand> {
  readonly action: Action;
  /** How long an answer may take, when it may take longer than most. */
  readonly timeoutMs?: number;
  /** The question, or a sentence about what is missing in it. */
  readonly question: (flags: Flags<Action>) => QuestionOf<Action> | string;
  /** The answer as text for a person. */
  readonly show: (result: ControlResults[Action], nowMs: number) => string;
}

/**
 * Asks the broker and prints its answer, as a text or with `--json`. Exit codes: 0 answered, 1 no
 * broker runs, or it refused, 2 wrong flags.
 */
export async function askBroker<Action extends ControlQuestion['action'] & UsedCommand>(
  context: CommandContext,
  asking: Asking<Action>,
): Promise<ExitCode> {
  const { action } = asking;
  const complain = (sentence: string) => {
    context.printError(`fjmcp-broker ${action}: ${sentence}\n`);
  };
  const flags = readFlags(context, action);
  const question = flags.ok ? asking.question(flags.value) : flags.error;
  if (!flags.ok || typeof question === 'string') {
    tellUsage(context, action, String(question));
    return EXIT.badConfiguration;
  }
  const place = findControlSocket({
    argv: flags.value.settings,
    env: context.env,
    readFile: readConfigFile,
    resolvePath: resolve,
  });
  if (!place.ok) {
    for (const fault of place.error) complain(fault);
    return EXIT.badConfiguration;
  }
  const answer = await askControl(place.value, question, systemClock, asking.timeoutMs);
  if (!answer.ok) {
    for (const sentence of answer.error.split('\n')) complain(sentence);
    return EXIT.failed;
  }
  const { value } = answer;
  const switches: ReadonlySet<string> = flags.value.switches;
  context.print(switches.has('json') ? shownJson(value) : asking.show(value, systemClock.now()));
  return EXIT.stopped;
}
