import type { Config } from '../config.ts';
import { commandWords } from './child-command.ts';
import { count, duration, line, oneOf, size, TIMER_MAX_MS } from './parse.ts';
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
    | 'controlSocketPath'
    | 'childCommand'
    | 'staticClients'
    | 'toolsToml'
  > {
  readonly forgejoInternalUrl: string | undefined;
  readonly forgejoClientSecretFile: string | undefined;
  readonly storeKeyFile: string | undefined;
  readonly controlSocketPath: string | undefined;
  readonly toolsFile: string | undefined;
  /** As written: `{forgejo_url}` not filled in, the program not looked up. */
  readonly childCommand: readonly string[];
}

const REQUIRED: Fallback = { kind: 'required' };

/** Help for what stands in for the client secret's file. */
const CLIENT_SECRET_ELSEWHERE =
  'the variable FJMCP_FORGEJO_CLIENT_SECRET, or the systemd credential forgejo_client_secret';

const SECOND = 1000;
const YEARS = 3650 * 24 * 3600 * SECOND;
const MIB = 1024 ** 2;

/** What forgejo-mcp's tools need, and no admin scope; none at all would mean everything. */
const FORGEJO_SCOPES =
  'read:misc write:issue write:notification write:organization write:repository write:user';

const SCOPE_NAMES = ['forgejo:read', 'forgejo:write', 'forgejo:delete'] as const;

/** The settings table: everything that a flag, a variable or the file can say. */
export const SETTINGS: { readonly [Key in keyof SettingValues]: Setting<SettingValues[Key]> } = {
  listen: one('LISTEN', 'HOST:PORT', '127.0.0.1:8080', listenAddress, {
    help: 'Where the broker listens. Keep it on loopback, behind a proxy that speaks TLS.',
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
  controlSocketPath: one(
    'CONTROL_SOCKET',
    'FILE',
    optional('beside the store: STORE_PATH with .control behind it'),
    line,
    { help: 'The unix socket through which sessions, grants and revoke talk to the broker.' },
  ),
  childCommand: {
    name: 'CHILD_COMMAND',
    placeholder: 'COMMAND',
    fallback: text('forgejo-mcp --transport stdio --url {forgejo_url}'),
    list: false,
    parse: commandWords,
    help: 'The program of a session, split at spaces, without a shell; in the file also an array.',
  },
  maxSessions: one('MAX_SESSIONS', 'NUMBER', '100', count(1, 100_000), {
    help: 'Children at once.',
  }),
  maxSessionsPerUser: one('MAX_SESSIONS_PER_USER', 'NUMBER', '10', count(1, 100_000), {
    help: 'Children at once of one person.',
  }),
  spawnConcurrency: one(
    'SPAWN_CONCURRENCY',
    'NUMBER',
    optional('twice the number of cores'),
    count(1, 10_000),
    { help: 'Children that may start at the same time; others wait for their turn.' },
  ),
  sessionIdleTimeoutMs: one('SESSION_IDLE_TIMEOUT', 'DURATION', '15m', duration(1, TIMER_MAX_MS), {
    help: 'A child without work for so long is stopped; its session goes on.',
  }),
  sessionTtlMs: one('SESSION_TTL', 'DURATION', '30d', duration(60 * SECOND, YEARS), {
    help: 'A session that nobody used for so long is forgotten.',
  }),
  maxStoredSessionsPerUser: one(
    'MAX_STORED_SESSIONS_PER_USER',
    'NUMBER',
    '200',
    count(1, 100_000),
    {
      help: 'Sessions of one person that are kept; beyond it the least recently used one ends.',
    },
  ),
  accessTokenTtlMs: one('ACCESS_TOKEN_TTL', 'DURATION', '8h', duration(SECOND, YEARS), {
    help: 'The life of an access token.',
  }),
  refreshTokenTtlMs: one('REFRESH_TOKEN_TTL', 'DURATION', '90d', duration(SECOND, YEARS), {
    help: 'The life of a refresh token; each refresh starts it anew.',
  }),
  requestTimeoutMs: one('REQUEST_TIMEOUT', 'DURATION', '5m', duration(1, TIMER_MAX_MS), {
    help: 'A call without an answer or progress for so long gets an error.',
  }),
  requestTimeoutTotalMs: one('REQUEST_TIMEOUT_TOTAL', 'DURATION', '1h', duration(1, TIMER_MAX_MS), {
    help: 'A call without an answer for so long gets an error, whatever it tells meanwhile.',
  }),
  stopGraceMs: one('STOP_GRACE', 'DURATION', '1500ms', duration(0, 600 * SECOND), {
    help: 'How long calls in flight may go on after SIGTERM.',
  }),
  maxBodyBytes: one('MAX_BODY', 'SIZE', '4MiB', size(1024, 1024 * MIB), {
    help: 'The largest request body.',
  }),
  maxMessageBytes: one('MAX_MESSAGE', 'SIZE', '32MiB', size(1024, 1024 * MIB), {
    help: 'The largest message of a child.',
  }),
  maxStreamBufferBytes: one('MAX_STREAM_BUFFER', 'SIZE', '8MiB', size(1024, 1024 * MIB), {
    help: 'What a session keeps of its streams for a client that comes back.',
  }),
  maxClients: one('MAX_CLIENTS', 'NUMBER', '10000', count(1, 10_000_000), {
    help: 'Registered clients; beyond it registration is refused.',
  }),
  redirectAllowlist: list(
    'REDIRECT_ALLOWLIST',
    'URIS',
    'cursor://anysphere.cursor-mcp/oauth/callback',
    privateUseRedirect,
    { help: 'Private-use redirect URIs that clients may register, compared as a whole.' },
  ),
  allowedOrigins: list('ALLOWED_ORIGINS', 'ORIGINS', '', webOrigin, {
    help: 'Origins of browser clients, beside the public one.',
  }),
  maxScope: one('MAX_SCOPE', 'SCOPE', 'forgejo:delete', oneOf(SCOPE_NAMES), {
    help: 'The most that any connection may do: forgejo:read, forgejo:write or forgejo:delete.',
  }),
  defaultScope: one('DEFAULT_SCOPE', 'SCOPE', 'forgejo:write', oneOf(SCOPE_NAMES), {
    help: 'What the consent page proposes to a client that asks for nothing; MAX_SCOPE cuts it.',
  }),
  toolsFile: one('TOOLS_FILE', 'FILE', optional('none'), line, {
    help: 'A TOML file that says what tools may do, over what the broker knows; docs/permissions.md.',
  }),
  logLevel: one('LOG_LEVEL', 'LEVEL', 'info', oneOf(['error', 'warn', 'info', 'debug']), {
    help: 'error, warn, info or debug.',
  }),
  logFormat: one('LOG_FORMAT', 'FORMAT', 'json', oneOf(['json', 'pretty']), {
    help: 'json, one object a line, or pretty, for a person.',
  }),
};
