import type { SpawnFailure } from '../child/supervisor.ts';
import type { ForgeFailure } from '../forge/forge.ts';

/** The limits that stand in the way of a session. */
export type SessionLimit = 'MAX_SESSIONS' | 'MAX_SESSIONS_PER_USER' | 'SPAWN_CONCURRENCY';

/** Why there is no session now. Each `detail` is for the log, and may name paths. */
export type OpenFailure =
  | { readonly kind: 'limit'; readonly limit: SessionLimit }
  /** The account's upstream token is refused. */
  | { readonly kind: 'sign_in_again' }
  /** The grant ended meanwhile, or all of its account: that says nothing of the upstream token. */
  | { readonly kind: 'access_ended' }
  | { readonly kind: 'forge_away'; readonly detail: string }
  /** The child's program is not there. */
  | { readonly kind: 'program'; readonly detail: string }
  /** The program ran and did not become an MCP server. */
  | { readonly kind: 'child_failed'; readonly detail: string }
  /** The child's own JSON-RPC error, with the client's id. */
  | { readonly kind: 'refused'; readonly answer: string }
  /** The session itself has ended meanwhile, or cannot be carried on. */
  | { readonly kind: 'session_gone' }
  | { readonly kind: 'stopping' };

/** Why, as the log tells it. */
export function failureFields(failure: OpenFailure): {
  readonly reason: OpenFailure['kind'];
  readonly detail: string | undefined;
} {
  return { reason: failure.kind, detail: 'detail' in failure ? failure.detail : undefined };
}

/** What the forge says after a child that failed to start. */
export type ForgeProbe = 'up' | 'away' | 'token_refused';

/** Why there is no token, in the words of who waits for a session. */
export function tokenFailure(failure: ForgeFailure): OpenFailure {
  switch (failure.kind) {
    case 'sign_in_again':
      return { kind: 'sign_in_again' };
    case 'try_later':
    case 'misconfigured':
      return { kind: 'forge_away', detail: failure.detail };
  }
}

/** Why no process was started, likewise. */
export function spawnFailure(failure: SpawnFailure): OpenFailure {
  switch (failure.kind) {
    case 'program_missing':
      return { kind: 'program', detail: failure.detail };
    case 'system':
      return { kind: 'child_failed', detail: failure.detail };
    case 'stopping':
      return { kind: 'stopping' };
  }
}
