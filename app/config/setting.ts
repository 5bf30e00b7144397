import { each, type Parsed, wrong } from './parse.ts';

/** One row of the settings table: `NAME` is `--name`, `FJMCP_NAME` and the key `name`. */
export interface Setting<T> {
  readonly name: string;
  /** What stands for the value in the help. */
  readonly placeholder: string;
  readonly help: string;
  readonly fallback: Fallback;
  /** True when a flag may be repeated. */
  readonly list: boolean;
  readonly parse: (raw: RawValue) => Parsed<T>;
  /** True when a broker that runs takes a change of it; the others need a restart. */
  readonly live: boolean;
}

interface SettingText {
  readonly help: string;
  readonly live?: boolean;
}

/** A value as its source gives it: a text, or an array of the file. */
export type RawValue = string | readonly string[];

/** What holds when nothing is given: a text that is parsed as any other, a fault, or nothing. */
export type Fallback =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'required' }
  | { readonly kind: 'optional'; readonly help: string };

/** A setting that is one value; a fallback that is a text is read as any other. */
export function one<T>(
  name: string,
  placeholder: string,
  fallback: string | Fallback,
  parse: (text: string) => Parsed<T>,
  { help, live = false }: SettingText,
): Setting<T> {
  return {
    name,
    placeholder,
    fallback: typeof fallback === 'string' ? text(fallback) : fallback,
    list: false,
    help,
    live,
    parse: (raw) => (typeof raw === 'string' ? parse(raw.trim()) : wrong('must be one value')),
  };
}

/** The value that holds when none is given. */
export function text(value: string): Fallback {
  return { kind: 'text', text: value };
}

/** Nothing, which `help` explains. */
export function optional(help: string): Fallback {
  return { kind: 'optional', help };
}

/** Members are separated by spaces or commas; an array in the file takes them as they are. */
export function list<T>(
  name: string,
  placeholder: string,
  fallback: string,
  parse: (text: string) => Parsed<T>,
  { help, live = false }: SettingText,
): Setting<readonly T[]> {
  return {
    name,
    placeholder,
    fallback: text(fallback),
    list: true,
    help,
    live,
    parse: (raw) =>
      each(typeof raw === 'string' ? raw.split(/[\s,]+/).filter(Boolean) : raw, parse),
  };
}
