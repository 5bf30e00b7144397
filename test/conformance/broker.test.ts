import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import { conformanceChild } from '../fixture/connect.ts';
import { heldPort, startSystem, type TestSystem } from '../support/system.ts';
import { describeReport, type SuiteReport } from './report.ts';
import { runServerSuite, type Selection } from './run.ts';

const SUITE_MS_MAX = 240_000;

let system: TestSystem;
let bearer: string;
const { port: proxyPort, release } = heldPort();

beforeAll(async () => {
  system = await startSystem({
    config: {
      childCommand: conformanceChild(),
      allowedOrigins: [`http://localhost:${proxyPort}`],
    },
  });
  release();
  const client = system.client();
  await client.authorize(system.person());
  bearer = client.memory.current?.access_token ?? '';
});

afterAll(() => system.stop());

function run(selection: Selection): Promise<SuiteReport> {
  return runServerSuite(system.mcpUrl, selection, bearer, proxyPort);
}

describe('the official suite through the whole broker, signed in by OAuth', () => {
  it(
    'passes 30 of 30 scored scenarios of 2025-11-25, and the others too',
    async () => {
      const report = await run({ kind: 'requirements', revision: '2025-11-25' });
      expect(describeReport(report)).toEndWith('scored scenarios: 30 of 30');
      expect(report).toMatchObject({ exitCode: 0, failed: 0, scored: { passed: 30, total: 30 } });
    },
    SUITE_MS_MAX,
  );

  it(
    'passes all 27 scenarios of 2025-06-18',
    async () => {
      const report = await run({ kind: 'all', specVersion: '2025-06-18' });
      expect(describeReport(report)).toEndWith('scored scenarios: 27 of 27');
      expect(report).toMatchObject({ exitCode: 0, failed: 0 });
    },
    SUITE_MS_MAX,
  );

  it(
    'passes the one scenario of 2025-03-26',
    async () => {
      const report = await run({ kind: 'all', specVersion: '2025-03-26' });
      expect(report).toMatchObject({ exitCode: 0, failed: 0, scored: { passed: 1, total: 1 } });
    },
    SUITE_MS_MAX,
  );
});
