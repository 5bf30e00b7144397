import { errorText, type RequestMessage, RPC_ERROR } from '../base/message.ts';
import type { Settled } from './call-group.ts';
import type { Answer } from './calls.ts';
import type { OpenFailure } from './open-failure.ts';

/** Why a session ended; `closed` by its client, `not_opened` before it had begun. */
export type SessionEnd =
  | 'closed'
  | 'grant_ended'
  | 'account_ended'
  | 'idle'
  /** Idle, and its place was needed. */
  | 'evicted'
  | 'token_expired'
  | 'child_exited'
  | 'not_opened'
  | 'stopping';

/** What the client gets for what became of its request; `ended` when its session has. */
export function settledBy(
  outcome: Answer,
  request: RequestMessage,
  ended: SessionEnd | undefined,
): Settled {
  if (outcome.kind === 'answered') return { text: outcome.text, silent: false };
  return { text: unansweredText(request, outcome, ended), silent: outcome.kind === 'cancelled' };
}

function unansweredText(
  request: RequestMessage,
  outcome: Exclude<Answer, { kind: 'answered' }>,
  ended: SessionEnd | undefined,
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
      return errorText(request.id, connectionClosed, endSentence(ended ?? 'child_exited'));
  }
}

/** The answer to a request that is not passed on. */
export function refusal(request: RequestMessage, code: number, sentence: string) {
  return { answer: Promise.resolve(errorText(request.id, code, sentence)) };
}

/** The end of a session in the words of its client. */
export function endSentence(why: SessionEnd): string {
  switch (why) {
    case 'closed':
    case 'idle':
    case 'evicted':
    case 'not_opened':
      return 'the session was ended';
    case 'grant_ended':
    case 'account_ended':
      return 'the access of this session was ended';
    case 'token_expired':
      return 'the access of this session to the forge has expired';
    case 'child_exited':
      return 'the program of this session ended';
    case 'stopping':
      return 'the broker is stopping';
  }
}

/** What opening a session came to when somebody ended it meanwhile. */
export function openFailureOf(why: SessionEnd): OpenFailure {
  switch (why) {
    case 'stopping':
      return { kind: 'stopping' };
    case 'grant_ended':
    case 'account_ended':
      return { kind: 'sign_in_again' };
    case 'closed':
    case 'idle':
    case 'evicted':
    case 'token_expired':
    case 'child_exited':
    case 'not_opened':
      return { kind: 'child_failed', detail: endSentence(why) };
  }
}
