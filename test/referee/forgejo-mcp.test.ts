import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeWith, forgejoMcp, forgejoMcpPath } from '../support/requirements.ts';
import { forgejoMcpSuite } from './forgejo-mcp-suite.ts';

const SUITE_MS_MAX = 60_000;

describeWith(forgejoMcp, 'the real forgejo-mcp behind the broker', () => {
  forgejoMcpSuite({ path: () => forgejoMcpPath ?? '', toolsMin: 100 });
});

describe("the demo's child in the place of forgejo-mcp", () => {
  let directory = '';
  const path = () => join(directory, 'forgejo-mcp');
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'fjmcp-program-'));
    const script = Bun.fileURLToPath(new URL('../../app/demo/child.ts', import.meta.url));
    writeFileSync(path(), `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`);
    chmodSync(path(), 0o755);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  forgejoMcpSuite({ path, toolsMin: 5 });

  it(
    'is taken by FORGEJO_MCP_BIN, and found out by the number of its tools alone',
    async () => {
      const run = Bun.spawn(
        [process.execPath, 'test', import.meta.path, '-t', 'the real forgejo-mcp'],
        {
          env: { ...process.env, FORGEJO_MCP_BIN: path() },
          stdin: 'ignore',
          stdout: 'ignore',
          stderr: 'pipe',
        },
      );
      const report = await new Response(run.stderr).text();
      expect(await run.exited).toBe(1);
      const failures = report.split('\n').filter((line) => line.startsWith('(fail)'));
      expect(new Set(failures.map((line) => line.replace(/ \[.*/, '')))).toEqual(
        new Set([
          '(fail) the real forgejo-mcp behind the broker > lists 100 tools or more, ' +
            'each with a title and true hints',
        ]),
      );
      expect(report).toContain(' 12 pass\n');
    },
    SUITE_MS_MAX,
  );
});
