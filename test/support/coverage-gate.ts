/**
 * Fails when fewer than 90 % of the lines of app/oauth ran in the tests. Reads the lcov file that
 * `bun test --coverage` writes; run it by `bun run test:coverage`.
 */
const FOLDER = 'app/oauth/';
const LINES_MIN = 0.9;

const report = await Bun.file('coverage/lcov.info').text();
let found = 0;
let hit = 0;
for (const record of report.split('end_of_record')) {
  const file = record.match(/^SF:(.+)$/m)?.[1] ?? '';
  if (!file.includes(FOLDER)) continue;
  const lines = Number(record.match(/^LF:(\d+)$/m)?.[1] ?? 0);
  const covered = Number(record.match(/^LH:(\d+)$/m)?.[1] ?? 0);
  found += lines;
  hit += covered;
  console.log(`${file}: ${covered} of ${lines} lines`);
}
if (found === 0) {
  console.log(`no file of ${FOLDER} is in the report`);
  process.exit(1);
}
const share = hit / found;
console.log(`${FOLDER}: ${(share * 100).toFixed(1)} % of ${found} lines`);
process.exit(share >= LINES_MIN ? 0 : 1);

export {};
