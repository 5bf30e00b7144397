import type { Secret } from '../base/secret.ts';
import type { ListedGrant, ListedSession, ListFilter } from '../store/listings.ts';

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

/** An answer that comes after work on every row of the store. */
export const LONG_CONTROL_TIMEOUT_MS = 300_000;

/** Length of the beginning of a session id's digest that logs and lists show. */
export const SHORT_ID_LENGTH = 8;

/** What is to end: one grant, one session, or all that a person has allowed. */
export type RevokeTarget =
  | { readonly kind: 'grant'; readonly id: string }
  | { readonly kind: 'session'; readonly shortId: string }
  | { readonly kind: 'login'; readonly login: string };

export type ControlQuestion =
  | { readonly action: 'sessions'; readonly filter: ListFilter }
  | { readonly action: 'grants'; readonly filter: ListFilter }
  | { readonly action: 'revoke'; readonly target: RevokeTarget }
  | { readonly action: 'rotate_key'; readonly key: Secret | undefined }
  | { readonly action: 'reload'; readonly handOver: boolean }
  | HandOverQuestion
  | { readonly action: 'examine' };

/** What a successor asks of the broker that has started it. */
export type HandOverQuestion = {
  readonly action: 'hand_over';
  /** Of the successor. */
  readonly pid: number;
  readonly programVersion: string;
} & (
  | {
      /** It is ready, and wants the duties. */ readonly step: 'release';
      readonly storePath: string;
    }
  | { /** It has them, and the sockets. */ readonly step: 'done' }
);

/** Another process is the broker now. */
export interface HandedOver {
  readonly kind: 'handed_over';
  readonly pid: number;
  readonly programVersion: string;
}

export type HandOverAnswer = HandedOver | { readonly kind: 'released' };

/** A session as it is shown; times are epoch milliseconds. */
export interface ShownSession extends Omit<ListedSession, 'idDigest'> {
  readonly id: string;
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
export interface ShownGrant extends Omit<ListedGrant, 'permission'> {
  /** From the least to the most, apart by spaces. */
  readonly scope: string;
  /** null: given before people could choose, so it is everything. */
  readonly limits: ShownLimits | null;
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

/** How the values of the store are sealed now. */
export interface KeyRotated {
  /** Of the key that everything new is sealed with. */
  readonly keyId: string;
  /** Values that were sealed anew. */
  readonly resealed: number;
  /** Values that no known key opens; those people sign in again. */
  readonly unreadable: number;
  /** Refresh tokens that an earlier key has made and that were not used yet. */
  readonly successorsOfEarlierKeys: number;
}

/** What became of settings that were read again; a value that is too long is not shown. */
export interface ReloadedSettings {
  readonly kind: 'settings';
  readonly changed: readonly {
    readonly name: string;
    readonly from: string | undefined;
    readonly to: string | undefined;
  }[];
  /** Names of settings that have changed and hold only from the next start on. */
  readonly needRestart: readonly string[];
  readonly warnings: readonly string[];
}

/** What only the broker that runs can say of itself. */
export interface Examined {
  readonly version: string;
  readonly git: string;
  /** Of the key that everything new is sealed with. */
  readonly keyId: string;
  readonly successorsOfEarlierKeys: number;
  /** Child processes alive now. */
  readonly programs: number;
  /** No program is started: Forgejo was away for those before. */
  readonly spawnsBlocked: boolean;
  readonly sandbox:
    | { readonly kind: 'bwrap'; readonly without: readonly string[] }
    | { readonly kind: 'none'; readonly reason: string; readonly chosen: boolean };
  /** What became of a program that was started only to see whether it starts. */
  readonly child:
    | { readonly kind: 'answered' | 'forge_away' }
    | { readonly kind: 'silent' | 'not_started'; readonly detail: string };
}

export interface ControlResults {
  readonly sessions: Shown<ShownSession>;
  readonly grants: Shown<ShownGrant>;
  readonly revoke: Revoked;
  readonly rotate_key: KeyRotated;
  readonly examine: Examined;
  readonly reload: ReloadedSettings | HandedOver;
  readonly hand_over: HandOverAnswer;
}

/** Why a question got no result; `message` is a sentence for the one who asked. */
export interface ControlFault {
  readonly kind:
    | 'malformed'
    | 'version'
    | 'unknown_action'
    | 'not_found'
    | 'busy'
    | 'refused'
    | 'failed';
  readonly message: string;
}

/** One answer as it stands on the line. */
export type ControlAnswer =
  | { readonly version: number; readonly ok: true; readonly result: unknown }
  | { readonly version: number; readonly ok: false; readonly fault: ControlFault };
