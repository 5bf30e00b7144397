import type { RequestMessage } from '../base/message.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { SessionState } from '../store/sessions.ts';
import type { Opening } from './handshake.ts';
import type { WaitLimits } from './in-flight.ts';
import type { OpenFailure } from './open-failure.ts';
import type { Router } from './router.ts';

/** What a child before has been told. */
export interface Replay {
  readonly protocolVersion: string;
  /** Asked when the child is there: until then the one before it may be told more. */
  readonly state: () => SessionState;
}

/** Whether a client may ask this with the permission of that name; null when none is known. */
export type StillAllowed = (permission: string | null, request: RequestMessage) => boolean;

/**
 * Tells a child what the one before it knew: that the client is initialized, its log level and its
 * subscriptions, as far as its permission of now allows them. A refusal of one of them is the
 * child's own affair; one that it does not answer at all makes it useless. `session_gone`: it
 * speaks another version than the client was told.
 */
export async function replayState(
  router: Router,
  opening: Opening,
  replay: Replay | undefined,
  how: { readonly limits: WaitLimits; readonly stillAllowed: StillAllowed },
): Promise<Result<void, OpenFailure>> {
  if (replay === undefined) return ok(undefined);
  if (opening.protocolVersion !== replay.protocolVersion) return err({ kind: 'session_gone' });
  const state = replay.state();
  if (!state.initialized) return ok(undefined);
  router.tell(INITIALIZED);
  const allowed = requestsOf(state).filter((told) => how.stillAllowed(state.permission, told));
  const answers = await Promise.all(allowed.map((told) => router.ask(told, how.limits)));
  if (answers.every(({ kind }) => kind === 'answered')) return ok(undefined);
  return err({ kind: 'child_failed', detail: 'the program did not take over the session' });
}

const INITIALIZED = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' });

function requestsOf({ logLevel, subscriptions }: SessionState): RequestMessage[] {
  const level = logLevel === null ? [] : [request('logging/setLevel', { level: logLevel })];
  return [...level, ...subscriptions.map((uri) => request('resources/subscribe', { uri }))];
}

function request(method: string, params: object): RequestMessage {
  const text = JSON.stringify({ jsonrpc: '2.0', id: 0, method, params });
  return { kind: 'request', id: 0, method, params, text };
}
