import { describe, expect, it } from 'bun:test';
import { Person } from '../../app/demo/person.ts';
import { runAuthorizationSuite, suiteRedirectUri } from './authorization.ts';
import {
  type ReferenceFaults,
  startReferenceAuthorizationServer,
} from './reference-authorization-server.ts';
import type { SuiteReport } from './report.ts';

const SUITE_MS_MAX = 120_000;

async function run(faults: ReferenceFaults, password: string): Promise<SuiteReport> {
  const server = startReferenceAuthorizationServer(faults);
  const person = new Person({ login: 'ann', password });
  try {
    return await runAuthorizationSuite({
      issuer: server.issuer,
      clientId: 'reference-client',
      redirectUri: await suiteRedirectUri(),
      resource: `${server.issuer}/mcp`,
      authorize: (url, redirectUri) => person.authorize(url, redirectUri),
    });
  } finally {
    await server.stop();
  }
}

describe('runner of the authorization scenarios', () => {
  it(
    'fails, and does not wait, when the person does not get through',
    async () => {
      await expect(run({}, 'wrong')).rejects.toThrow('the browser is stuck');
    },
    SUITE_MS_MAX,
  );

  it(
    'reports a server that names another issuer or lets a token be cached',
    async () => {
      for (const faults of [{ otherIssuer: true }, { cacheable: true }]) {
        const report = await run(faults, 'right');
        expect(report).toMatchObject({ exitCode: 1, scored: { passed: 1, total: 2 } });
        const grant = report.scenarios.find(({ name }) => name === 'authorization-code-grant');
        expect(grant).toMatchObject({ passed: 0, failed: 1 });
      }
    },
    SUITE_MS_MAX,
  );

  it(
    'reports 2 of 2 for the reference server',
    async () => {
      expect(await run({}, 'right')).toMatchObject({
        exitCode: 0,
        failed: 0,
        scored: { passed: 2, total: 2 },
      });
    },
    SUITE_MS_MAX,
  );
});
