import { VERSION } from './base/version.ts';
import { prepareBroker } from './broker.ts';
import type { Config } from './config.ts';
import { openControlLine } from './control/ask.ts';
import { type BrokerParts, type RunningBroker, StartFailure } from './running-broker.ts';

/** Longer than the broker before waits for its token calls. */
const ANSWER_MS = 30_000;

/** What the broker before gives to its successor. */
export interface Inheritance {
  /** The store keys, the current one last. */
  readonly storeKeys: readonly Uint8Array[];
}

/**
 * Starts beside the broker that listens on the control socket, and takes its place: everything is
 * built and tried first; then the broker before ends its token calls and gives the store's lock
 * away, this one takes it and the names of the sockets, and says so. Throws `StartFailure`, and then
 * nothing of it is left.
 */
export async function succeedBroker(
  config: Config,
  parts: BrokerParts & { readonly pid: number },
  inheritance: Inheritance,
): Promise<RunningBroker> {
  const { controlSocketPath, listen, storePath } = config;
  const { pid, clock, log } = parts;
  if (controlSocketPath === undefined || listen.kind !== 'unix') {
    throw new StartFailure(
      'Only a broker on a unix socket can take the place of another: a port cannot be handed over.',
    );
  }
  const prepared = await prepareBroker(config, parts, inheritance);
  const line = openControlLine(controlSocketPath, clock, ANSWER_MS);
  try {
    const trial = await prepared.broker.tryChild();
    if (trial.kind === 'not_started') {
      throw new StartFailure(`The program of a session cannot be run (${trial.detail}).`);
    }
    const me = { action: 'hand_over', pid, programVersion: VERSION } as const;
    const released = await line.ask({ ...me, step: 'release', storePath });
    if (!released.ok) throw new StartFailure(released.error);
    await prepared.takeOver();
    const done = await line.ask({ ...me, step: 'done' });
    // From here on there is a broker with every duty, whatever becomes of the one before.
    if (!done.ok) log.warn('handover.unheard', { reason: done.error });
    return prepared.broker;
  } catch (error) {
    await prepared.broker.stop();
    throw error;
  } finally {
    line.close();
  }
}
