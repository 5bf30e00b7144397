import { newToken, systemRandom } from '../../app/base/secret.ts';

/** Access tokens that one connection leaves behind: a few refreshes. */
const ROWS_PER_GRANT = 10;

/**
 * Writes the rows of `count` access tokens of other connections into the store of a running broker,
 * all of the first person and client there. It works in a process of its own: a file that is opened
 * and closed twice in one process loses SQLite's locks.
 */
export async function addTokenRows(path: string, count: number): Promise<void> {
  const writer = Bun.spawn([process.execPath, import.meta.path, path, String(count)], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if ((await writer.exited) !== 0) throw new Error('the token rows were not written');
}

async function writeRows(path: string, count: number): Promise<void> {
  const { Database } = await import('bun:sqlite');
  const database = new Database(path, { strict: true });
  database.run('PRAGMA busy_timeout = 5000');
  const model = database
    .query<{ id: string; account_id: number; client_id: string }, []>(
      'SELECT id, account_id, client_id FROM grants LIMIT 1',
    )
    .get();
  if (model === null) throw new Error('there is no connection to copy');
  const grant = database.query(
    `INSERT INTO grants (id, account_id, client_id, scope, resource, created_at)
     SELECT $id, account_id, client_id, scope, resource, created_at FROM grants WHERE id = $model`,
  );
  const refresh = database.query(
    'INSERT INTO refresh_tokens VALUES ($digest, $grant, NULL, NULL, 1, $now, $now, $expiresAt)',
  );
  const access = database.query(
    "INSERT INTO access_tokens VALUES ($digest, $grant, $answer, 'forgejo:delete', $now, $expiresAt)",
  );
  const now = Date.now();
  const expiresAt = now + 3_600_000;
  const digest = () => newToken(systemRandom);
  database.transaction(() => {
    for (let row = 0; row < count; row += 1) {
      const id = `g_bench${Math.floor(row / ROWS_PER_GRANT)}`;
      if (row % ROWS_PER_GRANT === 0) grant.run({ id, model: model.id });
      const answer = digest();
      refresh.run({ digest: answer, grant: id, now, expiresAt });
      access.run({ digest: digest(), grant: id, answer, now, expiresAt });
    }
  })();
  database.close();
}

if (import.meta.main) {
  const [path = '', count = '0'] = process.argv.slice(2);
  await writeRows(path, Number(count));
}
