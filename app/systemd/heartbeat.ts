import type { Cancel, Clock } from '../base/clock.ts';
import type { ServiceManager } from './service-manager.ts';

/** How often the status line is looked at. */
const STATUS_MS = 10_000;

/** Signs of life within the time after which the manager takes the process for hung. */
const BEATS = 3;

/**
 * Tells the manager that the process lives and what it does, until it is cancelled. A sign of life
 * needs a free event loop and a store that answers: whoever waits for either is better served by a
 * broker that was started again.
 */
export function keepHeartbeat(parts: {
  readonly manager: Pick<ServiceManager, 'alive' | 'status' | 'watchdogMs'>;
  readonly clock: Clock;
  /** Whether the store answers; it need not take writes, a full disk is not cured by a start. */
  readonly storeAnswers: () => Promise<boolean>;
  readonly status: () => string;
}): Cancel {
  const { manager, clock, storeAnswers } = parts;
  const { watchdogMs } = manager;
  let told = '';
  const tell = (): void => {
    const status = parts.status();
    if (status === told) return;
    told = status;
    manager.status(status);
  };
  const beat = (): void => {
    void storeAnswers().then((answers) => {
      if (answers) manager.alive();
    });
  };
  const cancels = [clock.every(STATUS_MS, tell)];
  if (watchdogMs !== undefined) {
    beat();
    cancels.push(clock.every(watchdogMs / BEATS, beat));
  }
  return () => {
    for (const cancel of cancels) cancel();
  };
}
