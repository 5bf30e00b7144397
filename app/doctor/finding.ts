/**
 * `warning`: it works, and an administrator should know. `skipped`: it could not be looked at, for a
 * reason that another finding tells.
 */
export type FindingStatus = 'fine' | 'warning' | 'fault' | 'skipped';

/** What one look has found. */
export interface Found {
  readonly status: FindingStatus;
  /** A sentence about how it is. */
  readonly says: string;
  /** A sentence about what to do; absent where nothing is to be done. */
  readonly remedy?: string;
}

/** What was found, and where. */
export interface Finding extends Found {
  readonly check: string;
}

export function fine(says: string): Found {
  return { status: 'fine', says };
}

export function warning(says: string, remedy: string): Found {
  return { status: 'warning', says, remedy };
}

export function fault(says: string, remedy: string): Found {
  return { status: 'fault', says, remedy };
}

export function skipped(says: string): Found {
  return { status: 'skipped', says };
}
