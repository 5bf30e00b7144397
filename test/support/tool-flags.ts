import { type ParseArgsConfig, parseArgs } from 'node:util';

/** The flags of a tool that people run by hand. */
export interface ToolFlags<Values> {
  readonly values: Values;
  /** A number above 0. */
  positive(flag: string, text: string): number;
  /** A whole number from 0 on. */
  whole(flag: string, text: string): number;
  /** Ends the tool as for every flag that it does not take; `reason` is a sentence. */
  refuse(reason: string): never;
}

/**
 * Reads the flags that the tool was started with. `--help` shows its usage; what it does not take ends
 * it with a sentence, the usage, and exit code 2.
 */
export function toolFlags<Options extends NonNullable<ParseArgsConfig['options']>>(
  usage: string,
  options: Options,
): ToolFlags<ReturnType<typeof parseArgs<{ options: Options }>>['values']> {
  const refuse = (reason: string): never => {
    process.stderr.write(`${reason}\n\n${usage}`);
    process.exit(2);
  };
  const number = (flag: string, text: string, what: string, fits: (value: number) => boolean) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    return fits(value) ? value : refuse(`${flag} takes ${what}, not "${text}"`);
  };
  if (process.argv.slice(2).some((word) => word === '--help' || word === '-h')) {
    process.stdout.write(usage);
    process.exit(0);
  }
  return {
    refuse,
    values: parsed(options, refuse),
    positive: (flag, text) =>
      number(flag, text, 'a number above 0', (value) => value > 0 && Number.isFinite(value)),
    whole: (flag, text) =>
      number(flag, text, 'a whole number', (value) => Number.isSafeInteger(value) && value >= 0),
  };
}

function parsed<Options extends NonNullable<ParseArgsConfig['options']>>(
  options: Options,
  refuse: (reason: string) => never,
): ReturnType<typeof parseArgs<{ options: Options }>>['values'] {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    if (error instanceof TypeError && 'code' in error) return refuse(error.message);
    throw error;
  }
}
