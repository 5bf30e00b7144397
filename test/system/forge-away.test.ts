import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import type { DemoClient } from '../../app/demo/client.ts';
import type { DemoFault, DemoFaultReach } from '../../app/demo/forge-faults.ts';
import type { Person } from '../../app/demo/person.ts';
import { linksOf, pageText } from '../support/internals.ts';
import { tokenOf } from '../support/sign-in.ts';
import { SkippingClock } from '../support/skipping-clock.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

const TOKEN_ENDPOINT = { on: '/login/oauth/access_token' };
const USER_ENDPOINT = { on: '/api/v1/user' };
let clock: SkippingClock;
let system: TestSystem;

beforeEach(async () => {
  clock = new SkippingClock();
  system = await startSystem({ clock });
});

afterEach(async () => {
  await system.stop();
});

interface Stuck {
  readonly client: DemoClient;
  readonly person: Person;
  /** The answer to the callback, on which the browser stands. */
  readonly response: Response;
}

/**
 * A sign-in whose forge fails in the moment in which it has sent the person back with a code; with
 * `stepMs`, the time that the broker waits for it passes in such steps.
 */
async function stuckSignIn(
  fault: DemoFault,
  reach: DemoFaultReach = {},
  stepMs?: number,
): Promise<Stuck> {
  let response: Response | undefined;
  const person = system.person({
    fetch: async (url, init) => {
      if (new URL(url).pathname !== '/oauth/callback' || response !== undefined) {
        return fetch(url, init);
      }
      system.forge.faults.set(fault, reach);
      const answering = fetch(url, init);
      response = (await (stepMs === undefined ? answering : hurried(answering, stepMs))).clone();
      return answering;
    },
  });
  const client = system.client();
  const url = await client.startAuthorization();
  await expect(person.authorize(url, client.memory.redirectUrl)).rejects.toThrow('stuck');
  if (response === undefined) throw new Error('the forge never sent the person back');
  return { client, person, response };
}

/** Lets time pass quickly, in steps, until the work is done. */
async function hurried<T>(work: Promise<T>, stepMs: number): Promise<T> {
  let done = false;
  const end = work.finally(() => {
    done = true;
  });
  while (!done) {
    clock.skip(stepMs);
    await Bun.sleep(2);
  }
  return end;
}

/** The page says what is wrong and offers a way that works once the forge is back. */
async function expectRetryThatWorks({ client, person, response }: Stuck): Promise<void> {
  expect(response.status).toBe(503);
  expect(response.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  const page = await pageText(response);
  expect(page).toContain('Forgejo cannot be reached now');
  expect(page).toContain(new URL(system.forge.url).host);
  const retry = new URL(linksOf(page).get('Try again') ?? '');
  expect(retry.origin).toBe(system.origin);

  system.forge.faults.clear();
  await client.finishAuthorization(await person.authorize(retry, client.memory.redirectUrl));
  expect(tokenOf(client)).not.toBe('');
  const sdk = await client.connect();
  const result = await sdk.callTool({ name: 'get_my_user_info', arguments: {} });
  expect(JSON.stringify(result.content)).toContain('alice');
  await client.close();
}

describe('a sign-in whose forge goes down', () => {
  const faults: DemoFault[] = [
    { kind: 'refuse' },
    { kind: 'status', status: 500 },
    { kind: 'status', status: 429 },
    { kind: 'html' },
    { kind: 'cut' },
    { kind: 'hold' },
  ];
  for (const fault of faults) {
    const name = fault.kind === 'status' ? `${fault.kind} ${fault.status}` : fault.kind;
    it(`shows a readable page with a retry that works later (${name})`, async () => {
      const reach = fault.kind === 'refuse' ? {} : TOKEN_ENDPOINT;
      await expectRetryThatWorks(
        await stuckSignIn(fault, reach, fault.kind === 'hold' ? 1000 : undefined),
      );
    });
  }

  it('shows it too when the forge does not say whose the tokens are', async () => {
    await expectRetryThatWorks(
      await stuckSignIn({ kind: 'status', status: 500 }, USER_ENDPOINT, 50),
    );
  });
});

describe('a sign-in that no waiting cures', () => {
  it('shows a page for the administrator to be told of, without a retry', async () => {
    const body = { error: 'invalid_client', error_description: 'invalid client secret' };
    const { response } = await stuckSignIn({ kind: 'answer', status: 400, body }, TOKEN_ENDPOINT);
    expect(response.status).toBe(502);
    const page = await pageText(response);
    expect(page).toContain('administrator');
    expect(linksOf(page).size).toBe(0);
    expect(page).not.toContain('secret');
  });

  it('shows a person that the forge locks out why, and a way back to the application', async () => {
    const { response } = await stuckSignIn(
      { kind: 'edit', edit: (user) => ({ ...user, prohibit_login: true }) },
      USER_ENDPOINT,
    );
    expect(response.status).toBe(403);
    const page = await pageText(response);
    expect(page).toContain('alice');
    const back = new URL(linksOf(page).get('Back to the application') ?? '');
    expect(back.searchParams.get('error')).toBe('access_denied');
    expect(back.searchParams.get('iss')).toBe(system.origin);
  });
});
