import { parseArgs } from 'node:util';
import type { RawValue } from './setting.ts';
import { SETTINGS } from './settings.ts';

/** The one setting that says where the others may stand. */
export const CONFIG_NAME = 'CONFIG';
/** Secrets have no flag and no key: both would be read by other people of the machine. */
export const CLIENT_SECRET_NAME = 'FORGEJO_CLIENT_SECRET';
export const METRICS_TOKEN_NAME = 'METRICS_TOKEN';
const SECRET_NAMES: readonly string[] = [CLIENT_SECRET_NAME, METRICS_TOKEN_NAME];

/** The table of the file that has neither flag nor variable. */
export const STATIC_CLIENTS_KEY = 'static_clients';

/** Where a value came from, as the administrator knows it. */
export interface Given {
  readonly raw: RawValue;
  readonly from: string;
}

/** The raw values of all sources; faults and warnings are complete sentences. */
export interface Sources {
  readonly given: ReadonlyMap<string, Given>;
  readonly staticClients: unknown;
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

export const flagOf = (name: string) => `--${name.toLowerCase().replaceAll('_', '-')}`;
export const variableOf = (name: string) => `FJMCP_${name}`;
export const keyOf = (name: string) => name.toLowerCase();

/** Names a setting in each of its spellings: `--listen (FJMCP_LISTEN, listen)`. */
export function spellings(name: string): string {
  const own = `${flagOf(name)} (${variableOf(name)}`;
  return name === CONFIG_NAME ? `${own})` : `${own}, ${keyOf(name)})`;
}

/** Gathers what flags, environment and file say; a flag wins, then the environment, then the file. */
export function gatherSources(input: {
  readonly argv: readonly string[];
  readonly env: Environment;
  readonly readText: (path: string) => string;
}): Sources {
  const faults: string[] = [];
  const warnings: string[] = [];
  const flags = readFlags(input.argv, faults);
  const variables = readEnvironment(input.env, warnings);
  const path = flags.get(CONFIG_NAME)?.raw ?? variables.get(CONFIG_NAME)?.raw;
  const table = typeof path === 'string' ? readFile(path, input.readText, faults) : {};
  const { [STATIC_CLIENTS_KEY]: staticClients, ...keys } = table;
  const given = new Map([...readKeys(keys, faults), ...variables, ...flags]);
  return { given, staticClients, faults, warnings };
}

const SETTING_NAMES: ReadonlyMap<string, { readonly list: boolean }> = new Map(
  Object.values(SETTINGS).map((setting) => [setting.name, setting]),
);

function readFlags(argv: readonly string[], faults: string[]): Map<string, Given> {
  const names = [CONFIG_NAME, ...SETTING_NAMES.keys()];
  const options = Object.fromEntries(
    names.map((name) => [flagOf(name).slice(2), { type: 'string', multiple: true }] as const),
  );
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, tokens: true });
  const given = new Map<string, Given>();
  for (const [position, token] of tokens.entries()) {
    const before = tokens[position - 1];
    // `--unknown value`: the value belongs to the flag that was already told.
    if (token.kind === 'positional' && before?.kind === 'option' && before.value === undefined) {
      continue;
    }
    if (token.kind !== 'option') {
      if (token.kind === 'positional')
        faults.push('an argument that is neither a flag nor its value');
      continue;
    }
    const name = names.find((candidate) => flagOf(candidate) === token.rawName);
    if (name === undefined) faults.push(unknownFlag(token.rawName));
    else takeFlag(name, token, given, faults);
  }
  return given;
}

function takeFlag(
  name: string,
  token: { readonly value?: string | undefined; readonly inlineValue?: boolean | undefined },
  given: Map<string, Given>,
  faults: string[],
): void {
  const { value } = token;
  if (value === undefined || (token.inlineValue !== true && value.startsWith('--'))) {
    faults.push(`${spellings(name)}: the flag needs a value`);
    return;
  }
  const earlier = given.get(name)?.raw;
  if (earlier !== undefined && SETTING_NAMES.get(name)?.list !== true) {
    faults.push(`${spellings(name)}: the flag is given twice`);
    return;
  }
  given.set(name, {
    raw: earlier === undefined ? value : `${earlier} ${value}`,
    from: flagOf(name),
  });
}

function unknownFlag(rawName: string): string {
  const secret = SECRET_NAMES.find((name) => flagOf(name) === rawName);
  return secret === undefined
    ? `${rawName}: there is no such flag; --help lists them`
    : `${rawName}: a secret has no flag, every process of the machine could read it; ` +
        `use ${variableOf(`${secret}_FILE`)}`;
}

function readEnvironment(env: Environment, warnings: string[]): Map<string, Given> {
  const given = new Map<string, Given>();
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith('FJMCP_') || value === undefined) continue;
    const name = variable.slice('FJMCP_'.length);
    const setting = SETTING_NAMES.get(name);
    if (setting === undefined && name !== CONFIG_NAME) {
      if (SECRET_NAMES.includes(name)) continue;
      warnings.push(`${variable}: there is no such setting; --help lists them`);
      continue;
    }
    // Units and compose files write an unset variable as an empty one; only a list can be empty.
    if (value === '' && setting?.list !== true) continue;
    given.set(name, { raw: value, from: variable });
  }
  return given;
}

function readFile(
  path: string,
  readText: (path: string) => string,
  faults: string[],
): Record<string, unknown> {
  try {
    return Bun.TOML.parse(readText(path)) as Record<string, unknown>;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    faults.push(`${spellings(CONFIG_NAME)}: cannot read ${path}: ${reason}`);
    return {};
  }
}

function readKeys(keys: Readonly<Record<string, unknown>>, faults: string[]): Map<string, Given> {
  const given = new Map<string, Given>();
  for (const [key, value] of Object.entries(keys)) {
    const name = [...SETTING_NAMES.keys()].find((candidate) => keyOf(candidate) === key);
    if (name === undefined) {
      faults.push(unknownKey(key));
      continue;
    }
    const raw = rawOf(value);
    if (raw === undefined)
      faults.push(`${spellings(name)}: must be a text, a number or an array of texts`);
    else given.set(name, { raw, from: `${key} in the file` });
  }
  return given;
}

function unknownKey(key: string): string {
  const secret = SECRET_NAMES.find((name) => keyOf(name) === key);
  return secret === undefined
    ? `${key}: there is no such key; --help lists them`
    : `${key}: a secret does not stand in this file; use ${keyOf(`${secret}_FILE`)}`;
}

function rawOf(value: unknown): RawValue | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
    ? value
    : undefined;
}
