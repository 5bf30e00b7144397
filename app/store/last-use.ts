import type { Cancel, Clock } from '../base/clock.ts';
import type { Connection } from './connection.ts';

/** What changes with every request is written this often: a crash loses as much of it. */
export const LAST_USE_PERIOD_MS = 5_000;

/** The tables whose rows know when they were last used. */
const TABLES = ['clients', 'grants', 'sessions'] as const;
export type UsedTable = (typeof TABLES)[number];

/** Gathers last uses in memory and writes them together. */
export interface LastUse {
  /** Notes that the row was used now; `id` is the key of a row that exists. */
  note(table: UsedTable, id: string): void;
  /** Writes what was noted; when that fails it is kept for the next time. */
  flush(): Promise<void>;
  /** Plans nothing any more. */
  stop(): void;
}

export function createLastUse(connection: Connection, clock: Clock): LastUse {
  const update = (table: UsedTable, key: string) =>
    connection.prepare<never, [number, string]>(
      `UPDATE ${table} SET last_used_at = ? WHERE ${key} = ?`,
    );
  const statements = {
    clients: update('clients', 'id'),
    grants: update('grants', 'id'),
    sessions: update('sessions', 'id_digest'),
  };
  let pending = nothing();
  let cancel: Cancel | undefined;
  let stopped = false;

  const flush = async (): Promise<void> => {
    if (TABLES.every((table) => pending[table].size === 0)) return;
    // Uses noted while the caller waits must not be taken for written.
    const taken = pending;
    pending = nothing();
    try {
      await connection.write(() => {
        for (const table of TABLES) {
          for (const [id, usedAt] of taken[table]) statements[table].run(usedAt, id);
        }
      });
    } catch (error) {
      for (const table of TABLES) {
        pending[table] = new Map([...taken[table], ...pending[table]]);
      }
      throw error;
    }
  };
  const plan = (): void => {
    if (cancel !== undefined || stopped) return;
    cancel = clock.after(LAST_USE_PERIOD_MS, () => {
      cancel = undefined;
      // The connection has told of the failure; what was not written is tried again.
      flush().catch(plan);
    });
  };
  return {
    note(table, id) {
      pending[table].set(id, clock.now());
      plan();
    },
    flush,
    stop() {
      stopped = true;
      cancel?.();
      cancel = undefined;
    },
  };
}

function nothing(): Record<UsedTable, Map<string, number>> {
  return { clients: new Map(), grants: new Map(), sessions: new Map() };
}
