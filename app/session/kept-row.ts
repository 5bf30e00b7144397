import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Digest } from '../base/secret.ts';
import type { Store } from '../store/store.ts';
import type { SessionOwner } from './owned-session.ts';

/** The row of one session in the store. */
export class KeptRow {
  readonly #sessions: Store['sessions'];
  readonly #clock: Clock;
  readonly #idDigest: Digest;
  #inserted: Promise<void> | undefined;

  constructor(sessions: Store['sessions'], clock: Clock, idDigest: Digest) {
    this.#sessions = sessions;
    this.#clock = clock;
    this.#idDigest = idDigest;
  }

  /** Rejects with a `StoreError`. */
  insert(owner: SessionOwner, protocolVersion: string, handshake: string): Promise<void> {
    const { accountId, clientId, grantId } = owner;
    const now = this.#clock.now();
    const times = { createdAt: now, lastUsedAt: now };
    this.#inserted = this.#sessions.insert({
      ...{ idDigest: this.#idDigest, accountId, clientId, grantId },
      ...{ protocolVersion, handshake, ...times },
    });
    return this.#inserted;
  }

  used(): void {
    this.#sessions.used(this.#idDigest);
  }

  /** A row that cannot be deleted now only lies there: without a child it opens nothing. */
  async delete(log: Log): Promise<void> {
    const written = await this.#inserted?.then(
      () => true,
      () => false,
    );
    if (written !== true) return;
    try {
      await this.#sessions.delete(this.#idDigest);
    } catch (error) {
      log.warn('session.row_left', { err: error });
    }
  }
}
