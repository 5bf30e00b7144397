import type { BrokerProcess } from './broker-process.ts';
import type { World } from './session.ts';

const FIRST_MS = { min: 6_000, max: 10_000 };
const BETWEEN_MS = { min: 12_000, max: 25_000 };

/** Kills the broker (SIGKILL) and stops it (SIGTERM) in turns, and starts it again, until `lastBy`. */
export async function breakBroker(
  broker: BrokerProcess,
  world: World,
  /** When the forge gave new tokens last; epoch milliseconds. */
  lastTokensAt: () => number | undefined,
  lastBy: number,
) {
  const { chance, faults, tally, ending } = world;
  let pauseMs = chance.between(FIRST_MS.min, FIRST_MS.max);
  for (let count = 0; Date.now() + pauseMs < lastBy && !ending.aborted; count += 1) {
    await Bun.sleep(pauseMs);
    const signal = count % 2 === 0 ? 'SIGKILL' : 'SIGTERM';
    const outage = faults.brokerDown(signal === 'SIGKILL' ? lastTokensAt() : undefined);
    const from = Date.now();
    const wrong = await broker.end(signal);
    if (wrong !== undefined) tally.failed('exit_code', -1, { from, to: Date.now() }, wrong);
    await broker.start();
    outage.back();
    pauseMs = chance.between(BETWEEN_MS.min, BETWEEN_MS.max);
  }
}
