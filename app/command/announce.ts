import { type Clock, sleep } from '../base/clock.ts';
import { counted } from '../base/counted.ts';
import type { Log } from '../base/log.ts';
import type { BrokerState, RunningBroker } from '../running-broker.ts';
import { keepHeartbeat } from '../systemd/heartbeat.ts';
import type { ServiceManager } from '../systemd/service-manager.ts';

/** Between two tries to start a program, while none can be. */
const TRY_AGAIN_MS = 5_000;

export interface AnnounceParts {
  readonly broker: Pick<RunningBroker, 'state' | 'storeAnswers' | 'tryChild'>;
  readonly manager: ServiceManager;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Tells the service manager that the broker is ready once it listens and a program could be started,
 * or Forgejo is away so that nobody can know; from then on that it lives, and what it does. A
 * program that cannot be run at all would fail everybody: then the start is not done.
 */
export async function announce(parts: AnnounceParts, stopAsked: Promise<unknown>): Promise<void> {
  const { broker, manager, clock, log } = parts;
  let stopping = false;
  void stopAsked.then(() => {
    stopping = true;
  });
  // After a hand-over the manager waits for signs of life already.
  manager.alive();
  for (;;) {
    const trial = await broker.tryChild();
    if (stopping) return;
    if (trial.kind !== 'not_started') {
      const { kind } = trial;
      log.info('broker.ready', { trial: kind });
      manager.ready(statusLine(broker.state(), kind === 'answered' ? undefined : NOTES[kind]));
      break;
    }
    log.error('broker.not_ready', { detail: trial.detail });
    manager.status(`Not ready: the program of a session cannot be run (${trial.detail}).`);
    await Promise.race([sleep(clock, TRY_AGAIN_MS), stopAsked]);
  }
  const status = () => statusLine(broker.state());
  const stop = keepHeartbeat({ manager, clock, storeAnswers: broker.storeAnswers, status });
  void stopAsked.then(stop);
}

const NOTES = {
  forge_away: 'Degraded: Forgejo does not answer',
  silent: 'A program was tried and said nothing; it may want a person’s token',
} as const;

/** One line of what the broker does, for `systemctl status`. */
export function statusLine(state: BrokerState, note?: string): string {
  const { sessions, programs, callsWaiting, spawnsBlocked } = state;
  const blocked = spawnsBlocked ? NOTES.forge_away : undefined;
  const numbers = [
    `${counted(sessions, 'session')} in memory`,
    counted(programs, 'program'),
    `${counted(callsWaiting, 'call')} under way`,
  ].join(', ');
  const told = note ?? blocked;
  return told === undefined ? `${numbers}.` : `${told}. ${numbers}.`;
}
