import type { Config } from '../config.ts';
import { network } from './network.ts';
import { duration, line, oneOf } from './parse.ts';
import { RATE_LIMITS, rateLimits } from './rate-limits.ts';
import { SESSION_SETTINGS } from './session-settings.ts';
import { type Fallback, list, one, optional, type Setting, text } from './setting.ts';
import {
  browserForgeUrl,
  forgeUrl,
  listenAddress,
  privateUseRedirect,
  publicOrigin,
  scopeToken,
  webOrigin,
} from './urls.ts';

/** What the table gives: the configuration but for what is put together from several settings. */
export interface SettingValues
  extends Omit<
    Config,
    | 'forgejoInternalUrl'
    | 'forgejoClientSecret'
    | 'storeKey'
    | 'storePreviousKey'
    | 'metricsToken'
    | 'controlSocketPath'
    | 'childCommand'
    | 'staticClients'
    | 'toolsToml'
  > {
  readonly forgejoInternalUrl: string | undefined;
  readonly forgejoClientSecretFile: string | undefined;
  readonly storeKeyFile: string | undefined;
  readonly storePreviousKeyFile: string | undefined;
  readonly controlSocketPath: string | undefined;
  readonly toolsFile: string | undefined;
  readonly metricsTokenFile: string | undefined;
  /** As written: `{forgejo_url}` not filled in, the program not looked up. */
  readonly childCommand: readonly string[];
}

const REQUIRED: Fallback = { kind: 'required' };

/** Help for what stands in for the client secret's file. */
const CLIENT_SECRET_ELSEWHERE =
  'the variable FJMCP_FORGEJO_CLIENT_SECRET, or the systemd credential forgejo_client_secret';

const METRICS_TOKEN_ELSEWHERE =
  'the variable FJMCP_METRICS_TOKEN, or the systemd credential metrics_token';

const SECOND = 1000;
const YEARS = 3650 * 24 * 3600 * SECOND;

/** What forgejo-mcp's tools need, and no admin scope; none at all would mean everything. */
const FORGEJO_SCOPES =
  'read:misc write:issue write:notification write:organization write:repository write:user';

const SCOPE_NAMES = ['forgejo:read', 'forgejo:write', 'forgejo:delete'] as const;

/** The settings table: everything that a flag, a variable or the file can say. */
export const SETTINGS: { readonly [Key in keyof SettingValues]: Setting<SettingValues[Key]> } = {
  listen: one('LISTEN', 'ADDRESS', '127.0.0.1:8080', listenAddress, {
    help: 'HOST:PORT or unix:/PATH. Keep it on this machine, behind a proxy that speaks TLS.',
  }),
  publicOrigin: one('PUBLIC_URL', 'URL', REQUIRED, publicOrigin, {
    help: 'The address that clients and browsers see: https, or http on loopback. No path.',
  }),
  forgejoUrl: one('FORGEJO_URL', 'URL', REQUIRED, browserForgeUrl, {
    help: "Forgejo as people's browsers see it.",
  }),
  forgejoInternalUrl: one(
    'FORGEJO_INTERNAL_URL',
    'URL',
    optional('the same as FORGEJO_URL'),
    forgeUrl,
    {
      help: 'Forgejo as the broker and its children reach it.',
    },
  ),
  forgejoClientId: one('FORGEJO_CLIENT_ID', 'ID', REQUIRED, line, {
    help: 'The client id of the OAuth2 application in Forgejo.',
  }),
  forgejoClientSecretFile: one(
    'FORGEJO_CLIENT_SECRET_FILE',
    'FILE',
    optional(CLIENT_SECRET_ELSEWHERE),
    line,
    {
      help: "A file with that application's client secret.",
    },
  ),
  forgejoScopes: list('FORGEJO_SCOPES', 'SCOPES', FORGEJO_SCOPES, scopeToken, {
    help: 'What is asked of Forgejo. Forgejo keeps the first grant of a person for good.',
  }),
  forgejoRefreshTokenTtlMs: one(
    'FORGEJO_REFRESH_TOKEN_TTL',
    'DURATION',
    '730h',
    duration(60 * SECOND, YEARS),
    { help: "Forgejo's REFRESH_TOKEN_EXPIRATION_TIME, for tokens that do not say it themselves." },
  ),
  storePath: one('STORE_PATH', 'FILE', REQUIRED, line, {
    help: 'The database of clients, grants, tokens and sessions; made at the first start.',
  }),
  storeKeyFile: one(
    'STORE_KEY_FILE',
    'FILE',
    optional('required, or the systemd credential store-key'),
    line,
    {
      help: 'The key that seals tokens in the store: 32 bytes, in a file that only the broker reads.',
    },
  ),
  storePreviousKeyFile: one(
    'STORE_PREVIOUS_KEY_FILE',
    'FILE',
    optional('none, or the systemd credential store-previous-key'),
    line,
    {
      help: 'The key before that one; read with, never written with. rotate-key puts it there.',
    },
  ),
  controlSocketPath: one(
    'CONTROL_SOCKET',
    'FILE',
    optional('beside the store: STORE_PATH with .control behind it'),
    line,
    { help: 'The unix socket through which sessions, grants and revoke talk to the broker.' },
  ),
  ...SESSION_SETTINGS,
  redirectAllowlist: list(
    'REDIRECT_ALLOWLIST',
    'URIS',
    'cursor://anysphere.cursor-mcp/oauth/callback',
    privateUseRedirect,
    {
      help: 'Private-use redirect URIs that clients may register, compared as a whole.',
      live: true,
    },
  ),
  allowedOrigins: list('ALLOWED_ORIGINS', 'ORIGINS', '', webOrigin, {
    help: 'Origins of browser clients, beside the public one.',
    live: true,
  }),
  trustedProxies: list('TRUSTED_PROXIES', 'NETWORKS', '', network, {
    help: "Proxies whose X-Forwarded-For is believed; a unix socket's peer always is.",
    live: true,
  }),
  rateLimits: {
    live: true,
    name: 'RATE_LIMITS',
    placeholder: 'LIMITS',
    fallback: text(RATE_LIMITS),
    list: true,
    parse: rateLimits,
    help: 'NAME=COUNT/DURATION or NAME=off, by address and by account; beyond it 429. off: none.',
  },
  metricsListen: one('METRICS_LISTEN', 'ADDRESS', optional('nowhere'), listenAddress, {
    help: 'Where the metrics can be read: unix:/PATH, or HOST:PORT with METRICS_TOKEN.',
  }),
  metricsTokenFile: one('METRICS_TOKEN_FILE', 'FILE', optional(METRICS_TOKEN_ELSEWHERE), line, {
    help: "A file with the metrics' bearer token.",
  }),
  maxScope: one('MAX_SCOPE', 'SCOPE', 'forgejo:delete', oneOf(SCOPE_NAMES), {
    help: 'The most that any connection may do: forgejo:read, forgejo:write or forgejo:delete.',
    live: true,
  }),
  defaultScope: one('DEFAULT_SCOPE', 'SCOPE', 'forgejo:write', oneOf(SCOPE_NAMES), {
    help: 'What the consent page proposes to a client that asks for nothing; MAX_SCOPE cuts it.',
    live: true,
  }),
  toolsFile: one('TOOLS_FILE', 'FILE', optional('none'), line, {
    help: 'A TOML file that says what tools may do, over what the broker knows; docs/permissions.md.',
  }),
  logLevel: one('LOG_LEVEL', 'LEVEL', 'info', oneOf(['error', 'warn', 'info', 'debug']), {
    help: 'error, warn, info or debug.',
    live: true,
  }),
  logFormat: one('LOG_FORMAT', 'FORMAT', 'json', oneOf(['json', 'pretty']), {
    help: 'json, one object a line, or pretty, for a person.',
  }),
};
