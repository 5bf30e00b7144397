import { errorText, type RequestMessage, RPC_ERROR } from '../base/message.ts';
import type { Settled } from './call-group.ts';
import type { Answer } from './calls.ts';
import type { OpenFailure } from './open-failure.ts';

/** Why a session ended; `closed` by its client, `not_opened` before it had begun. */
export type SessionEnd =
  | 'closed'
  | 'grant_ended'
  | 'account_ended'
  /** Not used for SESSION_TTL. */
  | 'expired'
  /** The account has newer ones, as many as it may have. */
  | 'too_many_stored'
  /** Another child speaks another version than the client was told. */
  | 'version_changed'
  | 'not_opened'
  /** With the broker; it goes on with the next one. */
  | 'stopping';

/** Why a child ends while its session goes on. */
export type DetachReason =
  | 'idle'
  /** Idle, and its place was needed. */
  | 'evicted'
  | 'token_expired'
  | 'child_exited'
  /** The person must sign in again. */
  | 'signed_out'
  /** Another child has a newer token. */
  | 'renewed';

export type StopReason = SessionEnd | DetachReason;

/** What the client gets for what became of its request; `stopped` when its child has. */
export function settledBy(
  outcome: Answer,
  request: RequestMessage,
  stopped: StopReason | undefined,
): Settled {
  if (outcome.kind === 'answered') return { text: outcome.text, silent: false };
  return { text: unansweredText(request, outcome, stopped), silent: outcome.kind === 'cancelled' };
}

function unansweredText(
  request: RequestMessage,
  outcome: Exclude<Answer, { kind: 'answered' }>,
  stopped: StopReason | undefined,
): string {
  const { connectionClosed, invalidRequest, requestTimeout } = RPC_ERROR;
  switch (outcome.kind) {
    case 'timed_out':
      return errorText(request.id, requestTimeout, 'the request timed out');
    case 'cancelled':
      return errorText(request.id, connectionClosed, 'the request was cancelled');
    case 'full':
      return errorText(request.id, connectionClosed, 'the program reads no more requests now');
    case 'too_many':
      return errorText(request.id, connectionClosed, 'too many requests wait in this session');
    case 'ambiguous':
      return errorText(request.id, invalidRequest, 'the progress token stands twice');
    case 'gone':
      return errorText(request.id, connectionClosed, endSentence(stopped ?? 'child_exited'));
  }
}

/** The end of a session or of its child in the words of its client. */
export function endSentence(why: StopReason): string {
  switch (why) {
    case 'closed':
    case 'not_opened':
    case 'expired':
    case 'too_many_stored':
    case 'version_changed':
      return 'the session was ended';
    case 'grant_ended':
    case 'account_ended':
      return 'the access of this session was ended';
    case 'token_expired':
    case 'signed_out':
      return 'the access of this session to the forge has expired';
    case 'idle':
    case 'evicted':
    case 'renewed':
    case 'child_exited':
      return 'the program of this session ended';
    case 'stopping':
      return 'the broker is stopping';
  }
}

/** What the start of a child came to when somebody ended it meanwhile. */
export function openFailureOf(why: StopReason): OpenFailure {
  switch (why) {
    case 'stopping':
      return { kind: 'stopping' };
    case 'grant_ended':
    case 'account_ended':
      return { kind: 'access_ended' };
    case 'signed_out':
      return { kind: 'sign_in_again' };
    case 'closed':
    case 'expired':
    case 'too_many_stored':
    case 'version_changed':
      return { kind: 'session_gone' };
    case 'idle':
    case 'evicted':
    case 'token_expired':
    case 'child_exited':
    case 'not_opened':
    case 'renewed':
      return { kind: 'child_failed', detail: endSentence(why) };
  }
}
