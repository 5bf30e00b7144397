import { existsSync, readFileSync } from 'node:fs';
import { giveTestsTime, TEST_MS_MAX } from './test-time.ts';

/**
 * Makes `bun test` work in a fresh checkout. The resolver remembers that there was no
 * `node_modules` when the process started, so after installing the tests run in a new process.
 */
const root = new URL('../..', import.meta.url).pathname;
if (!existsSync(`${root}node_modules/elysia`)) {
  const installed = Bun.spawnSync([process.execPath, 'install', '--frozen-lockfile', '--silent'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (installed.exitCode !== 0) process.exit(1);
  const again = Bun.spawnSync([process.execPath, ...ownArguments()], {
    stdio: ['inherit', 'inherit', 'inherit'],
  });
  process.exit(again.exitCode);
}

giveTestsTime(TEST_MS_MAX);

/** The arguments as typed; `process.argv` in a preload lacks those of the test runner. */
function ownArguments(): string[] {
  if (existsSync('/proc/self/cmdline')) {
    return readFileSync('/proc/self/cmdline', 'utf8').split('\0').slice(1, -1);
  }
  return ['test', ...process.argv.slice(2)];
}
