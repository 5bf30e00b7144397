/** The limits that stand in the way of a session. */
export type SessionLimit = 'MAX_SESSIONS' | 'MAX_SESSIONS_PER_USER' | 'SPAWN_CONCURRENCY';

/** Why there is no session now. Each `detail` is for the log, and may name paths. */
export type OpenFailure =
  | { readonly kind: 'limit'; readonly limit: SessionLimit }
  /** The account's upstream token is refused, or the grant ended meanwhile. */
  | { readonly kind: 'sign_in_again' }
  | { readonly kind: 'forge_away'; readonly detail: string }
  /** The child's program is not there. */
  | { readonly kind: 'program'; readonly detail: string }
  /** The program ran and did not become an MCP server. */
  | { readonly kind: 'child_failed'; readonly detail: string }
  /** The child's own JSON-RPC error, with the client's id. */
  | { readonly kind: 'refused'; readonly answer: string }
  | { readonly kind: 'stopping' };

/** What the forge says after a child that failed to start. */
export type ForgeProbe = 'up' | 'away' | 'token_refused';
