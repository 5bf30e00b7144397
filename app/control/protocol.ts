import type { AccountState } from '../store/accounts.ts';

/**
 * What a command and the running broker say to each other: one line of JSON each, the question
 * first. Both carry the version, so that the program of another release gets a sentence.
 */
export const CONTROL_VERSION = 1;

/** The longest question; a login and a client id are far shorter. */
export const QUESTION_BYTES_MAX = 8 * 1024;

/** The longest answer: a list of `ROWS_MAX` with long names in it. */
export const ANSWER_BYTES_MAX = 32 * 1024 * 1024;

/** Rows of one list. */
export const ROWS_MAX = 10_000;

/** Within this a question has come or the connection ends, and an answer has come or it is late. */
export const CONTROL_TIMEOUT_MS = 10_000;

/** Length of the beginning of a session id's digest that logs and lists show. */
export const SHORT_ID_LENGTH = 8;

/** What a list is narrowed to. */
export interface ControlFilter {
  readonly login?: string | undefined;
  readonly clientId?: string | undefined;
}

/** What is to end: one grant, one session, or all that a person has allowed. */
export type RevokeTarget =
  | { readonly kind: 'grant'; readonly id: string }
  | { readonly kind: 'session'; readonly shortId: string }
  | { readonly kind: 'login'; readonly login: string };

export type ControlQuestion =
  | { readonly action: 'sessions'; readonly filter: ControlFilter }
  | { readonly action: 'grants'; readonly filter: ControlFilter }
  | { readonly action: 'revoke'; readonly target: RevokeTarget };

/** A session as it is shown; times are epoch milliseconds. */
export interface ShownSession {
  readonly id: string;
  readonly login: string;
  readonly clientId: string;
  readonly clientName: string;
  readonly grantId: string;
  readonly protocolVersion: string;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  /** Of its program; null while it has none. */
  readonly pid: number | null;
  readonly callsWaiting: number;
}

/** What a person has narrowed a grant to; `all` where they have not. */
export interface ShownLimits {
  readonly toolsets: readonly string[] | 'all';
  readonly targets: readonly string[] | 'all';
}

/** A grant as it is shown; times are epoch milliseconds. */
export interface ShownGrant {
  readonly id: string;
  readonly login: string;
  readonly accountState: AccountState;
  readonly clientId: string;
  readonly clientName: string;
  /** From the least to the most, apart by spaces. */
  readonly scope: string;
  /** null: given before people could choose, so it is everything. */
  readonly limits: ShownLimits | null;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
}

/** A list, and whether there is more than it holds. */
export interface Shown<Row> {
  readonly rows: readonly Row[];
  readonly more: boolean;
}

/** What was ended, by id; the sessions of a grant are not told one by one. */
export interface Revoked {
  readonly grants: readonly string[];
  readonly sessions: readonly string[];
}

export interface ControlResults {
  readonly sessions: Shown<ShownSession>;
  readonly grants: Shown<ShownGrant>;
  readonly revoke: Revoked;
}

/** Why a question got no result; `message` is a sentence for the one who asked. */
export interface ControlFault {
  readonly kind: 'malformed' | 'version' | 'unknown_action' | 'not_found' | 'busy' | 'failed';
  readonly message: string;
}

/** One answer as it stands on the line. */
export type ControlAnswer =
  | { readonly version: number; readonly ok: true; readonly result: unknown }
  | { readonly version: number; readonly ok: false; readonly fault: ControlFault };
