import { parseArgs } from 'node:util';
import { err, ok, type Result } from '../base/result.ts';
import type { CommandContext } from './command.ts';

/** What a command takes. */
export interface FlagTable<Text extends string, Switch extends string> {
  /** The command's name. */
  readonly command: string;
  /** The flags as they are shown after a mistake. */
  readonly usage: string;
  /** Its own flags with a value. */
  readonly texts: readonly Text[];
  /** Its own flags without a value, beside `--json`. */
  readonly switches: readonly Switch[];
  /** Settings that it reads, by their flags; `config` is always among them. */
  readonly settings: readonly string[];
  /** What its arguments without a flag are called, in their order. */
  readonly names?: readonly string[];
}

export interface Flags<Text extends string, Switch extends string> {
  readonly texts: Readonly<Partial<Record<Text, string>>>;
  readonly switches: ReadonlySet<Switch>;
  readonly json: boolean;
  /** The flags that are settings, to be read as such. */
  readonly settings: readonly string[];
  readonly names: readonly string[];
}

/** Reads the arguments of a command; a failure is a sentence. */
export function readFlags<Text extends string, Switch extends string>(
  { argv }: Pick<CommandContext, 'argv'>,
  table: FlagTable<Text, Switch>,
): Result<Flags<Text, Switch>, string> {
  const settings = ['config', ...table.settings];
  const names = table.names ?? [];
  const text = (name: string) => [name, { type: 'string' as const }] as const;
  const flag = (name: string) => [name, { type: 'boolean' as const }] as const;
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: Object.fromEntries([
        ...[...settings, ...table.texts].map(text),
        ...['json', ...table.switches].map(flag),
      ]),
      allowPositionals: names.length > 0,
    });
    if (positionals.length > names.length) {
      return err(`"${positionals[names.length]}" is one argument too many.`);
    }
    const given = values as Readonly<Record<string, string | boolean | undefined>>;
    return ok({
      texts: given as Readonly<Partial<Record<Text, string>>>,
      switches: new Set(table.switches.filter((name) => given[name] === true)),
      json: given.json === true,
      settings: settings.flatMap((name) =>
        given[name] === undefined ? [] : [`--${name}=${given[name]}`],
      ),
      names: positionals,
    });
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

/** Tells of a mistake in the arguments, with the usage. */
export function tellUsage(
  context: Pick<CommandContext, 'printError'>,
  { command, usage }: Pick<FlagTable<never, never>, 'command' | 'usage'>,
  sentence: string,
): void {
  context.printError(
    `fjmcp-broker ${command}: ${sentence}\n  usage: fjmcp-broker ${command} ${usage}\n`,
  );
}
