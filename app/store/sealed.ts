import { SealError } from '../base/keyring.ts';
import { letOthersRun } from './let-others-run.ts';
import type { StoreContext } from './store-context.ts';

/** Rows sealed anew in one transaction, so that no request waits long for it. */
const BATCH_ROWS = 100;

/** A column that holds sealed values; its place is `table.column`, its subject the row's key. */
interface SealedColumn {
  readonly table: string;
  readonly key: string;
  readonly column: string;
  /** Sorts before every key. */
  readonly before: string | number;
}

/**
 * Every column with sealed values. The check of the whole store is the last one: a key that opens
 * it opens everything.
 */
const SEALED_COLUMNS: readonly SealedColumn[] = [
  { table: 'accounts', key: 'id', column: 'access_token', before: -1 },
  { table: 'accounts', key: 'id', column: 'refresh_token', before: -1 },
  { table: 'authorization_requests', key: 'digest', column: 'client_state', before: '' },
];

const KEY_CHECK = { subject: 'store', column: 'meta.key_check' };

/** What became of the values that another key had sealed. */
export interface Resealed {
  readonly resealed: number;
  /** Sealed with a key that this broker does not have, or damaged; left as they are. */
  readonly unreadable: number;
}

export interface SealedValues {
  /** Seals with the current key what earlier ones have sealed; one run after the other. */
  reseal(): Promise<Resealed>;
  /** Live refresh tokens that can be given once more only with a key other than the current one. */
  successorsOfEarlierKeys(): Promise<number>;
  /** Ends a run after its present batch and waits for that. */
  stop(): Promise<void>;
}

export function createSealedValues(context: StoreContext): SealedValues {
  const { connection, keyring, clock } = context;
  const columns = SEALED_COLUMNS.map((column) => createColumnBatch(context, column));
  const check = createCheckReseal(context);
  const successors = connection.prepare<{ count: number }, [string, number]>(
    `SELECT count(*) AS count FROM refresh_tokens
     WHERE key_id <> ? AND confirmed_at IS NULL AND expires_at > ?`,
  );
  let running: Promise<unknown> = Promise.resolve();
  let stopped = false;

  const run = async (): Promise<Resealed> => {
    const total = { resealed: 0, unreadable: 0 };
    for (const { before, batch } of columns) {
      let after: string | number | undefined = before;
      while (after !== undefined && !stopped) {
        const from: string | number = after;
        const done: BatchDone = await connection.write(() => batch(from));
        total.resealed += done.resealed;
        total.unreadable += done.unreadable;
        after = done.last;
        await letOthersRun();
      }
    }
    if (!stopped) await connection.write(check);
    return total;
  };
  return {
    reseal() {
      // The key may have changed behind what a run before has looked at: each caller gets its own.
      const own = running.then(run);
      running = own.catch(() => undefined);
      return own;
    },
    successorsOfEarlierKeys: () =>
      connection.read(() => successors.get(keyring.currentKeyId, clock.now())?.count ?? 0),
    async stop() {
      stopped = true;
      await running;
    },
  };
}

interface BatchDone extends Resealed {
  /** The key of the last row that was looked at; undefined when there are no more. */
  readonly last: string | number | undefined;
}

/** Seals one batch of a column within the transaction of the caller. */
function createColumnBatch(context: StoreContext, { table, key, column, before }: SealedColumn) {
  const find = context.connection.prepare<SealedRow, [string | number, Uint8Array, number]>(
    `SELECT ${key} AS id, ${column} AS sealed FROM ${table}
     WHERE ${key} > ? AND substr(${column}, 2, 4) <> ? ORDER BY ${key} LIMIT ?`,
  );
  const put = context.connection.prepare<never, [Uint8Array, string | number]>(
    `UPDATE ${table} SET ${column} = ? WHERE ${key} = ?`,
  );
  const batch = (after: string | number): BatchDone => {
    const rows = find.all(after, context.keyring.currentKeyMark, BATCH_ROWS);
    let resealed = 0;
    for (const { id, sealed } of rows) {
      const place = context.place(String(id), `${table}.${column}`);
      const again = sealAgain(context, sealed, place);
      if (again === undefined) continue;
      put.run(again, id);
      resealed += 1;
    }
    const last = rows.length === BATCH_ROWS ? rows.at(-1)?.id : undefined;
    return { resealed, unreadable: rows.length - resealed, last };
  };
  return { before, batch };
}

interface SealedRow {
  readonly id: string | number;
  readonly sealed: Uint8Array;
}

function createCheckReseal(context: StoreContext): () => void {
  const { connection, keyring, place } = context;
  const put = connection.prepare<never, [Uint8Array]>(
    "UPDATE meta SET value = ? WHERE name = 'key_check'",
  );
  const get = connection.prepare<{ value: Uint8Array }, []>(
    "SELECT value FROM meta WHERE name = 'key_check'",
  );
  const at = place(KEY_CHECK.subject, KEY_CHECK.column);
  return () => {
    const sealed = get.get()?.value;
    if (sealed !== undefined) put.run(keyring.seal(keyring.open(sealed, at), at));
  };
}

function sealAgain(
  { keyring }: StoreContext,
  sealed: Uint8Array,
  place: Parameters<StoreContext['keyring']['open']>[1],
): Uint8Array | undefined {
  try {
    return keyring.seal(keyring.open(sealed, place), place);
  } catch (error) {
    if (error instanceof SealError) return undefined;
    throw error;
  }
}
