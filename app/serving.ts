import type { AnyElysia } from 'elysia';
import { within } from './base/clock.ts';
import { shownAddress } from './base/listen-address.ts';
import { createMutex } from './base/mutex.ts';
import type { Config } from './config.ts';
import { createControlActions } from './control/actions.ts';
import { ControlListenError, type ControlListener, listenControl } from './control/listener.ts';
import { HttpListenError, type HttpListener, listenHttp } from './http/listener.ts';
import { openMetrics } from './metrics-listener.ts';
import { type Built, mount } from './mount.ts';
import { reloadSettings } from './reload.ts';
import { type BrokerState, type RunningBroker, StartFailure } from './running-broker.ts';

const PRUNE_EVERY_MS = 10 * 60_000;
/** What answers that are ready need at least; the process has two seconds from the signal. */
const FLUSH_MS = 200;

/** Listens, and begins what a broker does by itself. Throws `StartFailure`. */
export async function serveBroker(
  built: Built,
  serverVersions: readonly string[],
): Promise<RunningBroker> {
  const { log, clock, metrics, store, tokens, sessions } = built;
  const { config } = built.live;
  const reload = oneAtATime(() => reloadSettings(built));
  let stopping: Promise<void> | undefined;
  const app = await mount(config, { ...built, serverVersions }, () => stopping !== undefined);
  const control = await openControl(config, { ...built, reload });
  const listener = await openListener(app, config, control);
  const metricsListener = await openMetrics(built, false).catch(async (error: unknown) => {
    await listener.close();
    await control?.stop();
    throw error;
  });
  const stopPruning = clock.every(PRUNE_EVERY_MS, () => {
    store.prune().catch((err: unknown) => log.error('store.prune_failed', { err }));
  });
  const stopSweeps = sessions.sweep();
  log.info('broker.listening', { origin: config.publicOrigin, address: listener.address });

  const stop = async () => {
    const startedAt = clock.now();
    const leftMs = () => Math.max(0, config.stopGraceMs - (clock.now() - startedAt));
    stopPruning();
    stopSweeps();
    // No new connections; resolves when all open requests are answered, a person's way back too.
    const drained = listener.drain();
    await sessions.stop();
    await within(clock, Math.max(FLUSH_MS, leftMs()), drained);
    await listener.close();
    await control?.stop();
    await metricsListener?.close();
    await within(clock, leftMs(), tokens.idle());
    await store.close();
    log.info('broker.stopped', { ms: clock.now() - startedAt });
  };
  return {
    origin: config.publicOrigin,
    port: listener.port,
    metricsPort: metricsListener?.port,
    metrics,
    state: () => stateOf(built),
    storeAnswers: () => store.answers(),
    tryChild: built.tryChild,
    reload,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

/** Runs begin in the order they were asked for, each when the one before has ended. */
function oneAtATime<T>(run: () => Promise<T>): () => Promise<T> {
  const mutex = createMutex();
  return () => mutex.run(run);
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

async function openControl(
  config: Config,
  built: Built & Pick<RunningBroker, 'reload'>,
): Promise<ControlListener | undefined> {
  const { controlSocketPath: path } = config;
  if (path === undefined) return undefined;
  try {
    return await listenControl({ ...built, path, actions: createControlActions(built) });
  } catch (error) {
    if (error instanceof ControlListenError)
      throw new StartFailure(error.message, { cause: error });
    throw error;
  }
}

async function openListener(
  app: AnyElysia,
  { listen: address }: Config,
  control: ControlListener | undefined,
): Promise<HttpListener> {
  try {
    return await listenHttp(app, address, false);
  } catch (error) {
    await control?.stop();
    if (!(error instanceof HttpListenError)) throw error;
    throw new StartFailure(
      `Cannot listen on ${shownAddress(address)} (${error.reason}). Is another broker running? ` +
        'Stop it, or choose another address with --listen, FJMCP_LISTEN or the key listen.',
      { cause: error },
    );
  }
}
