import pino from 'pino';
import pretty from 'pino-pretty';

/** From the quietest to the most talkative. */
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Structured log. `event` is a stable name (`session.opened`) that people search for; everything
 * that varies goes into `fields`. Errors go under the key `err`.
 */
export interface Log {
  error(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  debug(event: string, fields?: LogFields): void;
  /** A log that carries `fields` in each line. */
  with(fields: LogFields): Log;
  setLevel(level: LogLevel): void;
  /** Whether a line of this level is written: ask before gathering fields that cost something. */
  writes(level: LogLevel): boolean;
}

/** Where finished log lines go, each with its line feed. */
export type LogSink = (line: string) => void;

/** Writes to stderr at once: a line that waits in a buffer is lost in a crash. */
const stderrSink: LogSink = (line) => {
  process.stderr.write(line);
};

/** Creates the program's log: one JSON object a line, or readable text for a person. */
export function createLog(options: {
  readonly level: LogLevel;
  readonly format: 'json' | 'pretty';
  readonly sink?: LogSink;
}): Log {
  const sink = options.sink ?? stderrSink;
  const written = { write: (line: string) => sink(scrub(line)) };
  const stream =
    options.format === 'json'
      ? written
      : prettyStream((line) => {
          written.write(line);
        });
  const logger = pino(
    {
      // The most talkative: what is written is decided by the level that all of them share.
      level: 'debug',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'event',
      serializers: { err: describeError },
    },
    stream,
  );
  return wrap(logger, { current: options.level });
}

/** A log that drops everything, for tests that assert nothing about it. */
export const silentLog: Log = createLog({ level: 'error', format: 'json', sink: () => undefined });

/** One level for a log and all that carry its lines on: those made before a change follow it too. */
interface SharedLevel {
  current: LogLevel;
}

function wrap(logger: pino.Logger, level: SharedLevel): Log {
  const writes = (asked: LogLevel) =>
    LOG_LEVELS.indexOf(asked) <= LOG_LEVELS.indexOf(level.current);
  const writer =
    (asked: LogLevel) =>
    (event: string, fields: LogFields = {}) => {
      if (writes(asked)) logger[asked](fields, event);
    };
  return {
    error: writer('error'),
    warn: writer('warn'),
    info: writer('info'),
    debug: writer('debug'),
    with: (fields) => wrap(logger.child(fields), level),
    writes,
    setLevel(next) {
      level.current = next;
    },
  };
}

function prettyStream(write: LogSink): { write(line: string): void } {
  const format = pretty.prettyFactory({
    colorize: process.stderr.isTTY === true,
    messageKey: 'event',
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  });
  return { write: (line) => write(format(forPeople(JSON.parse(line)))) };
}

/**
 * Puts the fields behind the event. The formatter would give some names a meaning of their own: a
 * client's `name` would stand where the program's does, and `error` would take a line for itself.
 */
function forPeople({ level, time, event, err, ...fields }: LogFields): LogFields {
  const text = Object.keys(fields).length === 0 ? event : `${event} ${JSON.stringify(fields)}`;
  return { level, time, event: text, ...(err === undefined ? {} : { err }) };
}

/** Keeps what a developer needs of an error; its other properties may hold anything. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? { code: String(error.code) } : {};
  const cause = error.cause === undefined ? {} : { cause: describeError(error.cause) };
  return { name: error.name, message: error.message, ...code, stack: error.stack, ...cause };
}

/**
 * What looks like a credential wherever it stands: bearer and basic values, JWTs (Forgejo's tokens),
 * Forgejo's and our own prefixed tokens, and OAuth parameters of an address, a form or JSON (also
 * JSON that is quoted in JSON). A value after a scheme's name is long or has a digit, so that a
 * sentence about a "token endpoint" stays readable. What begins like a JWT counts as one without its
 * dots too: a pattern that goes on to look for them takes 20 ms for 4 KiB that a child has made up.
 */
const CREDENTIALS = [
  /\b((?:bearer|basic|token)\s+)(?:[A-Za-z0-9._~+/=-]{20,}|(?=[A-Za-z._~+/=-]*\d)[A-Za-z0-9._~+/=-]{8,})/gi,
  /\b(eyJ)[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]+){0,2}/g,
  /\b(gt[aor]_|fjmcp_(?:at|rt|ac|cs)_)[A-Za-z0-9_-]{6,}/g,
  /\b((?:code|state|token|access_token|refresh_token|code_verifier|client_secret|password)=)[^&\s"'\\]+/gi,
  /\b((?:access_token|refresh_token|id_token|code_verifier|client_secret|password)\\*"\s*:\s*\\*")[^"\\]+/gi,
];

/** Replaces everything in `text` that looks like a credential; the last wall, not the first. */
export function scrub(text: string): string {
  let clean = text;
  for (const pattern of CREDENTIALS) clean = clean.replace(pattern, '$1[secret]');
  return clean;
}
