import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../base/clock.ts';
import { findControlSocket } from '../config/control-socket.ts';
import { readConfigFile } from '../config/read-file.ts';
import { askControl } from '../control/ask.ts';
import type { ControlQuestion, ControlResults } from '../control/protocol.ts';
import { type CommandContext, EXIT, type ExitCode } from './command.ts';
import { shownJson } from './shown.ts';

/** The flags that say where the broker can be asked; they are settings, read as such. */
const PLACE_FLAGS = ['config', 'control-socket', 'store-path'] as const;

type QuestionOf<Action> = Extract<ControlQuestion, { readonly action: Action }>;

/** A command that is one question to the running broker. */
export interface Asking<Flag extends string, Action extends ControlQuestion['action']> {
  /** What is asked, which is the command's name too. */
  readonly action: Action;
  /** Its own flags with a value, beside `--json` and those of the place. */
  readonly flags: readonly Flag[];
  /** Its own flags without a value. */
  readonly switches?: readonly string[];
  /** The flags as they are shown after a mistake. */
  readonly usage: string;
  /** How long an answer may take, when it may take longer than most. */
  readonly timeoutMs?: number;
  /** The question, or a sentence about what is missing in it. */
  readonly question: (
    flags: Readonly<Partial<Record<Flag, string>>>,
    switches: ReadonlySet<string>,
  ) => QuestionOf<Action> | string;
  /** The answer as text for a person. */
  readonly show: (result: ControlResults[Action], nowMs: number) => string;
}

/**
 * Asks the broker and prints its answer, as a text or with `--json`. Exit codes: 0 answered, 1 no
 * broker runs, or it refused, 2 wrong flags.
 */
export async function askBroker<Flag extends string, Action extends ControlQuestion['action']>(
  context: CommandContext,
  asking: Asking<Flag, Action>,
): Promise<ExitCode> {
  const complain = (sentence: string) => {
    context.printError(`fjmcp-broker ${asking.action}: ${sentence}\n`);
  };
  const read = readFlags(context, asking);
  if (typeof read === 'string') {
    complain(`${read}\n  usage: ${asking.action} ${asking.usage}`);
    return EXIT.badConfiguration;
  }
  const place = findControlSocket({
    argv: read.place,
    env: context.env,
    readFile: readConfigFile,
    resolvePath: resolve,
  });
  if (!place.ok) {
    for (const fault of place.error) complain(fault);
    return EXIT.badConfiguration;
  }
  const answer = await askControl(place.value, read.question, systemClock, asking.timeoutMs);
  if (!answer.ok) {
    for (const sentence of answer.error.split('\n')) complain(sentence);
    return EXIT.failed;
  }
  const { value } = answer;
  context.print(read.json ? shownJson(value) : asking.show(value, systemClock.now()));
  return EXIT.stopped;
}

function readFlags<Flag extends string, Action extends ControlQuestion['action']>(
  context: CommandContext,
  asking: Asking<Flag, Action>,
):
  | {
      readonly json: boolean;
      readonly place: readonly string[];
      readonly question: QuestionOf<Action>;
    }
  | string {
  const switches = asking.switches ?? [];
  const texts = [...PLACE_FLAGS, ...asking.flags].map(
    (name) => [name, { type: 'string' }] as const,
  );
  try {
    const { values } = parseArgs({
      args: [...context.argv],
      options: {
        ...Object.fromEntries(['json', ...switches].map((name) => [name, { type: 'boolean' }])),
        ...Object.fromEntries(texts),
      },
    });
    const given = values as Readonly<Record<string, string | undefined>>;
    const on = new Set(
      switches.filter((name) => (values as Readonly<Record<string, unknown>>)[name]),
    );
    const question = asking.question(given as Readonly<Partial<Record<Flag, string>>>, on);
    if (typeof question === 'string') return question;
    const place = PLACE_FLAGS.flatMap((name) =>
      given[name] === undefined ? [] : [`--${name}=${given[name]}`],
    );
    return { json: values.json === true, place, question };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
