import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Message } from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Result } from '../base/result.ts';
import type { Random, Secret } from '../base/secret.ts';
import type { Supervisor } from '../child/supervisor.ts';
import type { AccountTokens } from '../forge/account-tokens.ts';
import type { Store } from '../store/store.ts';

export type RequestMessage = Extract<Message, { kind: 'request' }>;

/** Whom a session belongs to: account and client; `grantId` is the grant it was opened with. */
export interface SessionOwner {
  readonly grantId: string;
  readonly accountId: number;
  readonly clientId: string;
  readonly login: string;
}

/** A session that was looked up for its owner. */
export interface OwnedSession {
  /** The first 8 characters of the id's digest: how logs name the session. */
  readonly shortId: string;
  readonly protocolVersion: string;
  /** Always resolves, with JSON-RPC text that carries the client's id. */
  call(request: RequestMessage): { readonly answer: Promise<string> };
  /** Passes on a notification; a response is dropped, since no child's request reaches a client. */
  notify(message: Message): Result<void, 'gone' | 'full'>;
  /** Ends session and child; resolves when both are gone. Harmless when repeated. */
  end(reason: string): Promise<void>;
}

export type OpenFailure =
  | { readonly kind: 'limit'; readonly limit: 'MAX_SESSIONS' | 'MAX_SESSIONS_PER_USER' }
  | { readonly kind: 'sign_in_again' }
  | { readonly kind: 'forge_away'; readonly detail: string }
  | { readonly kind: 'program'; readonly detail: string }
  | { readonly kind: 'child_failed'; readonly detail: string }
  /** `answer` is a JSON-RPC error with the client's id. */
  | { readonly kind: 'refused'; readonly answer: string }
  | { readonly kind: 'stopping' };

export interface OpenedSession {
  readonly sessionId: string;
  readonly answer: string;
  readonly session: OwnedSession;
}

export interface SessionRegistry {
  open(
    owner: SessionOwner,
    initialize: RequestMessage,
  ): Promise<Result<OpenedSession, OpenFailure>>;
  /** Unknown, ended, or of another account or client: undefined, which is a 404. */
  find(sessionId: string, owner: SessionOwner): OwnedSession | undefined;
  endGrant(grantId: string, reason: string): Promise<void>;
  endAccount(accountId: number, reason: string): Promise<void>;
  readonly count: number;
  stop(): Promise<void>;
}

export interface SessionLimits {
  readonly sessionsMax: number;
  readonly sessionsPerUserMax: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly stopGraceMs: number;
}

export interface SessionRegistryOptions {
  readonly store: Pick<Store, 'sessions'>;
  readonly tokens: Pick<AccountTokens, 'fresh'>;
  readonly supervisor: Supervisor;
  /** Asked after a child that failed to start: was it the forge, or the token? */
  readonly probeForge: (token: Secret) => Promise<'up' | 'away' | 'token_refused'>;
  readonly limits: SessionLimits;
  /** Protocol versions served, oldest first; the last one is offered for an unknown one (T25). */
  readonly serverVersions: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

export function createSessionRegistry(_options: SessionRegistryOptions): SessionRegistry {
  throw new Error('not built');
}
