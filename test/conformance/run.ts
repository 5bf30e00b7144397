/**
 * Runs the official MCP conformance suite against an MCP endpoint, through a proxy that adds the
 * bearer token, and reports what each scenario found. From a shell:
 *
 *   FJMCP_CONFORMANCE_BEARER=... bun test/conformance/run.ts --url URL --requirements 2025-11-25
 *   FJMCP_CONFORMANCE_BEARER=... bun test/conformance/run.ts --url URL --spec-version 2025-06-18
 */
import { parseArgs } from 'node:util';
import { type BearerProxy, startBearerProxy } from './bearer-proxy.ts';
import { describeReport, type SuiteReport } from './report.ts';
import { runSuite, scoredScenarios } from './suite.ts';

/** What a revision requires, or every scenario that a revision knows. */
export type Selection =
  | { readonly kind: 'requirements'; readonly revision: string }
  | { readonly kind: 'all'; readonly specVersion: string };

/**
 * The server scenarios against `mcpUrl`, which must be a loopback address. A scenario comes from the
 * origin `http://localhost:` with the proxy's port, which the endpoint has to allow.
 */
export async function runServerSuite(
  mcpUrl: string,
  selection: Selection,
  bearer?: string,
  proxyPort?: number,
): Promise<SuiteReport> {
  let proxy: BearerProxy | undefined;
  if (bearer !== undefined) proxy = await startBearerProxy(new URL(mcpUrl), bearer, proxyPort);
  try {
    const url = proxy?.url ?? mcpUrl;
    return await runSuite(['server', '--url', url, ...flagsOf(selection)], scoredOf(selection));
  } finally {
    proxy?.stop();
  }
}

function flagsOf(selection: Selection): string[] {
  switch (selection.kind) {
    case 'requirements':
      return ['--requirements', selection.revision];
    case 'all':
      return ['--suite', 'all', '--spec-version', selection.specVersion];
  }
}

function scoredOf(selection: Selection): string[] | undefined {
  return selection.kind === 'requirements' ? scoredScenarios(selection.revision) : undefined;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      requirements: { type: 'string' },
      'spec-version': { type: 'string' },
    },
  });
  if (values.url === undefined) throw new Error('--url is the address of the MCP endpoint');
  const specVersion = values['spec-version'];
  const selection: Selection =
    specVersion === undefined
      ? { kind: 'requirements', revision: values.requirements ?? '2025-11-25' }
      : { kind: 'all', specVersion };
  const bearer = process.env.FJMCP_CONFORMANCE_BEARER;
  const report = await runServerSuite(values.url, selection, bearer);
  console.log(describeReport(report));
  process.exit(report.exitCode);
}
