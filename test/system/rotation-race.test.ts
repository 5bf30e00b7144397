import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import type { DemoClient } from '../../app/demo/client.ts';
import type { DemoTokenAnswer } from '../../app/demo/forge-tokens.ts';
import { RawClient } from '../support/raw-client.ts';
import { tokenOf } from '../support/sign-in.ts';
import { startSystem, type TestSystem } from '../support/system.ts';
import { WatchedClock } from '../support/watched-clock.ts';

const TOKEN_ENDPOINT = '/login/oauth/access_token';

/** How long a caller waits for a token call, the turns of others included. */
const TOKEN_WAIT_MS = 10_000;

let system: TestSystem;
let clock: WatchedClock;
let issued: DemoTokenAnswer[];

beforeEach(async () => {
  issued = [];
  clock = new WatchedClock();
  system = await startSystem({
    clock,
    forge: {
      rotation: true,
      // Shorter than what a session needs: opening one renews the account's tokens.
      accessTtlS: 600,
      onTokens: (answer) => issued.push(answer),
    },
  });
});

afterEach(async () => {
  await system.stop();
});

async function signedIn(login = 'alice', password = 'wonderland'): Promise<DemoClient> {
  const client = system.client();
  await client.authorize(system.person({ login, password }));
  return client;
}

/** Opens a session with a renewed token, and asks the forge with it who this is. */
async function loginBehind(client: DemoClient): Promise<string> {
  const raw = new RawClient(system.mcpUrl, tokenOf(client));
  expect((await raw.initialize()).status).toBe(200);
  const text = await (await raw.call('get_my_user_info')).text();
  expect(text).toContain('login');
  return text.includes('alice') ? 'alice' : 'bob';
}

/**
 * Starts work that needs a token call, and resolves when it stands in the queue for it. If it did
 * not wait for its turn, it would be done by then: the forge answers many others meanwhile.
 */
async function queued<T>(work: () => Promise<T>): Promise<{ readonly done: Promise<T> }> {
  const before = clock.planned(TOKEN_WAIT_MS);
  const done = work();
  await clock.untilPlanned(TOKEN_WAIT_MS, before + 1);
  for (let others = 0; others < 50; others += 1) {
    await fetch(`${system.forge.url}/api/v1/version`);
  }
  return { done };
}

/** Nobody was signed out: both grants refresh, both renew once more, and the forge agrees. */
async function expectNobodySignedOut(...clients: DemoClient[]): Promise<void> {
  for (const client of clients) {
    await client.refresh();
    expect(await loginBehind(client)).toBe('alice');
  }
  const log = system.logLines.join('');
  expect(log).not.toContain('account.needs_sign_in');
  expect(log).not.toContain('forge.token_refused');
  expect(system.forge.honours(issued.at(-1)?.refresh_token ?? '')).toBe(true);
}

function holdOneAnswer() {
  return system.forge.faults.set({ kind: 'hold' }, { on: TOKEN_ENDPOINT, times: 1 });
}

describe('a renewal and a sign-in of one person at the same time, with rotation', () => {
  it('sign nobody out when the renewal was first', async () => {
    const first = await signedIn();
    const second = system.client();
    const held = holdOneAnswer();
    const renewal = loginBehind(first);
    await held.reached;
    const signIn = await queued(() => second.authorize(system.person()));
    held.release();

    expect(await renewal).toBe('alice');
    await signIn.done;
    await expectNobodySignedOut(first, second);
  });

  it('sign nobody out when the sign-in was first', async () => {
    const first = await signedIn();
    const second = system.client();
    const held = holdOneAnswer();
    const signIn = second.authorize(system.person());
    await held.reached;
    const renewal = await queued(() => loginBehind(first));
    held.release();

    await signIn;
    expect(await renewal.done).toBe('alice');
    await expectNobodySignedOut(first, second);
  });

  it('sign nobody out when many come at once, another person among them', async () => {
    const first = await signedIn();
    const bobs = await signedIn('bob', 'workshop');
    const others = [system.client(), system.client(), system.client()];
    const logins = await Promise.all([
      ...[first, bobs, first, first].map(loginBehind),
      ...others.map(async (client) => {
        await client.authorize(system.person());
        return loginBehind(client);
      }),
      loginBehind(first),
    ]);
    expect(logins.map((login) => login === 'bob')).toEqual(
      Array.from({ length: 8 }, (_, index) => index === 1),
    );
    expect(await loginBehind(bobs)).toBe('bob');
    await expectNobodySignedOut(first, ...others);
  });
});
