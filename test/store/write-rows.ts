/**
 * Prints the rows that the present release writes, as INSERT statements. Run it once for each new
 * migration, before its release: `bun test/store/write-rows.ts > test/store/rows/<name>.sql`.
 * From then on the file stays as it is: it stands for every store out there of that release.
 */
import { digestOf } from '../../app/base/secret.ts';
import { Directory, newRequest, open, rotation, STORED_MAX, sessionOf, signIn } from './harness.ts';

const directory = new Directory();
const opened = open({ path: directory.store });
const { store, clock } = opened;
await store.clients.syncStatic([
  { id: 'desktop', name: 'Desktop', redirectUris: [], secretDigest: digestOf('secret') },
]);
const permission = '{"scope":"forgejo:read","toolsets":["issues"],"targets":["anna/*"]}';
const grant = await signIn(opened, permission);
await store.tokens.rotate(rotation(clock, 'refresh-1', 'refresh-2', 'access-2'));
await store.sessions.insert(sessionOf(clock, grant), STORED_MAX);
await store.browserSessions.signIn(digestOf('browser-1'), 1, clock.now() + 1_000);
await store.authorizationRequests.create(
  newRequest(clock, { shownAccountId: 1 }),
  digestOf('approval'),
  10,
);
await store.close();

/** Parents before children, so that the statements can run with foreign keys checked. */
const TABLES = [
  'clients',
  'accounts',
  'browser_sessions',
  'authorization_requests',
  'grants',
  'authorization_codes',
  'refresh_tokens',
  'access_tokens',
  'sessions',
];

console.log("-- Sealed under a store key of 32 bytes 0x07, for the forge 'https://forge.example'.");
const facts = "SELECT * FROM meta WHERE name NOT IN ('oldest_reader', 'probe')";
for (const row of directory.query<Row>(facts)) print('meta', row);
for (const table of TABLES) {
  const order = table === 'refresh_tokens' ? 'ORDER BY predecessor IS NOT NULL' : '';
  for (const row of directory.query<Row>(`SELECT * FROM ${table} ${order}`)) print(table, row);
}
directory.remove();

type Row = Readonly<Record<string, string | number | null | Uint8Array>>;

function print(table: string, row: Row): void {
  const values = Object.values(row).map(literal).join(', ');
  console.log(`INSERT INTO ${table} (${Object.keys(row).join(', ')})\n  VALUES (${values});`);
}

function literal(value: Row[string]): string {
  if (value === null) return 'NULL';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`;
  return `X'${Buffer.from(value).toString('hex')}'`;
}
