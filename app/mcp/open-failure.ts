import { type RequestId, RPC_ERROR } from '../base/message.ts';
import type { OpenFailure } from '../session/registry.ts';
import { SIGN_IN_AGAIN } from './bearer-guard.ts';
import { rpcAnswer, rpcRefusal, sessionNotFound } from './json-rpc-response.ts';
import type { Challenge } from './www-authenticate.ts';

/**
 * Why there is no child for a session, as an answer: a status that tells the client what to do about
 * it, and a message that tells the person. Details stay in the log.
 */
export function openFailureResponse(
  failure: OpenFailure,
  id: RequestId | null,
  challenge: Challenge,
): Response {
  const refuse = (status: number, message: string, headers: Record<string, string> = {}) =>
    rpcRefusal({ status, id, code: RPC_ERROR.connectionClosed, message, headers });
  const later = (message: string, seconds: number) =>
    refuse(503, message, { 'retry-after': String(seconds) });
  switch (failure.kind) {
    case 'limit':
      return later(LIMIT_MESSAGES[failure.limit], LIMIT_RETRY_AFTER_S[failure.limit]);
    case 'access_ended':
    case 'sign_in_again':
      return refuse(401, SIGN_IN_AGAIN.description, {
        'www-authenticate': challenge(SIGN_IN_AGAIN),
      });
    case 'forge_away':
      return later('Forgejo cannot be reached now; try again later', FORGE_RETRY_AFTER_S);
    case 'program':
      return refuse(502, `the program that serves sessions cannot be started; ${SEE_LOG}`);
    case 'child_failed':
      return refuse(502, `the program that serves sessions gave no good answer; ${SEE_LOG}`);
    case 'stopping':
      return later('the broker is stopping; try again in a moment', STOP_RETRY_AFTER_S);
    case 'session_gone':
      return sessionNotFound(id);
    case 'refused':
      // Accepted, passed on and answered: from here on an error is the program's own.
      return rpcAnswer(failure.answer);
  }
}

const SEE_LOG = "the administrator finds the reason in the broker's log";

const LIMIT_MESSAGES = {
  MAX_SESSIONS: 'the broker serves as many sessions as it may now (MAX_SESSIONS)',
  MAX_SESSIONS_PER_USER:
    'this account has as many sessions as it may now (MAX_SESSIONS_PER_USER); close one',
  SPAWN_CONCURRENCY: 'too many sessions are being opened now (SPAWN_CONCURRENCY)',
} as const;

const LIMIT_RETRY_AFTER_S = {
  MAX_SESSIONS: 30,
  MAX_SESSIONS_PER_USER: 30,
  SPAWN_CONCURRENCY: 5,
} as const;
const FORGE_RETRY_AFTER_S = 10;
const STOP_RETRY_AFTER_S = 5;
