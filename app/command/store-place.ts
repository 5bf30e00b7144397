import { resolve } from 'node:path';
import { err, ok, type Result } from '../base/result.ts';
import { readConfigFile } from '../config/read-file.ts';
import { SETTINGS, type SettingValues } from '../config/settings.ts';
import { readSomeSettings } from '../config/some-settings.ts';
import { spellings } from '../config/sources.ts';
import type { CommandContext } from './command.ts';

/** The store that a command works on, with other settings that it asks for, as they are given. */
export function findStore<Key extends keyof SettingValues>(
  { env }: Pick<CommandContext, 'env'>,
  argv: readonly string[],
  others: readonly Key[],
): Result<
  { readonly storePath: string; readonly settings: { readonly [K in Key]?: SettingValues[K] } },
  readonly string[]
> {
  const read = readSomeSettings({ argv, env, readFile: readConfigFile }, ['storePath', ...others]);
  if (!read.ok) return read;
  const { storePath } = read.value as { readonly storePath?: string };
  return storePath === undefined
    ? err([`${spellings(SETTINGS.storePath.name)}: is missing. It says which store is meant.`])
    : ok({ storePath: resolve(storePath), settings: read.value });
}
