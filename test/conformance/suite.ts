import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readReport, type SuiteReport } from './report.ts';

const PACKAGE = new URL('../../node_modules/@modelcontextprotocol/conformance/', import.meta.url)
  .pathname;
const RUN_MS_MAX = 5 * 60_000;

/**
 * Runs the official suite (an independent referee, exact version in package.json) as a process of
 * its own under this same Bun, and reads its results. `onLine` sees each line it prints at once.
 */
export async function runSuite(
  command: readonly string[],
  scored: readonly string[] | undefined,
  onLine: (line: string) => void = () => {},
): Promise<SuiteReport> {
  const folder = mkdtempSync(join(tmpdir(), 'fjmcp-conformance-'));
  try {
    const suite = Bun.spawn(
      [process.execPath, '--bun', join(PACKAGE, 'dist/index.js'), ...command, '-o', folder],
      {
        cwd: folder,
        env: { PATH: process.env.PATH ?? '', HOME: folder },
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
        timeout: RUN_MS_MAX,
      },
    );
    const errors = new Response(suite.stderr).text();
    const printed = await readLines(suite.stdout, (line) => {
      // A listener that fails must not leave the suite waiting for what will never come.
      try {
        onLine(line);
      } catch (cause) {
        suite.kill();
        throw cause;
      }
    });
    const output = printed + (await errors);
    return readReport(folder, { exitCode: await suite.exited, output }, scored);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The server scenarios that a revision's requirement set scores, from the suite's own file. */
export function scoredScenarios(revision: string): string[] {
  const file = readFileSync(join(PACKAGE, 'requirements', `${revision}.yaml`), 'utf8');
  const { server } = Bun.YAML.parse(file) as { server: string[] };
  return server;
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<string> {
  const decoder = new TextDecoder();
  let all = '';
  let read = 0;
  for await (const chunk of stream) {
    all += decoder.decode(chunk, { stream: true });
    for (let end = all.indexOf('\n', read); end !== -1; end = all.indexOf('\n', read)) {
      onLine(all.slice(read, end));
      read = end + 1;
    }
  }
  return all;
}
