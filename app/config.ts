import type { ListenAddress } from './base/listen-address.ts';
import type { Network } from './base/network.ts';
import type { RateLimitRules } from './base/rate-limits.ts';
import type { Secret } from './base/secret.ts';
import { resolveCommand } from './config/child-command.ts';
import type { Parsed } from './config/parse.ts';
import { type Incomplete, isComplete, readSettings } from './config/read-settings.ts';
import { shownPlaces } from './config/sandbox-paths.ts';
import {
  findClientSecret,
  findMetricsToken,
  findPreviousKey,
  findStoreKey,
  type ReadFile,
} from './config/secret-files.ts';
import type { SessionConfig } from './config/session-settings.ts';
import { SETTINGS } from './config/settings.ts';
import {
  CLIENT_SECRET_NAME,
  type Environment,
  gatherSources,
  METRICS_TOKEN_NAME,
  spellings,
  variableOf,
} from './config/sources.ts';
import { readStaticClients } from './config/static-clients.ts';
import { findToolsFile } from './config/tools-file.ts';

/** A client that the administrator wrote into the configuration file. */
export interface StaticClientConfig {
  readonly id: string;
  readonly name: string;
  readonly redirectUris: readonly string[];
  /** SHA-256 of the secret, base64url without padding; null for a public client. */
  readonly secretSha256: string | null;
}

/** From the least to the most; each holds those before it. */
export type ScopeName = 'forgejo:read' | 'forgejo:write' | 'forgejo:delete';

/** Everything that the program is told; parsed, checked and in its own units. */
export interface Config extends SessionConfig {
  readonly listen: ListenAddress;
  /** `https://host` or `http://127.0.0.1:8080`; no trailing slash. The issuer, byte for byte. */
  readonly publicOrigin: string;
  /** Forgejo as browsers see it; a path prefix is allowed; no trailing slash. */
  readonly forgejoUrl: string;
  /** Forgejo as the broker and the children reach it; no trailing slash. */
  readonly forgejoInternalUrl: string;
  readonly forgejoClientId: string;
  readonly forgejoClientSecret: Secret;
  readonly forgejoScopes: readonly string[];
  readonly forgejoRefreshTokenTtlMs: number;
  readonly storePath: string;
  /** 32 bytes. */
  readonly storeKey: Uint8Array;
  /** 32 bytes; undefined while no key was rotated. */
  readonly storePreviousKey: Uint8Array | undefined;
  /** The unix socket of the program's own commands, absolute; undefined: there is none. */
  readonly controlSocketPath: string | undefined;
  readonly staticClients: readonly StaticClientConfig[];
  readonly redirectAllowlist: readonly string[];
  readonly allowedOrigins: readonly string[];
  /** The most that any connection may do, whatever it was granted. */
  readonly maxScope: ScopeName;
  /** What the consent page proposes to a client that asks for nothing; never above `maxScope`. */
  readonly defaultScope: ScopeName;
  /** The administrator's own catalogue of tools, in TOML, found to be right; undefined: none. */
  readonly toolsToml: string | undefined;
  /** Whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly Network[];
  readonly rateLimits: RateLimitRules;
  /** Undefined: the metrics cannot be read. */
  readonly metricsListen: ListenAddress | undefined;
  /** What their readers have to send; never undefined where they listen on a port. */
  readonly metricsToken: Secret | undefined;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug';
  readonly logFormat: 'json' | 'pretty';
}

/** What the configuration is read from; nothing else of the process is looked at. */
export interface ConfigInput {
  /** The arguments after the command. */
  readonly argv: readonly string[];
  readonly env: Environment;
  readonly readFile: ReadFile;
  /** The absolute path of a program, or null when there is none to run. */
  readonly which: (program: string) => string | null;
  /** What is wrong with a catalogue of tools, each a sentence. */
  readonly toolsFaults: (toml: string) => readonly string[];
  /** The absolute form of a path. */
  readonly resolvePath: (path: string) => string;
}

/** A configuration that can be served, and what its administrator should know about it. */
export interface LoadedConfig extends Config {
  readonly warnings: readonly string[];
}

export type ConfigOutcome =
  | { readonly ok: true; readonly value: LoadedConfig }
  | {
      readonly ok: false;
      readonly error: readonly string[];
      /** A name that was misspelt is a warning here, and the reason of a fault elsewhere. */
      readonly warnings: readonly string[];
    };

/**
 * Reads flags, environment and file into one configuration. Every fault is told at once, each a
 * sentence that names flag, variable and key; no sentence holds a secret.
 */
export function loadConfig(input: ConfigInput): ConfigOutcome {
  const sources = gatherSources({
    argv: input.argv,
    env: input.env,
    readText: (path) => new TextDecoder().decode(input.readFile(path).bytes),
  });
  const faults = [...sources.faults];
  const warnings = [...sources.warnings];
  const values = readSettings(sources.given, faults, warnings);
  const secret = findClientSecret(values.forgejoClientSecretFile, input.env, input.readFile);
  const secretName = spellings(`${CLIENT_SECRET_NAME}_FILE`);
  if (!secret.ok)
    faults.push(`${variableOf(CLIENT_SECRET_NAME)} or ${secretName}: ${secret.reason}`);
  const key = findStoreKey(values.storeKeyFile, input.env, input.readFile);
  if (!key.ok) faults.push(`${spellings(SETTINGS.storeKeyFile.name)}: ${key.reason}`);
  const tools = findToolsFile(values.toolsFile, input.readFile, input.toolsFaults);
  faults.push(...tools.faults.map((fault) => `${spellings(SETTINGS.toolsFile.name)}: ${fault}`));
  const previous = findPreviousKey(values.storePreviousKeyFile, input.env, input.readFile);
  if (!previous.ok)
    faults.push(`${spellings(SETTINGS.storePreviousKeyFile.name)}: ${previous.reason}`);
  const metricsToken = readMetricsToken(values, input);
  if (!metricsToken.ok) faults.push(metricsToken.reason);
  const statics = readStaticClients(sources.staticClients);
  faults.push(...statics.faults);
  const shown = shownPlaces(values.childSandboxPaths ?? [], ownPlaces(values, input));
  faults.push(...shown.map((fault) => `${spellings(SETTINGS.childSandboxPaths.name)}: ${fault}`));
  if (
    !isComplete(values) ||
    !secret.ok ||
    !key.ok ||
    !previous.ok ||
    !metricsToken.ok ||
    faults.length > 0
  ) {
    return { ok: false, error: faults, warnings };
  }
  if (secret.warning !== undefined) warnings.push(`${secretName}: ${secret.warning}`);
  const {
    forgejoClientSecretFile: _,
    storeKeyFile: __,
    storePreviousKeyFile: ___,
    metricsTokenFile: ____,
    toolsFile: _____,
    ...settings
  } = values;
  const forgejoInternalUrl = values.forgejoInternalUrl ?? values.forgejoUrl;
  const child = resolveCommand(values.childCommand, forgejoInternalUrl, input);
  if (child.warning !== undefined) {
    warnings.push(`${spellings(SETTINGS.childCommand.name)}: ${child.warning}`);
  }
  return {
    ok: true,
    value: {
      ...settings,
      forgejoInternalUrl,
      forgejoClientSecret: secret.value,
      storeKey: key.value,
      storePreviousKey: previous.value,
      metricsListen: values.metricsListen,
      metricsToken: metricsToken.value,
      storePath: input.resolvePath(values.storePath),
      controlSocketPath: controlSocketOf(values, input.resolvePath),
      childCommand: child.argv,
      staticClients: statics.clients,
      toolsToml: tools.toml,
      warnings,
    },
  };
}

/** Where the broker listens for the program's own commands; undefined when nothing says it. */
export function controlSocketOf(
  values: { readonly controlSocketPath?: string | undefined; readonly storePath?: string },
  resolvePath: ConfigInput['resolvePath'],
): string | undefined {
  const { controlSocketPath, storePath } = values;
  if (controlSocketPath !== undefined) return resolvePath(controlSocketPath);
  return storePath === undefined ? undefined : `${resolvePath(storePath)}.control`;
}

/** On a port everybody of the machine could read, so there a token must be sent. */
function readMetricsToken(
  { metricsTokenFile, metricsListen }: Incomplete,
  { env, readFile }: ConfigInput,
): Parsed<Secret | undefined> {
  const names = `${variableOf(METRICS_TOKEN_NAME)} or ${spellings(`${METRICS_TOKEN_NAME}_FILE`)}`;
  const found = findMetricsToken(metricsTokenFile, env, readFile);
  if (!found.ok) return { ok: false, reason: `${names}: ${found.reason}` };
  return found.value === undefined && metricsListen?.kind === 'tcp'
    ? { ok: false, reason: `${names}: is missing, and METRICS_LISTEN is no unix socket` }
    : found;
}

/** What belongs to the broker alone. */
function ownPlaces(values: Incomplete, input: ConfigInput): readonly (string | undefined)[] {
  const files = [values.storePath, values.storeKeyFile, values.storePreviousKeyFile];
  const places = [
    ...files,
    values.metricsTokenFile,
    values.forgejoClientSecretFile,
    values.controlSocketPath,
  ];
  return [...places, input.env.CREDENTIALS_DIRECTORY].map((path) =>
    path === undefined || path === '' ? undefined : input.resolvePath(path),
  );
}
