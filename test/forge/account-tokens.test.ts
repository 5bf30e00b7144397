import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import type { Clock } from '../../app/base/clock.ts';
import { err } from '../../app/base/result.ts';
import { Secret } from '../../app/base/secret.ts';
import type { DemoForgeEvent } from '../../app/demo/forge-event.ts';
import {
  type AccountTokens,
  type AccountTokensOptions,
  createAccountTokens,
} from '../../app/forge/account-tokens.ts';
import { TOKEN_CALL_MAX_MS } from '../../app/forge/forgejo.ts';
import { USER_RETRY_DELAYS_MS } from '../../app/forge/token-calls.ts';
import { StoreError } from '../../app/store/store-error.ts';
import { MINUTE, type Opened, open } from '../store/harness.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  type ForgeSetup,
  setUpForge,
  succeeded,
  TOKEN_PATH,
  USER_PATH,
  VERIFIER,
} from './setup.ts';

const WAIT_MS = 10_000;
const ALICE = 1;
const BOB = 2;
const LEAD_MS = 5 * MINUTE;

let clock: FakeClock;
let setup: ForgeSetup;
let opened: Opened;
let tokens: AccountTokens;
let events: DemoForgeEvent['kind'][];

beforeEach(async () => {
  clock = new FakeClock();
  events = [];
  // Rotation on, everywhere: what works under it works without it.
  setup = await setUpForge(
    { clock, rotation: true, onEvent: (event) => events.push(event.kind) },
    {},
    clock,
  );
  opened = open({ clock });
  tokens = create();
});

afterEach(async () => {
  await setup.demo.stop();
  await opened.store.close();
});

function create(options: Partial<AccountTokensOptions> = {}): AccountTokens {
  return createAccountTokens({
    forge: setup.forge,
    accounts: opened.store.accounts,
    clock,
    log: setup.logged.log,
    metrics: setup.metrics,
    ...options,
  });
}

async function signIn(login: string) {
  return succeeded(await tokens.signIn(await setup.code(login), VERIFIER));
}

/** Lets time pass until the tokens of the last sign-in have that long to live. */
function leaveToLive(ms: number): void {
  clock.advance(60 * MINUTE - ms);
}

async function stored(id = ALICE) {
  const row = await opened.store.accounts.tokensOf(id);
  if (row === undefined) throw new Error(`account ${id} is not stored`);
  return row;
}

/** The account is signed in and Forgejo takes the refresh token that is stored for it. */
async function expectSignedIn(id = ALICE): Promise<void> {
  const { account, accessToken, refreshToken } = await stored(id);
  expect(account.state).toBe('active');
  expect(setup.demo.honours(refreshToken?.reveal() ?? '')).toBe(true);
  expect(setup.demo.honours(accessToken.reveal())).toBe(true);
}

/** The token calls that Forgejo answered, in its order. */
function tokenCalls(): DemoForgeEvent['kind'][] {
  const kinds = ['tokens_issued', 'tokens_renewed', 'token_call_refused'];
  return events.filter((kind) => kinds.includes(kind));
}

describe('a sign-in', () => {
  it('is refused for a used code, and stores nothing', async () => {
    const code = await setup.code('alice');
    await setup.forge.exchangeCode(code, VERIFIER);
    const answer = await tokens.signIn(code, VERIFIER);
    expect(answer).toMatchObject({ ok: false, error: { kind: 'sign_in_again' } });
    expect(await opened.store.accounts.find(ALICE)).toBeUndefined();
  });

  it.each(['inactive', 'prohibited'] as const)(
    'refuses a user who is %s, by name',
    async (reason) => {
      if (reason === 'inactive') setup.demo.disable('bob');
      else setup.demo.prohibit('bob');
      const answer = await tokens.signIn(await setup.code('bob'), VERIFIER);
      expect<unknown>(answer).toEqual({
        ok: false,
        error: { kind: 'refused', reason, login: 'bob' },
      });
      expect(await opened.store.accounts.find(BOB)).toBeUndefined();
    },
  );

  it('closes the account of a known user who is locked out, until the lock is lifted', async () => {
    await signIn('bob');
    setup.demo.prohibit('bob');
    await tokens.signIn(await setup.code('bob'), VERIFIER);
    expect((await stored(BOB)).account.state).toBe('disabled');
    expect(await tokens.fresh(BOB, 0)).toMatchObject({ error: { kind: 'sign_in_again' } });
    setup.demo.allow('bob');
    await signIn('bob');
    await expectSignedIn(BOB);
  });

  it('stores the pair before it is used, and who it is by the word of the API alone', async () => {
    expect(await signIn('alice')).toMatchObject({
      id: ALICE,
      login: 'alice',
      isAdmin: true,
      state: 'active',
      generation: 1,
    });
    await expectSignedIn();
    await signIn('bob');
    await expectSignedIn(BOB);
    await expectSignedIn();
  });

  it('keeps the older refresh token when the answer has none', async () => {
    await signIn('alice');
    const before = (await stored()).refreshToken?.reveal();
    const edit = ({ refresh_token, ...body }: Record<string, unknown>) => body;
    setup.demo.faults.set({ kind: 'edit', edit }, { on: TOKEN_PATH });
    await signIn('alice');
    expect((await stored()).refreshToken?.reveal()).toBe(before);
  });

  it('is put off when too many token calls wait already; a renewal is not', async () => {
    await signIn('alice');
    leaveToLive(MINUTE);
    tokens = create({ queueMax: 1 });
    const held = setup.demo.faults.set({ kind: 'hold' }, { on: TOKEN_PATH, times: 1 });
    const first = tokens.signIn(await setup.code('bob'), VERIFIER);
    await held.reached;
    const renewal = tokens.fresh(ALICE, LEAD_MS);
    const beyond = await tokens.signIn(new Secret('another'), VERIFIER);
    expect(beyond).toMatchObject({ ok: false, error: { kind: 'try_later' } });
    held.release();
    expect(await first).toMatchObject({ ok: true });
    expect(await renewal).toMatchObject({ ok: true });
    expect((await setup.metrics.limitsReached.get()).values).toMatchObject([
      { value: 1, labels: { limit: 'token_calls' } },
    ]);
  });
});

describe('a sign-in whose person cannot be asked for at once', () => {
  let waits: number[];
  /** Lets the pauses between questions pass at once, and nothing else. */
  const patient = (): Clock => ({
    now: () => clock.now(),
    every: (periodMs, run) => clock.every(periodMs, run),
    after(delayMs, run) {
      if (!USER_RETRY_DELAYS_MS.some((ms) => ms === delayMs)) return clock.after(delayMs, run);
      waits.push(delayMs);
      queueMicrotask(run);
      return () => undefined;
    },
  });

  beforeEach(() => {
    waits = [];
    tokens = create({ clock: patient() });
  });

  it('asks again and again, since the tokens would be lost', async () => {
    const times = USER_RETRY_DELAYS_MS.length;
    setup.demo.faults.set({ kind: 'status', status: 502 }, { on: USER_PATH, times });
    await signIn('alice');
    await expectSignedIn();
    expect(waits).toEqual([...USER_RETRY_DELAYS_MS]);
  });

  it('asks a bounded number of times', async () => {
    setup.demo.faults.set({ kind: 'status', status: 502 }, { on: USER_PATH });
    const answer = await tokens.signIn(await setup.code('alice'), VERIFIER);
    expect(answer).toMatchObject({ ok: false, error: { kind: 'try_later' } });
    expect(setup.demo.count(USER_PATH)).toBe(USER_RETRY_DELAYS_MS.length + 1);
  });

  it('does not ask again when the answer is no', async () => {
    const body = { message: 'This account is prohibited from signing in' };
    setup.demo.faults.set({ kind: 'answer', status: 403, body }, { on: USER_PATH });
    const answer = await tokens.signIn(await setup.code('alice'), VERIFIER);
    expect<unknown>(answer).toEqual({
      ok: false,
      error: { kind: 'refused', reason: 'prohibited', login: null },
    });
    expect(waits).toEqual([]);
  });

  it('asks under the mutex: nobody renews in between', async () => {
    await signIn('bob');
    leaveToLive(MINUTE);
    const seen = setup.demo.requests.length;
    const code = await setup.code('alice');
    const fault = setup.demo.faults.set(
      { kind: 'status', status: 502 },
      { on: USER_PATH, times: 2 },
    );
    const entering = tokens.signIn(code, VERIFIER);
    await fault.reached;
    await Promise.all([entering, tokens.fresh(BOB, LEAD_MS)]);
    const calls = setup.demo.requests.slice(seen).map(({ path }) => path);
    expect(calls.slice(-5)).toEqual([TOKEN_PATH, USER_PATH, USER_PATH, USER_PATH, TOKEN_PATH]);
    await expectSignedIn();
    await expectSignedIn(BOB);
  });
});

describe('a renewal', () => {
  beforeEach(async () => {
    await signIn('alice');
  });

  it('is not made for an account that nobody knows', async () => {
    expect(await tokens.fresh(77, LEAD_MS)).toMatchObject({ error: { kind: 'sign_in_again' } });
    expect(tokenCalls()).toEqual(['tokens_issued']);
  });

  it('is not made while the token lives longer than the lead, and is at the lead', async () => {
    leaveToLive(LEAD_MS + 1);
    const before = await stored();
    expect(succeeded(await tokens.fresh(ALICE, LEAD_MS))).toMatchObject({
      expiresAt: before.account.accessExpiresAt,
      generation: 1,
    });
    clock.advance(1);
    expect(succeeded(await tokens.fresh(ALICE, LEAD_MS))).toMatchObject({
      expiresAt: clock.now() + 60 * MINUTE,
      generation: 2,
    });
    expect(tokenCalls()).toEqual(['tokens_issued', 'tokens_renewed']);
    await expectSignedIn();
  });

  it('is one for many callers', async () => {
    leaveToLive(MINUTE);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => tokens.fresh(ALICE, LEAD_MS)),
    );
    const given = new Set(answers.map((answer) => succeeded(answer).token.reveal()));
    expect([...given]).toEqual([(await stored()).accessToken.reveal()]);
    expect(tokenCalls()).toEqual(['tokens_issued', 'tokens_renewed']);
  });

  it('is one for many callers also when it fails', async () => {
    leaveToLive(MINUTE);
    const before = setup.demo.count(TOKEN_PATH);
    setup.demo.faults.set({ kind: 'status', status: 503 });
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => tokens.fresh(ALICE, LEAD_MS)),
    );
    expect(answers.every((answer) => !answer.ok && answer.error.kind === 'try_later')).toBe(true);
    expect(setup.demo.count(TOKEN_PATH)).toBe(before + 1);
  });

  it('that Forgejo refuses makes the account need a sign-in, and is not tried again', async () => {
    leaveToLive(30 * MINUTE);
    setup.demo.revokeGrant('alice');
    const first = await tokens.fresh(ALICE, 31 * MINUTE);
    expect(first).toMatchObject({ ok: false, error: { kind: 'sign_in_again' } });
    expect((await stored()).account.state).toBe('needs_sign_in');
    const second = await tokens.fresh(ALICE, 0);
    expect(second).toMatchObject({ ok: false, error: { kind: 'sign_in_again' } });
    expect(tokenCalls()).toEqual(['tokens_issued', 'token_call_refused']);
    await signIn('alice');
    await expectSignedIn();
  });

  it('that is refused after the generation has changed is no refusal', async () => {
    leaveToLive(MINUTE);
    const { accounts } = opened.store;
    tokens = create({
      forge: {
        ...setup.forge,
        // Another broker on this store (a hand-over) signs the person in meanwhile.
        async refresh() {
          await accounts.storeTokens(
            { id: ALICE, login: 'alice', isAdmin: true },
            {
              accessToken: new Secret('newer access'),
              refreshToken: new Secret('newer refresh'),
              accessExpiresAt: clock.now() + 60 * MINUTE,
              refreshExpiresAt: null,
            },
          );
          return err({ kind: 'sign_in_again', detail: 'token was already used' });
        },
      },
    });
    const fresh = succeeded(await tokens.fresh(ALICE, LEAD_MS));
    expect(fresh.token.reveal()).toBe('newer access');
    expect((await stored()).account).toMatchObject({ state: 'active', generation: 2 });
  });

  it('without a refresh token needs a sign-in', async () => {
    const edit = ({ refresh_token, ...body }: Record<string, unknown>) => body;
    setup.demo.faults.set({ kind: 'edit', edit }, { on: TOKEN_PATH });
    await signIn('bob');
    leaveToLive(MINUTE);
    expect(await tokens.fresh(BOB, LEAD_MS)).toMatchObject({ error: { kind: 'sign_in_again' } });
    expect((await stored(BOB)).account.state).toBe('needs_sign_in');
  });

  it.each([
    ['429', { kind: 'status', status: 429 }, 'try_later'],
    ['500', { kind: 'status', status: 500 }, 'try_later'],
    ['HTML with 200', { kind: 'html' }, 'try_later'],
    ['a closed port', { kind: 'refuse' }, 'try_later'],
    ['a redirect', { kind: 'redirect', location: 'http://127.0.0.1:1/' }, 'misconfigured'],
    [
      'a wrong secret',
      { kind: 'answer', status: 400, body: { error: 'invalid_client' } },
      'misconfigured',
    ],
  ] as const)('that meets %s changes nothing', async (_, fault, kind) => {
    leaveToLive(LEAD_MS - 1);
    const before = await stored();
    setup.demo.faults.set(fault);
    expect(await tokens.fresh(ALICE, LEAD_MS)).toMatchObject({ ok: false, error: { kind } });
    expect((await stored()).account).toEqual(before.account);
    setup.demo.faults.clear();
    expect(await tokens.fresh(ALICE, LEAD_MS)).toMatchObject({ ok: true });
    await expectSignedIn();
  });

  it('that cannot be made gives the stored token while that is good for five minutes', async () => {
    leaveToLive(LEAD_MS);
    const before = await stored();
    setup.demo.faults.set({ kind: 'status', status: 503 });
    const given = succeeded(await tokens.fresh(ALICE, 30 * MINUTE));
    expect(given.token.reveal()).toBe(before.accessToken.reveal());
    clock.advance(1);
    const late = await tokens.fresh(ALICE, 30 * MINUTE);
    expect(late).toMatchObject({ ok: false, error: { kind: 'try_later' } });
  });

  it('whose pair finds the disk full is not lost: the next one stores it', async () => {
    leaveToLive(MINUTE);
    let failures = 1;
    const { accounts } = opened.store;
    tokens = create({
      accounts: {
        find: (id) => accounts.find(id),
        tokensOf: (id) => accounts.tokensOf(id),
        listHalfLived: (limit) => accounts.listHalfLived(limit),
        setState: (id, state, generation) => accounts.setState(id, state, generation),
        async storeTokens(user, pair) {
          if (failures > 0) {
            failures -= 1;
            throw new StoreError('full');
          }
          return accounts.storeTokens(user, pair);
        },
      },
    });
    await expect(tokens.fresh(ALICE, LEAD_MS)).rejects.toBeInstanceOf(StoreError);
    expect((await stored()).account.generation).toBe(1);
    expect(succeeded(await tokens.fresh(ALICE, LEAD_MS)).generation).toBe(2);
    expect(tokenCalls()).toEqual(['tokens_issued', 'tokens_renewed']);
    await expectSignedIn();
  });
});

describe('a renewal that races a sign-in, with rotation on', () => {
  beforeEach(async () => {
    await signIn('alice');
    leaveToLive(MINUTE);
    events.length = 0;
  });

  it('signs nobody out when the renewal comes first', async () => {
    const code = await setup.code('alice');
    const held = setup.demo.faults.set({ kind: 'hold' }, { on: TOKEN_PATH, times: 1 });
    const renewal = tokens.fresh(ALICE, LEAD_MS);
    await held.reached;
    const entering = tokens.signIn(code, VERIFIER);
    held.release();
    expect(await renewal).toMatchObject({ ok: true, value: { generation: 2 } });
    expect(await entering).toMatchObject({ ok: true, value: { generation: 3 } });
    expect(tokenCalls()).toEqual(['tokens_renewed', 'tokens_issued']);
    await expectSignedIn();
  });

  it('signs nobody out when the sign-in comes first, and renews no more', async () => {
    const code = await setup.code('alice');
    const held = setup.demo.faults.set({ kind: 'hold' }, { on: TOKEN_PATH, times: 1 });
    const entering = tokens.signIn(code, VERIFIER);
    await held.reached;
    const renewal = tokens.fresh(ALICE, LEAD_MS);
    held.release();
    expect(await entering).toMatchObject({ ok: true, value: { generation: 2 } });
    expect(await renewal).toMatchObject({ ok: true, value: { generation: 2 } });
    expect(tokenCalls()).toEqual(['tokens_issued']);
    await expectSignedIn();
  });

  it('would sign the person out without the mutex: the demo forge means it', async () => {
    const { refreshToken } = await stored();
    const old = refreshToken ?? new Secret('');
    const code = await setup.code('alice');
    expect(await setup.forge.exchangeCode(code, VERIFIER)).toMatchObject({ ok: true });
    expect(await setup.forge.refresh(old)).toMatchObject({ error: { kind: 'sign_in_again' } });
  });

  it('signs nobody out in any crowd of renewals and sign-ins', async () => {
    await signIn('bob');
    for (let round = 0; round < 8; round += 1) {
      leaveToLive(MINUTE);
      const codes = [await setup.code('alice'), await setup.code('bob'), await setup.code('alice')];
      const crowd = codes.flatMap((code, index) => {
        const entering = () => tokens.signIn(code, VERIFIER);
        const renewing = () => tokens.fresh(index === 1 ? BOB : ALICE, LEAD_MS);
        return round % 2 === 0 ? [entering, renewing, renewing] : [renewing, entering, renewing];
      });
      const answers = await Promise.all(crowd.map((start) => start()));
      expect(answers.every(({ ok }) => ok)).toBe(true);
      await expectSignedIn();
      await expectSignedIn(BOB);
    }
  });
});

describe('a token call that takes too long', () => {
  beforeEach(async () => {
    await signIn('alice');
    leaveToLive(MINUTE);
    events.length = 0;
  });

  it('frees the one who waits, and is stored all the same when it answers late', async () => {
    const held = setup.demo.faults.set({ kind: 'hold' }, { on: TOKEN_PATH, times: 1 });
    const renewal = tokens.fresh(ALICE, LEAD_MS);
    await held.reached;
    clock.advance(WAIT_MS);
    expect(await renewal).toMatchObject({ ok: false, error: { kind: 'try_later' } });
    expect((await stored()).account.generation).toBe(1);
    held.release();
    await tokens.idle();
    expect((await stored()).account.generation).toBe(2);
    await expectSignedIn();
  });

  it('stores a late sign-in too', async () => {
    const code = await setup.code('bob');
    const held = setup.demo.faults.set({ kind: 'hold' }, { on: TOKEN_PATH, times: 1 });
    const entering = tokens.signIn(code, VERIFIER);
    await held.reached;
    clock.advance(WAIT_MS);
    expect(await entering).toMatchObject({ ok: false, error: { kind: 'try_later' } });
    held.release();
    await tokens.idle();
    await expectSignedIn(BOB);
  });

  it('keeps the mutex until its late answer is stored: no sign-in gets in between', async () => {
    const code = await setup.code('alice');
    const held = setup.demo.faults.set({ kind: 'hold' }, { on: TOKEN_PATH, times: 1 });
    const renewal = tokens.fresh(ALICE, LEAD_MS);
    await held.reached;
    clock.advance(WAIT_MS);
    await renewal;
    const entering = tokens.signIn(code, VERIFIER);
    held.release();
    expect(await entering).toMatchObject({ ok: true, value: { generation: 3 } });
    expect(tokenCalls()).toEqual(['tokens_renewed', 'tokens_issued']);
    await expectSignedIn();
  });

  it('spends no code for a person who has been sent away while it waited its turn', async () => {
    const held = setup.demo.faults.set({ kind: 'hold' }, { on: TOKEN_PATH, times: 1 });
    const renewal = tokens.fresh(ALICE, LEAD_MS);
    await held.reached;
    const entering = tokens.signIn(await setup.code('bob'), VERIFIER);
    clock.advance(WAIT_MS);
    expect(await entering).toMatchObject({ ok: false, error: { kind: 'try_later' } });
    await renewal;
    held.release();
    await tokens.idle();
    expect(tokenCalls()).toEqual(['tokens_renewed']);
    expect(await opened.store.accounts.find(BOB)).toBeUndefined();
  });

  it('gives the mutex back at the hard limit, and a sign-in heals what was lost', async () => {
    const code = await setup.code('alice');
    const held = setup.demo.faults.set({ kind: 'hold' }, { on: TOKEN_PATH, times: 1 });
    const renewal = tokens.fresh(ALICE, LEAD_MS);
    await held.reached;
    clock.advance(TOKEN_CALL_MAX_MS - WAIT_MS / 2);
    expect(await renewal).toMatchObject({ ok: false, error: { kind: 'try_later' } });
    const entering = tokens.signIn(code, VERIFIER);
    clock.advance(WAIT_MS / 2 - 1);
    expect(tokenCalls()).toEqual(['tokens_renewed']);
    clock.advance(1);
    expect(await entering).toMatchObject({ ok: true, value: { generation: 2 } });
    await tokens.idle();
    await expectSignedIn();
  });

  it('leaves no timer behind', async () => {
    succeeded(await tokens.fresh(ALICE, LEAD_MS));
    await tokens.idle();
    expect(clock.pending).toBe(0);
  });
});

describe('tokens that another broker renews from now on', () => {
  it('are given as long as they are good, and no token call is made', async () => {
    await signIn('alice');
    tokens.pause();
    expect(tokens.open).toBe(false);
    const before = tokenCalls().length;
    leaveToLive(10 * MINUTE);
    expect(await tokens.fresh(ALICE, 15 * MINUTE)).toMatchObject({ ok: true });
    leaveToLive(MINUTE);
    expect(await tokens.fresh(ALICE, 15 * MINUTE)).toMatchObject({ error: { kind: 'try_later' } });
    const code = await setup.code('bob');
    expect(await tokens.signIn(code, VERIFIER)).toMatchObject({ error: { kind: 'try_later' } });
    expect(tokenCalls()).toHaveLength(before);
    // The code was not spent: it is good with the other broker.
    tokens.resume();
    expect(await tokens.signIn(code, VERIFIER)).toMatchObject({ ok: true });
    expect(await tokens.fresh(ALICE, 15 * MINUTE)).toMatchObject({ ok: true });
  });

  it('the calls that are on their way end, and idle tells when', async () => {
    await signIn('alice');
    leaveToLive(MINUTE);
    const renewal = tokens.fresh(ALICE, 15 * MINUTE);
    await Promise.resolve();
    tokens.pause();
    await tokens.idle();
    expect(await renewal).toMatchObject({ ok: true });
    await expectSignedIn();
  });
});

describe('the log', () => {
  it('S10: names people and failures, and no token', async () => {
    await signIn('alice');
    const first = await stored();
    leaveToLive(MINUTE);
    succeeded(await tokens.fresh(ALICE, LEAD_MS));
    setup.demo.revokeGrant('alice');
    leaveToLive(MINUTE);
    await tokens.fresh(ALICE, LEAD_MS);
    const second = await stored();
    expect(setup.logged.of('account.needs_sign_in')).toMatchObject([
      { level: 'warn', login: 'alice' },
    ]);
    for (const row of [first, second]) {
      expect(setup.logged.text()).not.toContain(row.accessToken.reveal());
      expect(setup.logged.text()).not.toContain(row.refreshToken?.reveal() ?? '');
    }
  });
});
