import { existsSync } from 'node:fs';
import type { CommandContext } from './command.ts';

/** Where the installer puts the configuration and the files that systemd gives as credentials. */
const INSTALLED = {
  FJMCP_CONFIG: '/etc/fjmcp-broker/config.toml',
  CREDENTIALS_DIRECTORY: '/etc/fjmcp-broker/credentials',
} as const;

/**
 * The environment of a command for the administrator of an installed broker: what nobody says is
 * what the installed unit says, so that `fjmcp-broker sessions` needs no flag.
 */
export function withInstalledPlaces(
  env: CommandContext['env'],
  exists: (path: string) => boolean = existsSync,
): CommandContext['env'] {
  const places = Object.entries(INSTALLED).filter(
    ([name, path]) => (env[name] ?? '') === '' && exists(path),
  );
  return { ...env, ...Object.fromEntries(places) };
}
