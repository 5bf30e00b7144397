import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Result } from '../base/result.ts';
import type { Account, Accounts } from '../store/accounts.ts';
import type { Forge, ForgeFailure } from './forge.ts';
import type { FreshToken } from './token-calls.ts';

/** What the forge itself says of a stored token; `renewed`: that one was dead, its successor is not. */
export type TokenVerdict = 'good' | 'renewed' | 'signed_out' | 'unknown';

/** How long an answer of the forge holds for one account. */
export const VERDICT_MS = 60_000;

/** Accounts whose last answer is remembered. */
const REMEMBERED_MAX = 10_000;

/**
 * Asks the forge whether it still honours an account's token: the person may have removed the
 * application, or the admin locked them out, and only the children would hear of it. A dead token
 * that has not expired is renewed once; then the account must sign in again. Rejects with `StoreError`.
 */
export function createTokenCheck(parts: {
  readonly forge: Pick<Forge, 'user'>;
  readonly accounts: Accounts;
  /** Renews whatever the expiry. */
  readonly renew: (account: Account) => Promise<Result<FreshToken, ForgeFailure>>;
  readonly clock: Clock;
  readonly log: Log;
}): (accountId: number, now?: boolean) => Promise<TokenVerdict> {
  const { forge, accounts, renew, clock, log } = parts;
  const asked = new Map<number, number>();
  const running = new Map<number, Promise<TokenVerdict>>();

  const refuse = async (
    { id, login, generation }: Pick<Account, 'id' | 'login' | 'generation'>,
    state: 'needs_sign_in' | 'disabled',
  ): Promise<TokenVerdict> => {
    // Only while it is about the stored pair: a sign-in may have come meanwhile.
    if (!(await accounts.setState(id, state, generation))) return 'unknown';
    log.warn(`account.${state}`, { login, detail: 'the forge does not honour the token' });
    return 'signed_out';
  };

  const ask = async (accountId: number): Promise<TokenVerdict> => {
    const stored = await accounts.tokensOf(accountId);
    if (stored === undefined || stored.account.state !== 'active') return 'signed_out';
    const { account } = stored;
    if (account.accessExpiresAt <= clock.now()) return 'unknown';
    const user = await forge.user(stored.accessToken);
    if (user.ok) return honours(user.value) ? 'good' : refuse(account, 'disabled');
    if (user.error.kind === 'refused') return refuse(account, 'disabled');
    if (user.error.kind !== 'sign_in_again') return 'unknown';
    const renewed = await renew(account);
    if (!renewed.ok) return renewed.error.kind === 'sign_in_again' ? 'signed_out' : 'unknown';
    const again = await forge.user(renewed.value.token);
    const present = { ...account, generation: renewed.value.generation };
    if (again.ok) return honours(again.value) ? 'renewed' : refuse(present, 'disabled');
    if (again.error.kind === 'refused') return refuse(present, 'disabled');
    return again.error.kind === 'sign_in_again' ? refuse(present, 'needs_sign_in') : 'unknown';
  };

  return (accountId, now = false) => {
    const current = running.get(accountId);
    if (current !== undefined) return current;
    const last = asked.get(accountId);
    if (!now && last !== undefined && clock.now() - last < VERDICT_MS) {
      return Promise.resolve('unknown');
    }
    asked.delete(accountId);
    asked.set(accountId, clock.now());
    const [oldest] = asked.keys();
    if (asked.size > REMEMBERED_MAX && oldest !== undefined) asked.delete(oldest);
    const verdict = ask(accountId).finally(() => running.delete(accountId));
    running.set(accountId, verdict);
    return verdict;
  };
}

function honours(user: { readonly active: boolean; readonly prohibitLogin: boolean }): boolean {
  return user.active && !user.prohibitLogin;
}
