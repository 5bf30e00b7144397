import { describe, expect, it } from 'bun:test';
import { err, ok } from '../../app/base/result.ts';
import { Secret } from '../../app/base/secret.ts';
import type { ForgeFailure, ForgeUser } from '../../app/forge/forge.ts';
import { createTokenCheck, VERDICT_MS } from '../../app/forge/token-check.ts';
import { addAccount, open, signIn } from '../store/harness.ts';

const USER: ForgeUser = {
  ...{ id: 1, login: 'anna', fullName: 'Anna', isAdmin: false },
  ...{ active: true, prohibitLogin: false },
};
const DEAD: ForgeFailure = { kind: 'sign_in_again', detail: '401' };
const AWAY: ForgeFailure = { kind: 'try_later', detail: 'away' };

/** What the forge says to each token, and what becomes of a renewal. */
async function setUp(says: Record<string, ForgeUser | ForgeFailure>, renewal?: ForgeFailure) {
  const { store, clock, log } = open();
  await addAccount(store);
  const user = { id: 1, login: 'anna', isAdmin: false };
  const pair = (name: string) => ({
    accessToken: new Secret(name),
    refreshToken: new Secret('refresh'),
    accessExpiresAt: clock.now() + 3_600_000,
    refreshExpiresAt: clock.now() + 7_200_000,
  });
  await store.accounts.storeTokens(user, pair('old'));
  const asked: string[] = [];
  let renewals = 0;
  const check = createTokenCheck({
    forge: {
      user: async (token) => {
        asked.push(token.reveal());
        const answer = says[token.reveal()] ?? AWAY;
        return 'kind' in answer ? err(answer) : ok(answer);
      },
    },
    accounts: store.accounts,
    renew: async () => {
      renewals += 1;
      if (renewal !== undefined) return err(renewal);
      const { generation, accessExpiresAt } = await store.accounts.storeTokens(user, pair('new'));
      return ok({ token: new Secret('new'), expiresAt: accessExpiresAt, generation });
    },
    clock,
    log: log.log,
  });
  const state = async () => (await store.accounts.find(1))?.state;
  return { check, state, asked, clock, store, renewals: () => renewals };
}

describe('the question whether the forge still honours a token', () => {
  it('is answered by the forge, and asked once a minute unless it must be known now', async () => {
    const { check, asked, clock } = await setUp({ old: USER });
    expect(await check(1)).toBe('good');
    clock.advance(VERDICT_MS - 1);
    expect(await check(1)).toBe('unknown');
    expect(asked).toHaveLength(1);
    expect(await check(1, true)).toBe('good');
    clock.advance(VERDICT_MS);
    expect(await check(1)).toBe('good');
    expect(asked).toHaveLength(3);
  });

  it('is asked once by all who ask at the same time', async () => {
    const { check, asked } = await setUp({ old: USER });
    expect(await Promise.all([check(1, true), check(1, true)])).toEqual(['good', 'good']);
    expect(asked).toHaveLength(1);
  });

  it('signs nobody out while the forge is away', async () => {
    const { check, state } = await setUp({ old: AWAY });
    expect(await check(1)).toBe('unknown');
    expect(await state()).toBe('active');
  });

  it('has a dead token renewed once', async () => {
    const { check, state, renewals } = await setUp({ old: DEAD, new: USER });
    expect(await check(1)).toBe('renewed');
    expect(renewals()).toBe(1);
    expect(await state()).toBe('active');
  });

  it('asks for a sign-in when the renewed one is dead too', async () => {
    const { check, state, renewals } = await setUp({ old: DEAD, new: DEAD });
    expect(await check(1)).toBe('signed_out');
    expect(renewals()).toBe(1);
    expect(await state()).toBe('needs_sign_in');
  });

  it('leaves to the renewal who is signed out, and waits where that cannot be done', async () => {
    expect(await (await setUp({ old: DEAD }, DEAD)).check(1)).toBe('signed_out');
    expect(await (await setUp({ old: DEAD }, AWAY)).check(1)).toBe('unknown');
  });

  it('disables whom the forge has locked out, before and after a renewal', async () => {
    const locked = [
      { ...USER, active: false },
      { ...USER, prohibitLogin: true },
    ];
    for (const user of locked) {
      for (const says of [{ old: user }, { old: DEAD, new: user }]) {
        const { check, state } = await setUp(says);
        expect(await check(1)).toBe('signed_out');
        expect(await state()).toBe('disabled');
      }
    }
  });

  it('says so at once for an account that must sign in, without a call', async () => {
    const { check, store, asked } = await setUp({ old: USER });
    await store.accounts.setState(1, 'needs_sign_in', 2);
    expect(await check(1)).toBe('signed_out');
    expect(await check(2)).toBe('signed_out');
    expect(asked).toEqual([]);
  });
});

describe('accounts of people who are away', () => {
  it('are listed from half the life of their refresh token on, while a grant lives', async () => {
    const opened = open();
    const { store, clock } = opened;
    const grant = await signIn(opened);
    const now = clock.now();
    await store.accounts.storeTokens(
      { id: 1, login: 'anna', isAdmin: false },
      {
        accessToken: new Secret('a'),
        refreshToken: new Secret('r'),
        accessExpiresAt: now + 1000,
        refreshExpiresAt: now + 100_000,
      },
    );
    clock.advance(49_999);
    expect(await store.accounts.listHalfLived(10)).toEqual([]);
    clock.advance(1);
    expect((await store.accounts.listHalfLived(10)).map(({ id }) => id)).toEqual([1]);
    await store.grants.end(grant.id, 'revoked');
    expect(await store.accounts.listHalfLived(10)).toEqual([]);
  });
});
