import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import { registerClient } from '@modelcontextprotocol/sdk/client/auth.js';
import { runAuthorizationSuite, suiteRedirectUri } from '../conformance/authorization.ts';
import { describeReport } from '../conformance/report.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

const SUITE_MS_MAX = 120_000;

describe('the official conformance suite', () => {
  let system: TestSystem;
  beforeAll(async () => {
    system = await startSystem();
  });
  afterAll(() => system.stop());

  it(
    'D5 D6 D8 E4 E8: passes both authorization scenarios',
    async () => {
      const redirectUri = await suiteRedirectUri();
      const { client_id: clientId } = await registerClient(system.origin, {
        clientMetadata: { redirect_uris: [redirectUri], token_endpoint_auth_method: 'none' },
      });
      const report = await runAuthorizationSuite({
        issuer: system.origin,
        clientId,
        redirectUri,
        resource: system.mcpUrl,
        authorize: (url) => system.person().authorize(url, redirectUri),
      });
      // The report first: it says what was found wrong.
      expect(describeReport(report)).toContain('scored scenarios: 2 of 2');
      expect(report).toMatchObject({ exitCode: 0, failed: 0 });
    },
    SUITE_MS_MAX,
  );
});
