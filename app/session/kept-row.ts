import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Digest } from '../base/secret.ts';
import type { SessionRow, SessionState } from '../store/sessions.ts';
import type { Store } from '../store/store.ts';
import type { SessionOwner } from './owned-session.ts';

/** What a session has become before its client said anything. */
const NEW_STATE: SessionState = {
  initialized: false,
  serverCapabilities: null,
  logLevel: null,
  subscriptions: [],
  permission: null,
};

/** What is agreed in `initialize`, and written with the row. */
export interface Agreement {
  readonly protocolVersion: string;
  /** JSON text of the client's params. */
  readonly handshake: string;
  /** JSON text. */
  readonly serverCapabilities: string;
}

/** The row of one session in the store, and what of it changes. */
export class KeptRow {
  state: SessionState;
  readonly #sessions: Store['sessions'];
  readonly #clock: Clock;
  readonly #idDigest: Digest;
  readonly #log: Log;
  #inserted: Promise<unknown> | undefined;

  /** With `row`, the session was written before. */
  constructor(
    parts: {
      readonly sessions: Store['sessions'];
      readonly clock: Clock;
      readonly idDigest: Digest;
      readonly log: Log;
    },
    row: SessionRow | undefined,
  ) {
    this.#sessions = parts.sessions;
    this.#clock = parts.clock;
    this.#idDigest = parts.idDigest;
    this.#log = parts.log;
    this.state = row ?? NEW_STATE;
    if (row !== undefined) this.#inserted = Promise.resolve();
  }

  /** Resolves with the sessions that had to go for it; rejects with a `StoreError`. */
  insert(owner: SessionOwner, agreement: Agreement, storedMax: number): Promise<readonly Digest[]> {
    const { accountId, clientId, grantId } = owner;
    const { protocolVersion, handshake, serverCapabilities } = agreement;
    const now = this.#clock.now();
    this.state = { ...this.state, serverCapabilities, permission: owner.permission ?? null };
    const inserted = this.#sessions.insert(
      {
        ...{ idDigest: this.#idDigest, accountId, clientId, grantId, protocolVersion, handshake },
        ...{ createdAt: now, lastUsedAt: now, ...this.state },
      },
      storedMax,
    );
    this.#inserted = inserted;
    return inserted;
  }

  /**
   * What is lost when it cannot be written is known until the broker ends. What a client says again
   * costs no write: each one waits for the disk, and everybody with it.
   */
  change(change: Partial<SessionState>): void {
    const changed = { ...this.state, ...change };
    if (Bun.deepEquals(changed, this.state)) return;
    this.state = changed;
    this.#write(this.#sessions.setState(this.#idDigest, this.state));
  }

  setGrant(grantId: string): void {
    this.#write(this.#sessions.setGrant(this.#idDigest, grantId));
  }

  used(): void {
    this.#sessions.used(this.#idDigest);
  }

  /** False when the row is still there: the disk may be full. */
  async delete(): Promise<boolean> {
    const written = await this.#inserted?.then(
      () => true,
      () => false,
    );
    if (written !== true) return true;
    try {
      await this.#sessions.delete(this.#idDigest);
      return true;
    } catch (error) {
      this.#log.warn('session.row_left', { err: error });
      return false;
    }
  }

  #write(written: Promise<void>): void {
    written.catch((error: unknown) => this.#log.warn('session.row_not_written', { err: error }));
  }
}
