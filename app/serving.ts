import { sleep, within } from './base/clock.ts';
import { createMutex } from './base/mutex.ts';
import { err } from './base/result.ts';
import { type ControlActions, createControlActions } from './control/actions.ts';
import { createDuties, type Duties } from './duties.ts';
import { createHandOver, type HandOver } from './hand-over.ts';
import { type Listeners, openListeners } from './listeners.ts';
import { type Built, mount } from './mount.ts';
import { keepStaticClients, reloadSettings } from './reload.ts';
import { type BrokerState, type RunningBroker, SuccessorGone } from './running-broker.ts';

/** What answers that are ready need at least; the process has two seconds from the signal. */
const FLUSH_MS = 200;

/** How long connections may wait to be taken that were made before the socket lost its name. */
const BACKLOG_MS = 500;

/** How long calls may go on that were under way when a successor took over. */
const LEAVE_MS = 5 * 60_000;

/** A broker that listens. */
export interface PreparedBroker {
  readonly broker: RunningBroker;
  /**
   * A successor is found by nobody and has no duties until this was called, once. Throws
   * `StoreOpenError` when the broker before has not given them away.
   */
  takeOver(): Promise<void>;
}

/** Listens, and begins what a broker does by itself unless it `succeeds` one. Throws `StartFailure`. */
export async function serveBroker(
  built: Built,
  serverVersions: readonly string[],
  succeeds: boolean,
): Promise<PreparedBroker> {
  const { config } = built.live;
  let stopping: Promise<void> | undefined;
  const app = mount(
    config,
    { ...built, serverVersions },
    { stopping: () => stopping !== undefined, succeeded: () => handOver.done },
  );
  const duties = createDuties(built);
  const succeeded = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  const handOver = createHandOver({
    ...{ starter: built.starter, duties, clock: built.clock, log: built.log },
    refusal: refusalOf(built),
    isPublic: () => listeners.isPublic,
    onLost: () => left.reject(new SuccessorGone()),
    storePath: config.storePath,
    storeKeys: () => built.keyring.storeKeys,
  });
  const { reload, actions } = createAdministration(built, handOver, () => {
    succeeded.resolve();
    leave(built, listeners).then(stop).then(left.resolve, left.reject);
  });
  if (!succeeds) await keepStaticClients(config.staticClients, built);
  const listeners = await openListeners(app, built, actions, succeeds);
  const stop = (): Promise<void> => {
    handOver.cancel();
    stopping ??= stopBroker(built, listeners, duties);
    return stopping;
  };
  const begin = (): void => {
    duties.begin();
    if (succeeds) listeners.publish();
    const { address } = listeners;
    built.log.info('broker.listening', { origin: config.publicOrigin, address });
  };
  if (!succeeds) begin();
  const broker: RunningBroker = {
    origin: config.publicOrigin,
    port: listeners.port,
    metricsPort: listeners.metricsPort,
    metrics: built.metrics,
    state: () => stateOf(built),
    storeAnswers: () => built.store.answers(),
    tryChild: built.tryChild,
    succeeded: succeeded.promise,
    left: left.promise,
    reload,
    stop,
  };
  return {
    broker,
    async takeOver() {
      built.store.takeLock();
      await keepStaticClients(config.staticClients, built);
      begin();
    },
  };
}

/** What changes the broker as a whole is done one after the other. */
function createAdministration(built: Built, handOver: HandOver, onHandedOver: () => void) {
  const mutex = createMutex();
  const reload: RunningBroker['reload'] = (asked = false) =>
    mutex.run(async () => {
      if (handOver.done) return err([HANDED_OVER]);
      if (!asked && built.starter?.programChanged() !== true) return reloadSettings(built);
      const handedOver = await handOver.begin();
      if (handedOver.ok) onHandedOver();
      return handedOver;
    });
  const answer = createControlActions({ ...built, reload, handOver: handOver.step });
  const actions: ControlActions = async (question) => {
    // Sessions, grants and keys are another process's by now.
    if (handOver.done) return err({ kind: 'busy', message: HANDED_OVER });
    return question.action === 'rotate_key' ? mutex.run(() => answer(question)) : answer(question);
  };
  return { reload, actions };
}

const HANDED_OVER = 'Another broker has taken over just now: ask again.';

/** Why a broker with these settings can have no successor. */
function refusalOf({ live: { config } }: Built): string | undefined {
  if (config.listen.kind === 'tcp') {
    return 'A port cannot be handed over: restart the broker, or have it listen on a unix socket.';
  }
  if (config.controlSocketPath !== undefined) return undefined;
  return 'A broker without a control socket cannot be succeeded: restart it.';
}

/** Ends what is left of a broker that another one has succeeded, but for the stop. */
async function leave({ sessions, clock, log }: Built, listeners: Listeners): Promise<void> {
  const startedAt = clock.now();
  await listeners.closeMetrics();
  await sleep(clock, BACKLOG_MS);
  const drained = listeners.drain();
  await sessions.leave(LEAVE_MS);
  await within(clock, FLUSH_MS, drained);
  log.info('broker.left', { ms: clock.now() - startedAt });
}

async function stopBroker(built: Built, listeners: Listeners, duties: Duties): Promise<void> {
  const { clock, log, sessions, store, tokens } = built;
  const { stopGraceMs } = built.live.config;
  const startedAt = clock.now();
  const leftMs = () => Math.max(0, stopGraceMs - (clock.now() - startedAt));
  duties.stop();
  // No new connections; resolves when all open requests are answered, a person's way back too.
  const drained = listeners.drain();
  await sessions.stop();
  await within(clock, Math.max(FLUSH_MS, leftMs()), drained);
  await listeners.close();
  await within(clock, leftMs(), tokens.idle());
  await store.close();
  log.info('broker.stopped', { ms: clock.now() - startedAt });
}

function stateOf({ sessions, spawnBreaker }: Built): BrokerState {
  const activities = [...sessions.activity().values()];
  return {
    sessions: activities.length,
    programs: activities.filter(({ pid }) => pid !== undefined).length,
    callsWaiting: activities.reduce((sum, { callsWaiting }) => sum + callsWaiting, 0),
    spawnsBlocked: spawnBreaker.open,
  };
}
