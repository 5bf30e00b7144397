import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import { conformanceChild } from '../fixture/connect.ts';
import { lightChild } from '../support/light-child.ts';
import { type ReferenceBridge, startReferenceBridge } from './reference-bridge.ts';
import { describeReport, isPassed } from './report.ts';
import { runServerSuite } from './run.ts';

const BEARER = 'reference-bearer';
const SUITE_MS_MAX = 240_000;

let full: ReferenceBridge;
let light: ReferenceBridge;

beforeAll(async () => {
  full = await startReferenceBridge(conformanceChild(), BEARER);
  light = await startReferenceBridge(lightChild().command, BEARER);
});

afterAll(async () => {
  await full.stop();
  await light.stop();
});

describe('runner of the official suite', () => {
  it(
    'reports every scenario as failed where the credential is wrong',
    async () => {
      const selection = { kind: 'all', specVersion: '2025-03-26' } as const;
      const report = await runServerSuite(full.mcpUrl, selection, 'wrong');
      expect(report.exitCode).toBe(1);
      expect(report.scored).toEqual({ passed: 0, total: 1 });
      expect(report.failed).toBe(1);
      expect(describeReport(report)).toContain('FAILED server-session-lifecycle');
    },
    SUITE_MS_MAX,
  );

  it(
    'reports what a child without the tools of the suite cannot do',
    async () => {
      const selection = { kind: 'requirements', revision: '2025-11-25' } as const;
      const report = await runServerSuite(light.mcpUrl, selection, BEARER);
      expect(report.exitCode).toBe(1);
      expect(report.scored.total).toBe(30);
      const failed = report.scenarios.filter((one) => one.scored && !isPassed(one));
      expect(failed.map(({ name }) => name)).toContain('tools-call-image');
      expect(failed.map(({ name }) => name)).not.toContain('ping');
      expect(failed.length).toBe(30 - report.scored.passed);
    },
    SUITE_MS_MAX,
  );

  it(
    'reports 30 of 30 for 2025-11-25 on the reference bridge with the conformance child',
    async () => {
      const selection = { kind: 'requirements', revision: '2025-11-25' } as const;
      const report = await runServerSuite(full.mcpUrl, selection, BEARER);
      expect(describeReport(report)).toEndWith('scored scenarios: 30 of 30');
      expect(report).toMatchObject({ exitCode: 0, failed: 0, scored: { passed: 30, total: 30 } });
      expect(report.scenarios.filter(({ scored }) => !scored).map(({ name }) => name)).toEqual([
        'server-session-lifecycle',
        'json-schema-2020-12',
        'server-sse-polling',
      ]);
    },
    SUITE_MS_MAX,
  );

  it(
    'reports all 27 scenarios of 2025-06-18 and the one of 2025-03-26',
    async () => {
      const june = await runServerSuite(full.mcpUrl, all('2025-06-18'), BEARER);
      expect(june).toMatchObject({ exitCode: 0, failed: 0, scored: { passed: 27, total: 27 } });
      const march = await runServerSuite(full.mcpUrl, all('2025-03-26'), BEARER);
      expect(march).toMatchObject({ exitCode: 0, failed: 0, scored: { passed: 1, total: 1 } });
      expect(new Set(full.credentials)).toEqual(new Set(['Bearer wrong', `Bearer ${BEARER}`]));
    },
    SUITE_MS_MAX,
  );
});

function all(specVersion: string) {
  return { kind: 'all', specVersion } as const;
}
