import { err, ok, type Result } from '../base/result.ts';
import type { BoundedAnswer, FetchFault } from './bounded-fetch.ts';
import type { ForgeFailure, ForgeRefusal, ForgeUser } from './forge.ts';

type Failed = { readonly ok: false; readonly error: ForgeFailure };

/** Reads a token answer (RFC 6749 section 5.1) or tells its error apart (section 5.2). */
export function readTokenAnswer(answer: BoundedAnswer): Result<object, ForgeFailure> {
  const body = parseObject(answer.text);
  // Under any other status, a member named `error` is not the word of the token endpoint.
  if (typeof body?.error === 'string' && OAUTH_STATUSES.has(answer.status)) {
    return oauthFailure(body.error, body.error_description);
  }
  if (answer.status !== 200) return unexpected(answer);
  // A page with status 200 comes from something that stands before the forge.
  if (body === undefined) return failure('try_later', 'status 200 without a JSON object');
  return ok(body);
}

/** Reads `GET /api/v1/user`; it alone decides who has signed in. */
export function readUser(answer: BoundedAnswer): Result<ForgeUser, ForgeFailure | ForgeRefusal> {
  const body = parseObject(answer.text);
  if (answer.status === 401) return failure('sign_in_again', 'the API refuses the token (401)');
  if (answer.status === 403 && typeof body?.message === 'string') return forbidden(body.message);
  if (answer.status !== 200) return unexpected(answer);
  if (body === undefined) return failure('try_later', 'status 200 without a JSON object');
  const { id, login, full_name, is_admin, active, prohibit_login } = body;
  // Guessing any of these would let somebody in as another, or in spite of a lock.
  const complete =
    typeof id === 'number' &&
    Number.isSafeInteger(id) &&
    id > 0 &&
    typeof login === 'string' &&
    login !== '' &&
    typeof is_admin === 'boolean' &&
    typeof active === 'boolean' &&
    typeof prohibit_login === 'boolean';
  if (!complete) return failure('misconfigured', 'the answer of /api/v1/user is not a user');
  return ok({
    id,
    login,
    fullName: typeof full_name === 'string' ? full_name : '',
    isAdmin: is_admin,
    active,
    prohibitLogin: prohibit_login,
  });
}

/** Reads `GET /api/v1/version`. */
export function readVersion(answer: BoundedAnswer): Result<string, ForgeFailure> {
  const body = parseObject(answer.text);
  // An instance that wants a sign-in for all pages refuses this one too: it is there.
  const refused = answer.status === 401 || answer.status === 403;
  if (refused && body !== undefined) return ok('unknown');
  if (answer.status !== 200) return unexpected(answer);
  if (body === undefined) return failure('try_later', 'status 200 without a JSON object');
  if (typeof body.version !== 'string') {
    return failure('misconfigured', 'the answer of /api/v1/version has no version');
  }
  return ok(body.version);
}

/** A call without a whole answer: the forge may come back, a refused certificate will not. */
export function fetchFailure({ kind, detail }: FetchFault): Failed {
  return failure(kind === 'untrusted' ? 'misconfigured' : 'try_later', detail);
}

export function failure(kind: ForgeFailure['kind'], detail: string): Failed {
  return err({ kind, detail });
}

/** RFC 6749 section 5.2; 200 is what some proxies and libraries make of it. */
const OAUTH_STATUSES = new Set([200, 400, 401]);
/** Error codes that only a change of settings, here or in the forge's application, can cure. */
const SETTINGS_ERRORS = new Set(['invalid_client', 'unsupported_grant_type', 'invalid_scope']);
/** Forgejo has one code, `unauthorized_client`, for the person's faults and for the admin's. */
const SETTINGS_DESCRIPTION = /client secret|redirect uri|client id/i;
/** Codes that say no to this code or refresh token; Forgejo uses more than `invalid_grant`. */
const REFUSALS = new Set([
  'invalid_grant',
  'unauthorized_client',
  'invalid_request',
  'access_denied',
]);

function oauthFailure(code: string, description: unknown): Failed {
  const words = typeof description === 'string' ? description : '';
  const detail = `the token endpoint says ${shorten(code)}: ${shorten(words)}`;
  if (SETTINGS_ERRORS.has(code) || SETTINGS_DESCRIPTION.test(words)) {
    return failure('misconfigured', detail);
  }
  // A code that nobody knows must not sign a person out.
  return failure(REFUSALS.has(code) ? 'sign_in_again' : 'try_later', detail);
}

/** The API's 403 has only its sentence to tell a locked account from a missing scope. */
function forbidden(message: string): Result<never, ForgeFailure | ForgeRefusal> {
  if (/not activated/i.test(message)) return refused('inactive');
  if (/prohibited from signing in/i.test(message)) return refused('prohibited');
  const detail = `the API forbids it (403): ${shorten(message)}`;
  // Forgejo holds the account until its owner has been on its pages.
  if (/change your password|two-factor/i.test(message)) return failure('sign_in_again', detail);
  return failure('misconfigured', detail);
}

function refused(reason: ForgeRefusal['reason']): Result<never, ForgeRefusal> {
  return err({ kind: 'refused', reason, login: null });
}

/** Statuses under which the same call may well succeed a little later. */
const PASSING_STATUSES = new Set([200, 400, 401, 408, 425, 429]);

/** An answer that is not the forge's own: 400 and 401 without its JSON come from a proxy. */
function unexpected({ status, headers }: BoundedAnswer): Failed {
  if (status >= 500 || PASSING_STATUSES.has(status)) {
    return failure('try_later', `status ${status}`);
  }
  if (status >= 300 && status < 400) {
    const target = originOf(headers.get('location'));
    return failure('misconfigured', `a redirect (${status}) to ${target}, which is not followed`);
  }
  return failure('misconfigured', `status ${status}`);
}

/** Only the origin: a path or a query may hold what must not be logged. */
function originOf(location: string | null): string {
  if (location === null || !URL.canParse(location)) return 'a path of its own';
  return new URL(location).origin;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return { ...value };
  } catch {
    return undefined;
  }
}

const WORDS_MAX = 120;

/** What the other side writes goes to the log: one line of it, and not without end. */
function shorten(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').slice(0, WORDS_MAX);
}
