import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One assertion of the suite. */
export interface Check {
  readonly id: string;
  readonly status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'INFO' | 'SKIPPED';
  readonly description: string;
  readonly errorMessage?: string;
}

export interface ScenarioReport {
  readonly name: string;
  /** Whether the revision's requirement set counts it. */
  readonly scored: boolean;
  readonly passed: number;
  readonly failed: number;
  readonly warnings: number;
  readonly checks: readonly Check[];
}

export interface SuiteReport {
  /** The suite's own verdict: 0 when no scored scenario failed. */
  readonly exitCode: number;
  readonly scenarios: readonly ScenarioReport[];
  readonly passed: number;
  readonly failed: number;
  readonly warnings: number;
  /** A scenario passed if it had a successful check and no failed one. */
  readonly scored: { readonly passed: number; readonly total: number };
  /** All that the suite printed, for the person who has to find out why. */
  readonly output: string;
}

/** `server-<scenario>-<time>` and `authorization-server-<scenario>-<time>`. */
const FOLDER = /^(?:authorization-)?server-(.+?)-\d{4}-\d{2}-\d{2}T[\d-]+Z$/;
/** A line of the suite's summary; a scenario that could not run has no folder, only this. */
const SUMMARY = /^[✓✗] (\S+): (\d+) passed, (\d+) failed/gm;

/**
 * Reads what the suite left in `folder` and printed. `scored` names the scenarios that count, all
 * when undefined; one that was to run and did not is reported as failed.
 */
export function readReport(
  folder: string,
  run: { readonly exitCode: number; readonly output: string },
  scored: readonly string[] | undefined,
): SuiteReport {
  const checks = new Map<string, Check[]>();
  for (const entry of readdirSync(folder)) {
    const name = entry.match(FOLDER)?.[1];
    if (name === undefined) continue;
    checks.set(name, JSON.parse(readFileSync(join(folder, entry, 'checks.json'), 'utf8')));
  }
  const summary = [...run.output.matchAll(SUMMARY)].map(([, name = '']) => name);
  const names = new Set([...summary, ...checks.keys(), ...(scored ?? [])]);
  const scenarios = [...names].map((name) =>
    scenario(name, checks.get(name), scored?.includes(name) ?? true),
  );
  const counted = scenarios.filter((one) => one.scored);
  const sum = (of: (one: ScenarioReport) => number) => scenarios.reduce((s, one) => s + of(one), 0);
  return {
    ...run,
    scenarios,
    passed: sum(({ passed }) => passed),
    failed: sum(({ failed }) => failed),
    warnings: sum(({ warnings }) => warnings),
    scored: { passed: counted.filter(isPassed).length, total: counted.length },
  };
}

export function isPassed({ passed, failed }: ScenarioReport): boolean {
  return passed > 0 && failed === 0;
}

/** The scenarios with their failed and doubtful checks, one line each. */
export function describeReport(report: SuiteReport): string {
  const lines = report.scenarios.flatMap((one) => [
    `${verdict(one)} ${one.name}${one.scored ? '' : ' (not scored)'}`,
    ...one.checks
      .filter(({ status }) => status === 'FAILURE' || status === 'WARNING')
      .map(({ status, id, errorMessage }) => `  ${status} ${id}: ${errorMessage ?? ''}`),
  ]);
  const { passed, failed, warnings, scored } = report;
  return [
    ...lines,
    `checks: ${passed} passed, ${failed} failed, ${warnings} warnings; ` +
      `scored scenarios: ${scored.passed} of ${scored.total}`,
  ].join('\n');
}

/** A scenario can end without a single success or failure, with warnings alone. */
function verdict(one: ScenarioReport): string {
  if (one.failed > 0) return 'FAILED';
  return isPassed(one) ? 'passed' : 'empty';
}

function scenario(name: string, found: Check[] | undefined, scored: boolean): ScenarioReport {
  const missing: Check = {
    id: name,
    status: 'FAILURE',
    description: 'The scenario runs',
    errorMessage: 'the suite left no result',
  };
  const checks = found ?? [missing];
  const count = (status: Check['status']) => checks.filter((one) => one.status === status).length;
  return {
    name,
    scored,
    passed: count('SUCCESS'),
    failed: count('FAILURE'),
    warnings: count('WARNING'),
    checks,
  };
}
