import { createGrantEnd } from './grants.ts';
import { letOthersRun } from './let-others-run.ts';
import type { StoreContext } from './store-context.ts';

/** Rows deleted in one transaction, so that no request waits long for it. */
const BATCH_ROWS = 500;

/** How long what is not used any more is kept. */
export interface Retention {
  /** A dynamic registration without a grant, after it was last used or made. */
  readonly unusedClientMs: number;
  /** An ended grant, after its end; an account without any grant, after its last change. */
  readonly tombstoneMs: number;
  /** A session after its last use (SESSION_TTL). */
  readonly sessionMs: number;
}

export interface Pruner {
  /** Deletes what has expired; one run at a time, a second caller gets the first one's answer. */
  prune(): Promise<Readonly<Record<string, number>>>;
  /** Ends a run after its present batch and waits for that. */
  stop(): Promise<void>;
}

/** Deletes one batch within a transaction and returns how many rows it deleted. */
type Batch = () => number;

export function createPruner(context: StoreContext, retention: Retention): Pruner {
  const tables: readonly (readonly [string, Batch])[] = [
    ...createTokenBatches(context),
    ...createSimpleBatches(context, retention),
  ];
  let running: Promise<Readonly<Record<string, number>>> | undefined;
  let stopped = false;

  const run = async (): Promise<Readonly<Record<string, number>>> => {
    await context.lastUse.flush();
    const deleted: Record<string, number> = {};
    for (const [table, batch] of tables) {
      let rows = BATCH_ROWS;
      deleted[table] = 0;
      while (rows === BATCH_ROWS && !stopped) {
        rows = await context.connection.write(batch);
        deleted[table] += rows;
        context.metrics.rowsPruned.inc({ table }, rows);
        await letOthersRun();
      }
    }
    return deleted;
  };
  return {
    prune() {
      running ??= run().finally(() => {
        running = undefined;
      });
      return running;
    },
    async stop() {
      stopped = true;
      await running?.catch(() => undefined);
    },
  };
}

/** Codes and tokens; a grant that has lost its last one ends with it. */
function createTokenBatches(context: StoreContext): readonly (readonly [string, Batch])[] {
  const { connection, clock, metrics } = context;
  const endGrant = createGrantEnd(context);
  const lives = connection.prepare<{ lives: number }, [{ grantId: string; now: number }]>(
    `SELECT EXISTS (SELECT 1 FROM refresh_tokens WHERE grant_id = $grantId AND expires_at > $now)
         OR EXISTS (SELECT 1 FROM access_tokens WHERE grant_id = $grantId AND expires_at > $now)
         OR EXISTS (SELECT 1 FROM authorization_codes
                    WHERE grant_id = $grantId AND used_at IS NULL AND expires_at > $now) AS lives`,
  );
  const batch = (table: string, expired: string): readonly [string, Batch] => {
    const remove = connection.prepare<{ grantId: string }, [number]>(
      `DELETE FROM ${table} WHERE digest IN
         (SELECT digest FROM ${table} AS t WHERE ${expired} LIMIT ${BATCH_ROWS})
       RETURNING grant_id AS grantId`,
    );
    const run = (): number => {
      const now = clock.now();
      const rows = remove.all(now);
      for (const grantId of new Set(rows.map((row) => row.grantId))) {
        if (lives.get({ grantId, now })?.lives === 1 || !endGrant(grantId, 'expired')) continue;
        metrics.grantsEnded.inc({ reason: 'expired' });
      }
      return rows.length;
    };
    return [table, run];
  };
  return [
    // A used code goes with its grant: while that lives, the code's reuse must be noticed.
    batch('authorization_codes', 'used_at IS NULL AND expires_at <= ?1'),
    batch('access_tokens', 'expires_at <= ?1'),
    // A successor stays while its predecessor could be presented: without it, a spent token would
    // look like one that was never exchanged.
    batch(
      'refresh_tokens',
      `expires_at <= ?1
       AND NOT EXISTS (SELECT 1 FROM access_tokens WHERE answer = t.digest)
       AND NOT EXISTS (SELECT 1 FROM refresh_tokens AS p
                       WHERE p.digest = t.predecessor AND p.expires_at > ?1)`,
    ),
  ];
}

function createSimpleBatches(
  { connection, clock }: StoreContext,
  retention: Retention,
): readonly (readonly [string, Batch])[] {
  const batch = (
    table: string,
    key: string,
    keptMs: number,
    expired: string,
  ): readonly [string, Batch] => {
    const remove = connection.prepare<never, [number]>(
      `DELETE FROM ${table} WHERE ${key} IN
         (SELECT ${key} FROM ${table} AS t WHERE ${expired} LIMIT ${BATCH_ROWS})`,
    );
    return [table, () => remove.run(clock.now() - keptMs).changes];
  };
  const unusedClient = `NOT EXISTS (SELECT 1 FROM grants WHERE client_id = t.id)
    AND NOT EXISTS (SELECT 1 FROM authorization_requests WHERE client_id = t.id)
    AND (kind = 'static' AND retired_at <= ?1 OR kind = 'dcr' AND registered_at <= ?1
         AND coalesce(last_used_at, 0) <= ?1)`;
  return [
    batch('sessions', 'id_digest', retention.sessionMs, 'last_used_at <= ?1'),
    batch('authorization_requests', 'digest', 0, 'expires_at <= ?1'),
    batch('browser_sessions', 'digest', 0, 'expires_at <= ?1'),
    // Takes along, by foreign keys, the used code, the spent tokens and the sessions of the grant.
    batch('grants', 'id', retention.tombstoneMs, 'ended_at <= ?1'),
    batch(
      'accounts',
      'id',
      retention.tombstoneMs,
      'updated_at <= ?1 AND NOT EXISTS (SELECT 1 FROM grants WHERE account_id = t.id)',
    ),
    batch('clients', 'id', retention.unusedClientMs, unusedClient),
  ];
}
