import { Secret } from '../base/secret.ts';
import { wrong } from './parse.ts';
import { CLIENT_SECRET_NAME, type Environment, METRICS_TOKEN_NAME, variableOf } from './sources.ts';

/** A file with what is needed to judge it. */
export interface FileContent {
  readonly bytes: Uint8Array;
  readonly isRegular: boolean;
  /** The permission bits. */
  readonly mode: number;
}

/** Reads a whole small file; throws an `Error` whose message says why not. */
export type ReadFile = (path: string) => FileContent;

type Found<T> =
  | { readonly ok: true; readonly value: T; readonly warning?: string }
  | { readonly ok: false; readonly reason: string };

/** Names of the systemd credentials that hold the keys. */
export const STORE_KEY_CREDENTIAL = 'store-key';
export const PREVIOUS_KEY_CREDENTIAL = 'store-previous-key';

/** What stands where there is no previous key. */
const NO_KEY = new Set(['', 'none']);

const STORE_KEY_BYTES = 32;
const METRICS_TOKEN_LENGTH_MIN = 16;
const READABLE_BY_OTHERS = 0o077;

/**
 * The upstream client secret: from its variable, its file, or the systemd credential
 * `forgejo_client_secret`. Never from a flag or the configuration file.
 */
export function findClientSecret(
  filePath: string | undefined,
  env: Environment,
  readFile: ReadFile,
): Found<Secret> {
  const variable = variableOf(CLIENT_SECRET_NAME);
  const found = findSecret(CLIENT_SECRET_NAME, filePath, env, readFile);
  return found.ok && found.value === undefined
    ? wrong(`is missing: set ${variable} or ${variable}_FILE, or give a systemd credential`)
    : (found as Found<Secret>);
}

/** What a reader of the metrics has to send: from the same places; undefined when there is none. */
export function findMetricsToken(
  filePath: string | undefined,
  env: Environment,
  readFile: ReadFile,
): Found<Secret | undefined> {
  const found = findSecret(METRICS_TOKEN_NAME, filePath, env, readFile);
  const length = found.ok ? found.value?.reveal().length : undefined;
  return length !== undefined && length < METRICS_TOKEN_LENGTH_MIN
    ? wrong(`has less than ${METRICS_TOKEN_LENGTH_MIN} characters; make one: openssl rand -hex 24`)
    : found;
}

function findSecret(
  name: string,
  filePath: string | undefined,
  env: Environment,
  readFile: ReadFile,
): Found<Secret | undefined> {
  const variable = variableOf(name);
  const direct = env[variable] ?? '';
  if (direct !== '' && filePath !== undefined) {
    return wrong(`is given twice: as ${variable} and as a file; keep one`);
  }
  if (direct !== '') return secretText(direct);
  const path = filePath ?? credential(env, name.toLowerCase(), readFile);
  if (path === undefined) return { ok: true, value: undefined };
  const file = attempt(path, readFile);
  if (!file.ok) return file;
  const secret = secretText(Buffer.from(file.value.bytes).toString('utf8'));
  return secret.ok && filePath !== undefined && (file.value.mode & 0o007) !== 0
    ? { ...secret, warning: `${path} can be read by every user of this machine` }
    : secret;
}

/**
 * The store key: 32 raw bytes, or their base64, from a regular file that group and others cannot
 * touch, or from the systemd credential `store-key`, which systemd guards itself.
 */
export function findStoreKey(
  filePath: string | undefined,
  env: Environment,
  readFile: ReadFile,
): Found<Uint8Array> {
  const path = filePath ?? credential(env, STORE_KEY_CREDENTIAL, readFile);
  if (path === undefined) return wrong(`is missing; ${howToMakeKey('store.key')}`);
  const file = attempt(path, readFile);
  if (!file.ok) return wrong(`${file.reason}; ${howToMakeKey(path)}`);
  return asKey(path, file.value, filePath !== undefined);
}

/**
 * The key before the present one, or undefined: from a file, or the credential
 * `store-previous-key`. A file that is not there, is empty or says `none` tells that no key was
 * rotated yet, so that units and settings can name it from the first day.
 */
export function findPreviousKey(
  filePath: string | undefined,
  env: Environment,
  readFile: ReadFile,
): Found<Uint8Array | undefined> {
  const path = filePath ?? credential(env, PREVIOUS_KEY_CREDENTIAL, readFile);
  if (path === undefined) return { ok: true, value: undefined };
  const file = attempt(path, readFile);
  const isNone = file.ok ? file.value.isRegular && saysNone(file.value.bytes) : isMissing(file);
  if (isNone) return { ok: true, value: undefined };
  return file.ok ? asKey(path, file.value, filePath !== undefined) : file;
}

function saysNone(bytes: Uint8Array): boolean {
  return bytes.length < STORE_KEY_BYTES && NO_KEY.has(Buffer.from(bytes).toString('latin1').trim());
}

function asKey(path: string, file: FileContent, isGuardedHere: boolean): Found<Uint8Array> {
  if (!file.isRegular) return wrong(`${path} is not a regular file`);
  if (isGuardedHere && (file.mode & READABLE_BY_OTHERS) !== 0) {
    return wrong(`${path} is open to other users of this machine: chmod 600 '${path}'`);
  }
  const key = keyBytes(file.bytes);
  if (key === undefined) {
    return wrong(`${path} is not a key of 32 bytes, raw or in base64; ${howToMakeKey(path)}`);
  }
  // A file of zeros is what a failed or truncated `dd` leaves behind.
  if (new Set(key).size === 1) return wrong(`${path} holds one byte 32 times: that is no key`);
  return { ok: true, value: key };
}

function howToMakeKey(path: string): string {
  return `make one: (umask 077; head -c 32 /dev/urandom > '${path}')`;
}

function secretText(text: string): Found<Secret> {
  const secret = text.trim();
  if (secret === '') return wrong('is empty');
  return /^[\x21-\x7e]+$/.test(secret)
    ? { ok: true, value: new Secret(secret) }
    : wrong('holds white space, or characters beyond ASCII');
}

function keyBytes(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length === STORE_KEY_BYTES) return bytes;
  const text = Buffer.from(bytes).toString('latin1').trim();
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined;
  return new Uint8Array(Buffer.from(text, 'base64'));
}

/** The path of a systemd credential, when there is one of that name. */
function credential(env: Environment, name: string, readFile: ReadFile): string | undefined {
  const directory = env.CREDENTIALS_DIRECTORY ?? '';
  if (directory === '') return undefined;
  const path = `${directory}/${name}`;
  return attempt(path, readFile).ok ? path : undefined;
}

function attempt(path: string, readFile: ReadFile): Attempt {
  try {
    return { ok: true, value: readFile(path) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    return { ...wrong(`cannot read ${path}: ${reason}`), code };
  }
}

type Attempt =
  | { readonly ok: true; readonly value: FileContent }
  | { readonly ok: false; readonly reason: string; readonly code: string };

function isMissing(attempt: Attempt): boolean {
  return !attempt.ok && attempt.code === 'ENOENT';
}
