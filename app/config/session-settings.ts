import { commandWords } from './child-command.ts';
import { count, duration, oneOf, size, TIMER_MAX_MS } from './parse.ts';
import { sandboxPath } from './sandbox-paths.ts';
import { list, one, optional, text } from './setting.ts';

const SECOND = 1000;
const YEARS = 3650 * 24 * 3600 * SECOND;
const MIB = 1024 ** 2;

const SANDBOX_MODES = ['auto', 'bwrap', 'none'] as const;

/** What the settings below come to. */
export interface SessionConfig {
  /** Argument vector: the program's absolute path first, the internal URL filled in. */
  readonly childCommand: readonly string[];
  readonly childSandbox: 'auto' | 'bwrap' | 'none';
  /** Absolute paths that children may read in their sandbox beside the program. */
  readonly childSandboxPaths: readonly string[];
  readonly maxSessions: number;
  readonly maxSessionsPerUser: number;
  /** Undefined: twice the number of cores. */
  readonly spawnConcurrency: number | undefined;
  readonly sessionIdleTimeoutMs: number;
  /** After the last use. */
  readonly sessionTtlMs: number;
  readonly maxStoredSessionsPerUser: number;
  readonly accessTokenTtlMs: number;
  readonly refreshTokenTtlMs: number;
  /** Since the last sign of life. */
  readonly requestTimeoutMs: number;
  readonly requestTimeoutTotalMs: number;
  readonly stopGraceMs: number;
  readonly maxBodyBytes: number;
  readonly maxBatchMessages: number;
  readonly maxMessageBytes: number;
  /** A session. */
  readonly maxStreamBufferBytes: number;
  /** How long a client may take to come back for what it missed. */
  readonly maxStreamAgeMs: number;
  /** What may wait for a child that does not read. */
  readonly maxChildBacklogBytes: number;
  /** What a child may write unasked in a second. */
  readonly maxChildOutputBytes: number;
  /** Lines that a child may write to the log in a second. */
  readonly maxChildLogLines: number;
  readonly maxCallsPerSession: number;
  /** Of a child to its client. */
  readonly maxQuestionsPerSession: number;
  /** Of a child to a client that is not initialized. */
  readonly maxHeldMessages: number;
  /** Of one session. */
  readonly maxSubscriptions: number;
  readonly maxSpawnsWaiting: number;
  readonly maxClients: number;
}

/** Children, sessions, tokens, and what bounds them: a part of the settings table. */
export const SESSION_SETTINGS = {
  childCommand: {
    live: false,
    name: 'CHILD_COMMAND',
    placeholder: 'COMMAND',
    fallback: text('forgejo-mcp --transport stdio --url {forgejo_url}'),
    list: false,
    parse: commandWords,
    help: 'The program of a session, split at spaces, without a shell; in the file also an array.',
  },
  childSandbox: one('CHILD_SANDBOX', 'MODE', 'auto', oneOf(SANDBOX_MODES), {
    help: 'auto: each child in a sandbox (bwrap) where one works; bwrap: no start without; or none.',
  }),
  childSandboxPaths: list('CHILD_SANDBOX_PATHS', 'PATHS', '', sandboxPath, {
    help: 'What children may read in their sandbox beside the program: a script, its libraries.',
  }),
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
  maxBatchMessages: one('MAX_BATCH', 'NUMBER', '64', count(1, 100_000), {
    help: 'Messages of one batch, in sessions of the one revision that has batches.',
  }),
  maxMessageBytes: one('MAX_MESSAGE', 'SIZE', '32MiB', size(1024, 1024 * MIB), {
    help: 'The largest message of a child.',
  }),
  maxStreamBufferBytes: one('MAX_STREAM_BUFFER', 'SIZE', '8MiB', size(1024, 1024 * MIB), {
    help: 'What a session keeps of its streams for a client that comes back.',
  }),
  maxStreamAgeMs: one('MAX_STREAM_AGE', 'DURATION', '5m', duration(SECOND, TIMER_MAX_MS), {
    help: 'How long it keeps that.',
  }),
  maxChildBacklogBytes: one('MAX_CHILD_BACKLOG', 'SIZE', '8MiB', size(1024, 1024 * MIB), {
    help: 'What may wait for a child that does not read; beyond it the client is told to come again.',
  }),
  maxChildOutputBytes: one('MAX_CHILD_OUTPUT', 'SIZE', '8MiB', size(64 * 1024, 1024 * MIB), {
    help: 'What a child may write in a second without being asked; beyond it the child waits.',
  }),
  maxChildLogLines: one('MAX_CHILD_LOG', 'NUMBER', '50', count(0, 100_000), {
    help: 'Lines of a child that reach the log in a second; the others are counted.',
  }),
  maxCallsPerSession: one('MAX_CALLS_PER_SESSION', 'NUMBER', '256', count(1, 100_000), {
    help: 'Calls of one session that may wait for answers at once.',
  }),
  maxQuestionsPerSession: one('MAX_QUESTIONS_PER_SESSION', 'NUMBER', '64', count(1, 100_000), {
    help: 'What one child may ask its client at once; beyond it the child gets an error.',
  }),
  maxHeldMessages: one('MAX_HELD_MESSAGES', 'NUMBER', '64', count(1, 100_000), {
    help: 'Messages of one child that wait until its client says that it is initialized.',
  }),
  maxSubscriptions: one('MAX_SUBSCRIPTIONS', 'NUMBER', '256', count(1, 100_000), {
    help: 'Resources that one session may subscribe to; each is kept with the session.',
  }),
  maxSpawnsWaiting: one('MAX_SPAWNS_WAITING', 'NUMBER', '256', count(1, 100_000), {
    help: 'Sessions that may wait for their turn to start a child; of one person a quarter of it.',
  }),
  maxClients: one('MAX_CLIENTS', 'NUMBER', '10000', count(1, 10_000_000), {
    help: 'Registered clients; beyond it registration is refused.',
  }),
};
