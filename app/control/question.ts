import { isObject } from '../base/json-object.ts';
import { err, ok, type Result } from '../base/result.ts';
import { Secret } from '../base/secret.ts';
import type { ListFilter } from '../store/listings.ts';
import {
  CONTROL_VERSION,
  type ControlFault,
  type ControlQuestion,
  type RevokeTarget,
  SHORT_ID_LENGTH,
} from './protocol.ts';

/** The line of a question, without its line feed. */
export function questionLine(question: ControlQuestion): string {
  const line = { version: CONTROL_VERSION, ...question };
  // The one secret that travels, and only here: a JSON of the question itself shows none.
  const isKey = question.action === 'rotate_key' && question.key !== undefined;
  return JSON.stringify(isKey ? { ...line, key: question.key.reveal() } : line);
}

/** Reads a question; whoever may write to the socket may still be another release, or a person. */
export function readQuestion(line: string): Result<ControlQuestion, ControlFault> {
  const value = asObject(parse(line));
  if (value === undefined) return malformed('The question is not a JSON object.');
  const { version, action } = value;
  if (version !== CONTROL_VERSION) {
    const message = `This broker speaks version ${CONTROL_VERSION}: use the program it was started from.`;
    return err({ kind: 'version', message });
  }
  if (action === 'revoke') return readTarget(asObject(value.target));
  if (action === 'rotate_key') return readKey(value.key);
  if (action === 'examine') return ok({ action });
  if (action === 'reload') return ok({ action, handOver: value.handOver === true });
  if (action === 'hand_over') return readHandOver(value);
  if (action !== 'sessions' && action !== 'grants') {
    return err({ kind: 'unknown_action', message: 'This broker knows no such action.' });
  }
  const filter = readFilter(value.filter);
  return filter === undefined
    ? malformed('A filter names a login, a client id, or neither.')
    : ok({ action, filter });
}

function readFilter(value: unknown): ListFilter | undefined {
  const filter = asObject(value ?? {});
  if (filter === undefined) return undefined;
  const { login, clientId } = filter;
  return isOptionalName(login) && isOptionalName(clientId) ? { login, clientId } : undefined;
}

/** A store key in base64; without one, the present key seals what earlier ones have sealed. */
function readKey(key: unknown): Result<ControlQuestion, ControlFault> {
  if (key === undefined) return ok({ action: 'rotate_key', key: undefined });
  return typeof key === 'string' && /^[A-Za-z0-9+/]{43}=$/.test(key)
    ? ok({ action: 'rotate_key', key: new Secret(key) })
    : malformed('A store key is 32 bytes in base64.');
}

function readHandOver(question: Readonly<Record<string, unknown>>): ReturnType<typeof readKey> {
  const { step, pid, programVersion, storePath } = question;
  const action = 'hand_over';
  if (typeof pid === 'number' && isName(programVersion)) {
    if (step === 'done') return ok({ action, step, pid, programVersion });
    if (step === 'release' && isName(storePath))
      return ok({ action, step, pid, programVersion, storePath });
  }
  return malformed('A hand-over names its step, a process, a programVersion and a store.');
}

function readTarget(
  target: Readonly<Record<string, unknown>> | undefined,
): Result<ControlQuestion, ControlFault> {
  const read = target === undefined ? undefined : asTarget(target);
  return read === undefined
    ? malformed(
        `To be revoked are a grant by its id, a session by the first ${SHORT_ID_LENGTH} ` +
          'characters that lists and logs show, or all grants of a login.',
      )
    : ok({ action: 'revoke', target: read });
}

function asTarget(target: Readonly<Record<string, unknown>>): RevokeTarget | undefined {
  const { kind, id, shortId, login } = target;
  if (kind === 'grant' && isName(id)) return { kind, id };
  if (kind === 'login' && isName(login)) return { kind, login };
  // Less of it would end whatever session happens to begin so.
  if (kind === 'session' && isName(shortId) && shortId.length >= SHORT_ID_LENGTH) {
    return { kind, shortId };
  }
  return undefined;
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return isObject(value) ? value : undefined;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isOptionalName(value: unknown): value is string | undefined {
  return value === undefined || isName(value);
}

function malformed(message: string): Result<never, ControlFault> {
  return err({ kind: 'malformed', message });
}
