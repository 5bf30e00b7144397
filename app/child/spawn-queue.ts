import type { Clock } from '../base/clock.ts';
import type { Metrics } from '../base/metrics.ts';
import { err, ok, type Result } from '../base/result.ts';

/** Of the places in the queue one account may have this part: the others' are not to be bought. */
export const SHARE_OF_ONE_ACCOUNT = 1 / 4;

/** A client that waits longer than this for a process is better told to come again. */
export const SPAWN_WAIT_MS_MAX = 10_000;

/** Gives the turn back; harmless when repeated. */
export type EndTurn = () => void;

/** Lets a few children start at a time: a herd of them would starve the sessions that run. */
export interface SpawnQueue {
  /**
   * Resolves when a child of this account may start; the turn is the caller's until it ends it.
   * `busy`: too many wait, of this account or of all, or it took longer than `SPAWN_WAIT_MS_MAX`.
   */
  turn(accountId: number): Promise<Result<EndTurn, 'busy'>>;
}

interface Waiter {
  readonly go: (turn: Result<EndTurn, 'busy'>) => void;
}

/**
 * Creates the queue for at most `concurrency` starts at once. Accounts take turns: who asks for ten
 * children makes another who asks for one wait for one of them, not for ten.
 */
export function createSpawnQueue(options: {
  readonly concurrency: number;
  /** Starts that may wait for their turn, of all accounts together. */
  readonly waitingMax: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
}): SpawnQueue {
  const { concurrency, waitingMax, clock, metrics } = options;
  const waitingPerAccountMax = Math.max(1, Math.floor(waitingMax * SHARE_OF_ONE_ACCOUNT));
  // A map keeps the order in which keys came: the account at its head is the next one.
  const queues = new Map<number, Waiter[]>();
  let running = 0;
  let waiting = 0;

  const setWaiting = (count: number): void => {
    waiting = count;
    metrics.spawnsWaiting.set(count);
  };

  const startTurn = (): EndTurn => {
    running += 1;
    let over = false;
    return () => {
      if (over) return;
      over = true;
      running -= 1;
      next();
    };
  };

  const next = (): void => {
    const [head] = queues;
    if (head === undefined) return;
    const [accountId, queue] = head;
    const waiter = queue.shift();
    queues.delete(accountId);
    if (queue.length > 0) queues.set(accountId, queue);
    setWaiting(waiting - 1);
    waiter?.go(ok(startTurn()));
  };

  const leave = (accountId: number, waiter: Waiter): void => {
    const queue = queues.get(accountId) ?? [];
    queue.splice(queue.indexOf(waiter), 1);
    if (queue.length === 0) queues.delete(accountId);
    setWaiting(waiting - 1);
  };

  const busy = (): Result<never, 'busy'> => {
    metrics.limitsReached.inc({ limit: 'SPAWN_CONCURRENCY' });
    return err('busy');
  };

  return {
    turn(accountId) {
      if (running < concurrency) return Promise.resolve(ok(startTurn()));
      const queue = queues.get(accountId) ?? [];
      if (waiting >= waitingMax || queue.length >= waitingPerAccountMax) {
        return Promise.resolve(busy());
      }
      return new Promise((resolve) => {
        const giveUp = clock.after(SPAWN_WAIT_MS_MAX, () => {
          leave(accountId, waiter);
          resolve(busy());
        });
        const waiter: Waiter = {
          go(turn) {
            giveUp();
            resolve(turn);
          },
        };
        queue.push(waiter);
        queues.set(accountId, queue);
        setWaiting(waiting + 1);
      });
    },
  };
}
