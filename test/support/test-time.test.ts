import { afterAll, beforeAll, expect, it } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SOURCE = Bun.fileURLToPath(new URL('test-time.ts', import.meta.url));
const NEVER = "import { it } from 'bun:test';\nit('hangs', () => new Promise(() => undefined));\n";

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-test-time-'));
});

afterAll(() => rmSync(directory, { recursive: true }));

it('holds in every file of a run, not only in the first', async () => {
  const write = (name: string, text: string) => writeFileSync(join(directory, name), text);
  write('preload.ts', `import { giveTestsTime } from '${SOURCE}';\ngiveTestsTime(21);\n`);
  write('bunfig.toml', '[test]\npreload = ["./preload.ts"]\n');
  for (const name of ['a', 'b', 'c']) write(`${name}.test.ts`, NEVER);
  const run = Bun.spawn([process.execPath, 'test'], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const output = await new Response(run.stderr).text();
  const ends = [...output.matchAll(/timed out after \d+ms/g)].map(([text]) => text);
  expect(ends).toEqual(Array(3).fill('timed out after 21ms'));
  await run.exited;
});
