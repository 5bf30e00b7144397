import type { Cancel, Clock } from '../base/clock.ts';
import type { Metrics } from '../base/metrics.ts';

const PERIOD_MS = 500;

/** Looks from time to time how late a timer is: that long everybody's call has waited. */
export function watchEventLoop(clock: Clock, metrics: Pick<Metrics, 'eventLoopDelay'>): Cancel {
  let expectedAt = clock.now() + PERIOD_MS;
  return clock.every(PERIOD_MS, () => {
    const now = clock.now();
    metrics.eventLoopDelay.observe(Math.max(0, now - expectedAt) / 1000);
    expectedAt = now + PERIOD_MS;
  });
}
