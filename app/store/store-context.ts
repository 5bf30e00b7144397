import type { Clock } from '../base/clock.ts';
import type { Keyring, SealPlace } from '../base/keyring.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Connection } from './connection.ts';
import type { LastUse } from './last-use.ts';

/** What each part of an open store works with. */
export interface StoreContext {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly keyring: Keyring;
  readonly metrics: Metrics;
  readonly lastUse: LastUse;
  /** Where a sealed value of this store stands; opened in another place it is refused. */
  place(subject: string, column: string): SealPlace;
}
