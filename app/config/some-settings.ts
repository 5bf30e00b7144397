import { err, ok, type Result } from '../base/result.ts';
import type { ConfigInput } from '../config.ts';
import type { Setting } from './setting.ts';
import { SETTINGS, type SettingValues } from './settings.ts';
import { gatherSources, spellings } from './sources.ts';

/**
 * Some settings by the same flags, variables and file as the broker's. The others are not looked at:
 * a command needs neither the broker's secrets nor what it does not use. No defaults are filled in.
 * A failure is all sentences about what is wrong.
 */
export function readSomeSettings<Key extends keyof SettingValues>(
  input: Pick<ConfigInput, 'argv' | 'env' | 'readFile'>,
  keys: readonly Key[],
): Result<{ readonly [K in Key]?: SettingValues[K] }, readonly string[]> {
  const { given, faults } = gatherSources({
    argv: input.argv,
    env: input.env,
    readText: (path) => new TextDecoder().decode(input.readFile(path).bytes),
  });
  const all = [...faults];
  const values: { [K in Key]?: SettingValues[K] } = {};
  for (const key of keys) {
    const setting: Setting<SettingValues[Key]> = SETTINGS[key];
    const raw = given.get(setting.name)?.raw;
    if (raw === undefined) continue;
    const outcome = setting.parse(raw);
    if (outcome.ok) values[key] = outcome.value;
    else all.push(`${spellings(setting.name)}: ${outcome.reason}`);
  }
  return all.length === 0 ? ok(values) : err(all);
}
