import type { Setting } from './setting.ts';
import { SETTINGS, type SettingValues } from './settings.ts';
import { type Given, spellings } from './sources.ts';

/** What the sources gave so far, faults left out. */
export type Incomplete = { -readonly [Key in keyof SettingValues]?: SettingValues[Key] };

/** Parses every row of the table; faults and warnings are complete sentences. */
export function readSettings(
  given: ReadonlyMap<string, Given>,
  faults: string[],
  warnings: string[],
): Incomplete {
  const values: Incomplete = {};
  for (const key of Object.keys(SETTINGS) as (keyof SettingValues)[]) {
    readSetting(key, given, values, faults, warnings);
  }
  return values;
}

function readSetting<Key extends keyof SettingValues>(
  key: Key,
  given: ReadonlyMap<string, Given>,
  values: Incomplete,
  faults: string[],
  warnings: string[],
): void {
  const setting: Setting<SettingValues[Key]> = SETTINGS[key];
  const { name, fallback } = setting;
  const raw = given.get(name)?.raw ?? (fallback.kind === 'text' ? fallback.text : undefined);
  if (raw === undefined) {
    if (fallback.kind === 'required')
      faults.push(`${spellings(name)}: is missing. ${setting.help}`);
    return;
  }
  const outcome = setting.parse(raw);
  if (!outcome.ok) {
    faults.push(`${spellings(name)}: ${outcome.reason}`);
    return;
  }
  values[key] = outcome.value;
  if (outcome.note !== undefined) warnings.push(`${spellings(name)}: ${outcome.note}`);
}

/** Whether all is there: a row that gave neither a value nor a fault is an optional one. */
export function isComplete(values: Incomplete): values is Incomplete & SettingValues {
  return Object.entries(SETTINGS).every(
    ([key, setting]) => key in values || setting.fallback.kind === 'optional',
  );
}
