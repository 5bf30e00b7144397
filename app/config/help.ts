import type { Setting } from './setting.ts';
import { SETTINGS } from './settings.ts';
import {
  CLIENT_SECRET_NAME,
  CONFIG_NAME,
  flagOf,
  keyOf,
  METRICS_TOKEN_NAME,
  STATIC_CLIENTS_KEY,
  variableOf,
} from './sources.ts';

/** Every setting with its flag, variable, key, default and meaning. */
export function settingsHelp(): string {
  return [
    'Settings. Each is a flag, an environment variable and a key of the TOML file; the flag wins,',
    'then the environment, then the file. Lists are separated by spaces or commas.',
    '',
    entry([`${flagOf(CONFIG_NAME)} FILE`, variableOf(CONFIG_NAME)], 'The TOML file.', 'none'),
    ...Object.values(SETTINGS).map((setting) => settingEntry(setting)),
    entry(
      [variableOf(CLIENT_SECRET_NAME)],
      "The application's client secret itself. It has no flag and no key.",
      'required, in one of its three places',
    ),
    entry(
      [variableOf(METRICS_TOKEN_NAME)],
      'What a reader of the metrics sends as its bearer token. It has no flag and no key.',
      'none; needed where METRICS_LISTEN is no unix socket',
    ),
    entry(
      [`[[${STATIC_CLIENTS_KEY}]]`],
      'Clients known beforehand, in the file only: id, name, redirect_uris, secret_sha256.',
      'none',
    ),
  ].join('\n');
}

function settingEntry(setting: Setting<unknown>): string {
  const { name } = setting;
  const spellings = [`${flagOf(name)} ${setting.placeholder}`, variableOf(name), keyOf(name)];
  const taken = setting.live ? '. Taken by reload' : '';
  return entry(spellings, setting.help, `${defaultOf(setting)}${taken}`);
}

function defaultOf({ fallback }: Setting<unknown>): string {
  switch (fallback.kind) {
    case 'required':
      return 'required';
    case 'optional':
      return fallback.help;
    case 'text':
      return fallback.text === '' ? 'none' : fallback.text;
  }
}

function entry(spellings: readonly string[], help: string, fallback: string): string {
  return `  ${spellings.join(' · ')}\n      ${help}\n      Default: ${fallback}\n`;
}
