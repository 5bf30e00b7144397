import { expect, it } from 'bun:test';
import { runScript } from './own-command.ts';

const BENCH = Bun.fileURLToPath(new URL('../bench/main.ts', import.meta.url));
const SOAK = Bun.fileURLToPath(new URL('../soak/main.ts', import.meta.url));

it.each([BENCH, SOAK])('shows its usage when asked, and starts nothing', async (tool) => {
  const { stdout, stderr, code } = await runScript(tool, '--help');
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(stdout).toStartWith('usage: bun run ');
});

it.each([
  [BENCH, '--sesions=3', "Unknown option '--sesions'"],
  [BENCH, '--token-rows=1.5', '--token-rows takes a whole number, not "1.5"'],
  [SOAK, '--minutes=0', '--minutes takes a number above 0, not "0"'],
  [SOAK, '--minutes=', '--minutes takes a number above 0, not ""'],
])('says what is wrong with a flag, and how it is used', async (tool, flag, sentence) => {
  const { stdout, stderr, code } = await runScript(tool, flag);
  expect({ stdout, code }).toEqual({ stdout: '', code: 2 });
  expect(stderr).toStartWith(`${sentence}\n\nusage: bun run `);
});
