import { setDefaultTimeout } from 'bun:test';
import { plugin } from 'bun';

/**
 * How long a test may take that does not say it itself. It is there to end what hangs, and no
 * measure of anything: a machine that is busy with other work takes ten times as long as a quiet one.
 */
export const TEST_MS_MAX = 60_000;

/**
 * Gives the tests and hooks of every file so much time; a file that sets its own keeps that. To be
 * called from a preload. The runner forgets a default at the end of each file, and runs a preload
 * only before the first one (measured on 1.4.5), so it is set when a file is loaded.
 */
export function giveTestsTime(ms: number): void {
  plugin({
    name: 'test-time',
    setup(build) {
      build.onLoad({ filter: /\.test\.ts$/ }, async ({ path }) => {
        setDefaultTimeout(ms);
        return { contents: await Bun.file(path).text(), loader: 'ts' };
      });
    },
  });
}
