import { Secret } from '../base/secret.ts';
import type { Config } from '../config.ts';
import { SETTINGS } from './settings.ts';
import { CLIENT_SECRET_NAME, METRICS_TOKEN_NAME, STATIC_CLIENTS_KEY } from './sources.ts';

/** A setting by its name, with its values as a person may see them; undefined: too long to show. */
export interface SettingChange {
  readonly name: string;
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/** What became of settings that were read again. */
export interface TakenSettings {
  readonly changed: readonly SettingChange[];
  /** Names of those that are not as they were, and hold only from the next start on. */
  readonly needRestart: readonly string[];
}

/** The settings of a broker that runs. */
export interface LiveConfig {
  /**
   * Reads as a configuration. Its live settings are those of this moment: who needs one asks for it
   * at each use and keeps no copy.
   */
  readonly config: Config;
  /** Takes the live settings of a configuration that was read again. */
  take(next: Config): TakenSettings;
}

/** The running broker was told of another key through its socket; the file is for the next start. */
const NOT_COMPARED: ReadonlySet<string> = new Set(['storeKey', 'storePreviousKey']);

/** What is not one row of the table. */
const NAMES_BESIDE_THE_TABLE: { readonly [Key in keyof Config]?: string } = {
  staticClients: STATIC_CLIENTS_KEY.toUpperCase(),
  forgejoClientSecret: CLIENT_SECRET_NAME,
  metricsToken: METRICS_TOKEN_NAME,
  toolsToml: SETTINGS.toolsFile.name,
};

const VALUE_LENGTH_MAX = 200;

/** Begins with the settings that the broker was started with. */
export function createLiveConfig(first: Config): LiveConfig {
  let current = first;
  const keys = Object.keys(first) as (keyof Config)[];
  const config = Object.defineProperties(
    {},
    Object.fromEntries(keys.map((key) => [key, { enumerable: true, get: () => current[key] }])),
  ) as Config;
  return {
    config,
    take(next) {
      const different = keys.filter((key) => !isSame(current[key], next[key]));
      const live = different.filter(isLive);
      const changed = live.map((key) => ({
        name: nameOf(key),
        from: shown(key, current),
        to: shown(key, next),
      }));
      current = { ...current, ...Object.fromEntries(live.map((key) => [key, next[key]])) };
      const needRestart = different
        .filter((key) => !isLive(key) && !NOT_COMPARED.has(key))
        .map(nameOf);
      return { changed, needRestart };
    },
  };
}

function isLive(key: keyof Config): boolean {
  return key === 'staticClients' || (rowOf(key)?.live ?? false);
}

function nameOf(key: keyof Config): string {
  return rowOf(key)?.name ?? NAMES_BESIDE_THE_TABLE[key] ?? key;
}

function rowOf(key: string): { readonly name: string; readonly live: boolean } | undefined {
  return Object.hasOwn(SETTINGS, key) ? SETTINGS[key as keyof typeof SETTINGS] : undefined;
}

function isSame(one: unknown, other: unknown): boolean {
  if (one instanceof Secret && other instanceof Secret) return one.reveal() === other.reveal();
  return Bun.deepEquals(one, other, true);
}

function shown(key: keyof Config, config: Config): string | undefined {
  const value: unknown = config[key];
  if (key === 'staticClients') return undefined;
  const isList = Array.isArray(value) && value.every((item) => typeof item === 'string');
  if (!isList && typeof value !== 'string' && typeof value !== 'number') return undefined;
  const text = isList ? value.join(' ') : String(value);
  return text.length <= VALUE_LENGTH_MAX ? text : undefined;
}
