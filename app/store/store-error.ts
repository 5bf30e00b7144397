import { SQLiteError } from 'bun:sqlite';

/** Why the store could not do its work now. */
export type StoreErrorKind = 'full' | 'busy' | 'broken';

/**
 * A read or write that failed for a reason outside of the program: nothing of it is kept.
 * `full`: no room on the disk. `busy`: another process holds the file. `broken`: anything else,
 * a closed store included. The cause is for the log; HTTP answers 503 to each.
 */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly kind: StoreErrorKind;

  constructor(kind: StoreErrorKind, cause?: unknown) {
    super(SENTENCES[kind], { cause });
    this.kind = kind;
  }
}

const SENTENCES: Readonly<Record<StoreErrorKind, string>> = {
  full: 'the disk of the store is full',
  busy: 'the store is held by another process',
  broken: 'the store cannot be read or written',
};

/**
 * Why a store cannot be opened. `locked`: another broker runs on it. `other_forge`: it was made for
 * another Forgejo. `newer`: a later release has changed it in a way this one cannot follow.
 * `unusable`: no such directory, no right, another key, not a store at all.
 */
export type StoreOpenErrorKind = 'locked' | 'other_forge' | 'newer' | 'unusable';

/** A store that cannot be opened; the message is a sentence for the admin. */
export class StoreOpenError extends Error {
  override readonly name = 'StoreOpenError';
  readonly kind: StoreOpenErrorKind;

  constructor(kind: StoreOpenErrorKind, message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

export function unusable(message: string, cause?: unknown): StoreOpenError {
  return new StoreOpenError('unusable', message, cause);
}

/**
 * What SQLite or the system refused, as `${failed}: why.`; anything else, a bug, is returned as it
 * is.
 */
export function asUnusable(error: unknown, failed: string): unknown {
  const isSystem = error instanceof SQLiteError || (error instanceof Error && 'code' in error);
  return isSystem ? unusable(`${failed}: ${error.message}.`, error) : error;
}
