import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import type { PersonStep } from '../../app/demo/person.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

let system: TestSystem;

beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system.stop());

/** Signs in with a new client; the titles of the pages on which the person pressed something. */
async function signIn(person: ReturnType<TestSystem['person']>, steps: PersonStep[]) {
  steps.length = 0;
  const client = system.client();
  await client.authorize(person);
  return { client, titles: steps.map((step) => step.page) };
}

describe('a sign-in at a Forgejo that behaves like the real one', () => {
  it('S1: asks here first, then Forgejo, then names the account; the second time only here', async () => {
    const steps: PersonStep[] = [];
    const person = system.person({ onStep: (step) => steps.push(step) });
    const host = new URL(system.forge.url).host;
    const first = await signIn(person, steps);
    expect(first.titles[0]).toBe(`Allow access to ${host}?`);
    expect(first.titles).toHaveLength(4);
    expect(first.titles.at(-1)).toBe('Connect as alice?');
    const second = await signIn(person, steps);
    expect(second.titles).toEqual([`Allow access to ${host}?`]);
    expect(second.client.memory.current?.scope).toBe('forgejo:read forgejo:write forgejo:delete');
  });

  it('tells the client when the person refuses', async () => {
    const client = system.client();
    const url = await client.startAuthorization();
    const back = await system.person({ consents: false }).authorize(url, client.memory.redirectUrl);
    expect(back.searchParams.get('error')).toBe('access_denied');
    expect(back.searchParams.get('iss')).toBe(system.origin);
  });

  it('refuses a disabled or prohibited person with a page and gives no code', async () => {
    for (const lockOut of ['disable', 'prohibit'] as const) {
      system.forge[lockOut]('bob');
      const person = system.person({ login: 'bob', password: 'workshop' });
      const client = system.client();
      const url = await client.startAuthorization();
      await expect(person.authorize(url, client.memory.redirectUrl)).rejects.toThrow(
        'may not sign in',
      );
      system.forge.allow('bob');
    }
  });

  it('shows a page while the token endpoint of Forgejo fails, in whichever way', async () => {
    for (const [fault, page] of [
      [{ kind: 'status', status: 500 }, 'Forgejo cannot be reached now'],
      [{ kind: 'status', status: 429 }, 'Forgejo cannot be reached now'],
      [{ kind: 'cut' }, 'Forgejo cannot be reached now'],
      [
        { kind: 'answer', status: 400, body: { error: 'unauthorized_client' } },
        'The sign-in did not work',
      ],
      [
        { kind: 'answer', status: 400, body: { error: 'invalid_client' } },
        'This server is not set up correctly',
      ],
    ] as const) {
      system.forge.faults.set(fault, { on: '/login/oauth/access_token' });
      const client = system.client();
      const url = await client.startAuthorization();
      const walk = system.person().authorize(url, client.memory.redirectUrl);
      await expect(walk).rejects.toThrow(page);
      system.forge.faults.clear();
    }
  });
});
