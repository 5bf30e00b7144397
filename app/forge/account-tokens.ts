import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { createMutex } from '../base/mutex.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { Secret } from '../base/secret.ts';
import type { Account, Accounts } from '../store/accounts.ts';
import type { Forge, ForgeFailure } from './forge.ts';
import {
  createTokenCalls,
  type FreshToken,
  type SignInFailure,
  STILL_GOOD_MS,
} from './token-calls.ts';
import { createTokenCheck, type TokenVerdict } from './token-check.ts';

export type { FreshToken, SignInFailure, TokenVerdict };

/** The upstream tokens of all accounts, behind one mutex over every token call. */
export interface AccountTokens {
  /**
   * Exchanges the code, asks the forge who it is and stores the pair before anyone uses it. The
   * caller is freed at the time-out (`try_later`); an answer that comes later is still stored.
   * Rejects with `StoreError` when the store fails.
   */
  signIn(code: Secret, codeVerifier: string): Promise<Result<Account, SignInFailure>>;
  /**
   * The account's upstream token, renewed first when it expires within `leadMs`. While it cannot be
   * renewed, for whatever reason that is not a refusal, a stored token that is good for another
   * five minutes is given as it is. Rejects with `StoreError` when the store fails.
   */
  fresh(accountId: number, leadMs: number): Promise<Result<FreshToken, ForgeFailure>>;
  /**
   * What the forge says of the stored token, asked at most once a minute for an account unless it is
   * to be asked `now`; `unknown` in between. Rejects with `StoreError`.
   */
  verify(accountId: number, now?: boolean): Promise<TokenVerdict>;
  /**
   * Renews a few of those whose refresh token has lived half its life, and who have a live grant;
   * `present` ones are renewed otherwise. Rejects with `StoreError`.
   */
  renewAbsent(present: ReadonlySet<number>): Promise<void>;
  /** Resolves when no token call is under way; the caller bounds its own wait. */
  idle(): Promise<void>;
  /** Whether token calls are made here; a login that comes back must not be taken while they are not. */
  readonly open: boolean;
  /**
   * Begins no further token call: another broker makes them from now on, and with rotation on two of
   * them would make each other's tokens invalid. Stored tokens are given as long as they are good.
   */
  pause(): void;
  /** Makes token calls again. */
  resume(): void;
}

export interface AccountTokensOptions {
  readonly forge: Pick<Forge, 'exchangeCode' | 'refresh' | 'user'>;
  readonly accounts: Accounts;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** How long a caller waits, the turns of others included. */
  readonly waitMs?: number;
  /** How many token calls may run or wait before further sign-ins are put off. */
  readonly queueMax?: number;
}

const WAIT_MS = 10_000;
const QUEUE_MAX = 100;

/** What a caller gets whose token call would come too late. */
const HANDED_OVER = err({ kind: 'try_later', detail: 'another broker takes over' } as const);

/** Renewals for people who are away, at once: sign-ins wait behind them. */
const ABSENT_MAX = 20;

export function createAccountTokens(options: AccountTokensOptions): AccountTokens {
  const { accounts, clock, log, metrics, waitMs = WAIT_MS, queueMax = QUEUE_MAX } = options;
  // One for all accounts: who signs in is known only after the exchange, and with rotation on that
  // exchange makes the refresh token of the same person's renewal invalid.
  const mutex = createMutex();
  const calls = createTokenCalls(options);
  let open = true;
  const renewals = new Map<number, Promise<Result<FreshToken, ForgeFailure>>>();
  const wait = boundedWait(clock, log, waitMs);

  /** Many callers, one renewal; it goes on when all of them have been freed. */
  const renewal = (accountId: number, seen: number) => {
    const running = renewals.get(accountId);
    if (running !== undefined) return running;
    if (!open) return Promise.resolve(HANDED_OVER);
    const started = mutex
      .run(() => calls.renew(accountId, seen))
      .finally(() => renewals.delete(accountId));
    renewals.set(accountId, started);
    return started;
  };

  const renew = ({ id, generation }: Pick<Account, 'id' | 'generation'>) =>
    wait('renewal', () => renewal(id, generation));

  return {
    verify: createTokenCheck({ ...options, renew }),

    async renewAbsent(present) {
      for (const account of await accounts.listHalfLived(ABSENT_MAX)) {
        if (present.has(account.id)) continue;
        const renewed = await renew(account);
        // The forge is away: the others would fail too.
        if (!renewed.ok && renewed.error.kind === 'try_later') return;
      }
    },

    async signIn(code, codeVerifier) {
      if (!open) return HANDED_OVER;
      // The code may be anybody's invention: renewals must not queue behind a heap of them.
      if (mutex.depth >= queueMax) {
        metrics.limitsReached.inc({ limit: 'token_calls' });
        return err({ kind: 'try_later', detail: 'too many token calls are waiting' });
      }
      return wait('sign_in', (isWanted) =>
        mutex.run(async () => {
          // The person has been told to try again, which brings another code.
          if (!isWanted()) return err({ kind: 'try_later', detail: 'nobody waits any more' });
          return calls.signIn(code, codeVerifier);
        }),
      );
    },

    async fresh(accountId, leadMs) {
      const stored = await accounts.tokensOf(accountId);
      if (stored === undefined) {
        return err({ kind: 'sign_in_again', detail: 'the account is not known' });
      }
      const { account, accessToken: token } = stored;
      if (account.state !== 'active') {
        return err({ kind: 'sign_in_again', detail: `the account is in state ${account.state}` });
      }
      const { accessExpiresAt: expiresAt, generation } = account;
      if (expiresAt - clock.now() > leadMs) return ok({ token, expiresAt, generation });
      const renewed = await renew(account);
      if (renewed.ok || renewed.error.kind === 'sign_in_again') return renewed;
      const goodForMs = expiresAt - clock.now();
      return goodForMs >= STILL_GOOD_MS ? ok({ token, expiresAt, generation }) : renewed;
    },

    idle: () => mutex.idle(),
    get open() {
      return open;
    },
    pause() {
      open = false;
    },
    resume() {
      open = true;
    },
  };
}

/**
 * Frees the caller after `waitMs` while the work goes on: an answer that comes late has rotated the
 * tokens all the same, and must be stored.
 */
function boundedWait(clock: Clock, log: Log, waitMs: number) {
  return <T, F>(
    what: string,
    work: (isWanted: () => boolean) => Promise<Result<T, F>>,
  ): Promise<Result<T, F | ForgeFailure>> => {
    let isWanted = true;
    return new Promise((resolve, reject) => {
      const cancel = clock.after(waitMs, () => {
        isWanted = false;
        resolve(err({ kind: 'try_later', detail: `no answer within ${waitMs} ms` }));
      });
      work(() => isWanted).then(
        (result) => {
          cancel();
          if (!isWanted) log.debug('forge.late_answer', { what, stored: result.ok });
          resolve(result);
        },
        (error: unknown) => {
          cancel();
          if (!isWanted) log.error('forge.late_answer_lost', { what, err: error });
          reject(error);
        },
      );
    });
  };
}
