import { type Clock, sleep } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { Secret } from '../base/secret.ts';
import type { Account, Accounts, AccountUser, UpstreamTokens } from '../store/accounts.ts';
import type { Forge, ForgeFailure, ForgeRefusal, ForgeUser } from './forge.ts';

/** Why a sign-in came to nothing. */
export type SignInFailure = ForgeFailure | ForgeRefusal;

/** An account's upstream access token, good until `expiresAt` (epoch milliseconds). */
export interface FreshToken {
  readonly token: Secret;
  readonly expiresAt: number;
  readonly generation: number;
}

/** The two token calls, each from the call to the store. Run one at a time, under the mutex. */
export interface TokenCalls {
  signIn(code: Secret, codeVerifier: string): Promise<Result<Account, SignInFailure>>;
  /** Renews the pair of generation `seen`; if a newer one is stored by now, gives that. */
  renew(accountId: number, seen: number): Promise<Result<FreshToken, ForgeFailure>>;
}

export interface TokenCallsOptions {
  readonly forge: Pick<Forge, 'exchangeCode' | 'refresh' | 'user'>;
  readonly accounts: Accounts;
  readonly clock: Clock;
  readonly log: Log;
}

/** A stored token with this much life left is worth more than an error. */
export const STILL_GOOD_MS = 5 * 60_000;

/** Waits between the questions who it is; with the tokens in hand, giving up is the last resort. */
export const USER_RETRY_DELAYS_MS = [250, 1000, 4000] as const;

export function createTokenCalls({ forge, accounts, clock, log }: TokenCallsOptions): TokenCalls {
  const pairs = createPairKeeper(accounts);
  return {
    async signIn(code, codeVerifier) {
      const answer = await forge.exchangeCode(code, codeVerifier);
      if (!answer.ok) return answer;
      const user = await askUser(forge, clock, answer.value.accessToken);
      if (!user.ok) return user;
      const { id, login, isAdmin, active, prohibitLogin } = user.value;
      if (!active || prohibitLogin) {
        await disable(accounts, id);
        return err({ kind: 'refused', reason: active ? 'prohibited' : 'inactive', login });
      }
      const account = await pairs.keep({ id, login, isAdmin }, answer.value);
      log.info('account.signed_in', { login, generation: account.generation });
      return ok(account);
    },

    async renew(accountId, seen) {
      await pairs.keepLeftover(accountId);
      const stored = await accounts.tokensOf(accountId);
      if (stored === undefined) return failure('sign_in_again', 'the account is not known');
      const { account } = stored;
      if (account.state !== 'active') {
        return failure('sign_in_again', `the account is in state ${account.state}`);
      }
      // A sign-in, or the keeping of an earlier pair, came first and left nothing to renew.
      const isNewer = account.generation !== seen;
      if (isNewer && account.accessExpiresAt - clock.now() >= STILL_GOOD_MS) {
        return ok(freshToken(account, stored.accessToken));
      }
      if (stored.refreshToken === null) {
        return refuse(accounts, log, account, 'there is no refresh token');
      }
      const answer = await forge.refresh(stored.refreshToken);
      if (answer.ok) {
        const renewed = await pairs.keep(account, answer.value);
        log.info('account.renewed', { login: account.login, generation: renewed.generation });
        return ok(freshToken(renewed, answer.value.accessToken));
      }
      if (answer.error.kind !== 'sign_in_again') return answer;
      return refuse(accounts, log, account, answer.error.detail);
    },
  };
}

/** The pair is lost if nobody can say whose it is, and with rotation on so is the one before it. */
async function askUser(
  forge: Pick<Forge, 'user'>,
  clock: Clock,
  accessToken: Secret,
): Promise<Result<ForgeUser, ForgeFailure | ForgeRefusal>> {
  for (const delayMs of USER_RETRY_DELAYS_MS) {
    const user = await forge.user(accessToken);
    if (user.ok || user.error.kind !== 'try_later') return user;
    await sleep(clock, delayMs);
  }
  return forge.user(accessToken);
}

/** What the account's connections hold must end too, not only this sign-in. */
async function disable(accounts: Accounts, id: number): Promise<void> {
  const known = await accounts.find(id);
  if (known !== undefined) await accounts.setState(id, 'disabled', known.generation);
}

/** A refusal counts only while the refused pair is still the stored one. */
async function refuse(
  accounts: Accounts,
  log: Log,
  { id, login, generation }: Account,
  detail: string,
): Promise<Result<FreshToken, ForgeFailure>> {
  if (await accounts.setState(id, 'needs_sign_in', generation)) {
    log.warn('account.needs_sign_in', { login, detail });
    return failure('sign_in_again', detail);
  }
  const newer = await accounts.tokensOf(id);
  if (newer?.account.state !== 'active') return failure('sign_in_again', detail);
  return ok(freshToken(newer.account, newer.accessToken));
}

/**
 * Stores pairs. One that the store could not take (a full disk) is kept for the next renewal, one
 * per Forgejo user: with rotation on, the pair in the store is dead by then.
 */
function createPairKeeper(accounts: Accounts) {
  const leftovers = new Map<number, { user: AccountUser; tokens: UpstreamTokens }>();
  const keep = async ({ id, login, isAdmin }: AccountUser, tokens: UpstreamTokens) => {
    const user = { id, login, isAdmin };
    leftovers.set(id, { user, tokens });
    const account = await accounts.storeTokens(user, tokens);
    leftovers.delete(id);
    return account;
  };
  return {
    keep,
    async keepLeftover(id: number): Promise<void> {
      const leftover = leftovers.get(id);
      if (leftover !== undefined) await keep(leftover.user, leftover.tokens);
    },
  };
}

function freshToken({ accessExpiresAt, generation }: Account, token: Secret): FreshToken {
  return { token, expiresAt: accessExpiresAt, generation };
}

function failure(kind: ForgeFailure['kind'], detail: string) {
  return err({ kind, detail });
}
