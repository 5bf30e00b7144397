import { ClientMemory, DemoClient } from '../demo/client.ts';
import { Person } from '../demo/person.ts';
import type { Check } from './examine.ts';
import { type Found, fault, fine, skipped } from './finding.ts';
import { type DoctorParts, HOSTED_CLIENT_MS, type TestLogin } from './parts.ts';

/** The name under which it is listed among the clients. */
const CLIENT_NAME = 'fjmcp-broker doctor';

/**
 * A whole sign-in with a login of Forgejo that is there for tests: an official client registers, the
 * person approves and signs in, a session opens, its tools are listed, and all of it is given back.
 */
export function signInCheck(parts: DoctorParts): Check {
  return {
    name: 'sign-in',
    async run() {
      const { testLogin } = parts;
      return testLogin === undefined
        ? [skipped('A whole sign-in and tools/list need a test login: --login FILE.')]
        : walk(parts, testLogin);
    },
  };
}

async function walk(parts: DoctorParts, person: TestLogin): Promise<readonly Found[]> {
  const { config, clock, clientFetch } = parts;
  const client = new DemoClient(
    `${config.publicOrigin}/mcp`,
    new ClientMemory(CLIENT_NAME),
    clientFetch,
  );
  const browser = new Person({ ...person, fetch: clientFetch });
  const startedAt = clock.now();
  let step = 'find the authorization server and register';
  try {
    const url = await client.startAuthorization();
    step = `sign in as ${person.login} and approve`;
    const back = await browser.authorize(url, client.memory.redirectUrl);
    step = 'exchange the code';
    await client.finishAuthorization(back);
    const signedIn = fine(`${person.login} signs in (${clock.now() - startedAt} ms).`);
    step = 'open a session';
    const session = await client.connect();
    step = 'tools/list';
    const { tools } = await session.listTools(undefined, { timeout: HOSTED_CLIENT_MS });
    return [signedIn, fine(`tools/list names ${tools.length} tools.`)];
  } catch (error) {
    return [stuck(step, error)];
  } finally {
    await giveBack(client, parts);
  }
}

function stuck(step: string, error: unknown): Found {
  const reason = error instanceof Error ? error.message : String(error);
  return fault(
    `The sign-in is stuck at: ${step}. ${reason.replaceAll(/[\p{Cc}\s]+/gu, ' ').slice(0, 200)}`,
    step.startsWith('sign in')
      ? 'Check that the test login works in a browser, without a second factor.'
      : 'The log of the broker says more: journalctl -u fjmcp-broker -n 50.',
  );
}

/** Ends session and grant (RFC 7009), so that nothing of the test stays open. */
async function giveBack(client: DemoClient, { config, machineFetch }: DoctorParts): Promise<void> {
  await client.close().catch(() => undefined);
  const token = client.memory.current?.refresh_token;
  if (token === undefined) return;
  await machineFetch({
    method: 'POST',
    url: `${config.publicOrigin}/oauth/revoke`,
    headers: {},
    form: new URLSearchParams({ token, client_id: client.memory.information?.client_id ?? '' }),
    timeoutMs: HOSTED_CLIENT_MS,
  });
}
