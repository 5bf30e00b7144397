import { parseArgs } from 'node:util';
import { nearestTo } from '../base/nearest.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { CommandContext } from './command.ts';
import { type CommandUsage, USAGE, type UsedCommand, usageLine } from './usage.ts';

type FlagOf<C extends UsedCommand> = (typeof USAGE)[C]['flags'][number];
/** Names of a command's flags with a value. */
export type TextOf<C extends UsedCommand> = Extract<FlagOf<C>, { readonly value: string }>['name'];
/** Names of a command's flags without one. */
export type SwitchOf<C extends UsedCommand> = Exclude<
  FlagOf<C>,
  { readonly value: string }
>['name'];

export interface Flags<C extends UsedCommand> {
  readonly texts: Readonly<Partial<Record<TextOf<C>, string>>>;
  readonly switches: ReadonlySet<SwitchOf<C>>;
  /** The flags that are settings, to be read as such. */
  readonly settings: readonly string[];
  /** What was given without a flag. */
  readonly names: readonly string[];
}

/**
 * Reads the arguments of a command; a failure is a sentence. `settings` takes the place of the
 * usage's own where a command reads more of them than its usage can name.
 */
export function readFlags<C extends UsedCommand>(
  { argv }: Pick<CommandContext, 'argv'>,
  command: C,
  settings: readonly string[] = USAGE[command].settings,
): Result<Flags<C>, string> {
  const { flags, names = [] }: CommandUsage = USAGE[command];
  const read = ['config', ...settings];
  const options = Object.fromEntries([
    ...read.map((name) => [name, { type: 'string' }] as const),
    ...flags.map(({ name, value }) => {
      const type = value === undefined ? 'boolean' : 'string';
      return [name, { type }] as const;
    }),
  ]);
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true });
    const beyond = positionals[names.length];
    if (beyond !== undefined) return err(`"${beyond}" is no flag of it.`);
    const given = values as Readonly<Record<string, string | boolean | undefined>>;
    const on = flags.map(({ name }) => name).filter((name) => given[name] === true);
    return ok({
      texts: given as Flags<C>['texts'],
      switches: new Set(on as SwitchOf<C>[]),
      settings: read.flatMap((name) =>
        given[name] === undefined ? [] : [`--${name}=${given[name]}`],
      ),
      names: positionals,
    });
  } catch (error) {
    const sentence = error instanceof Error ? firstSentence(error.message) : String(error);
    return err(`${sentence}${meant(sentence, Object.keys(options))}`);
  }
}

/** Tells of a mistake in the arguments, with the usage. */
export function tellUsage(
  context: Pick<CommandContext, 'printError'>,
  command: UsedCommand,
  sentence: string,
): void {
  context.printError(
    `fjmcp-broker ${command}: ${sentence}\n  usage: ${usageLine(command)}\n` +
      `  fjmcp-broker ${command} --help tells more.\n`,
  );
}

function meant(sentence: string, known: readonly string[]): string {
  const typed = /'(--[^'=]+)/.exec(sentence)?.[1];
  const near =
    typed &&
    nearestTo(
      typed,
      known.map((name) => `--${name}`),
    );
  return near === undefined || near === typed ? '' : ` Is ${near} meant?`;
}

/** What follows is advice for programmers. */
function firstSentence(message: string): string {
  return `${message.split(/\. |\n/)[0]?.replace(/\.$/, '')}.`;
}
