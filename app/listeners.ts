import type { AnyElysia } from 'elysia';
import { sleep } from './base/clock.ts';
import { shownAddress } from './base/listen-address.ts';
import type { ControlActions } from './control/actions.ts';
import { ControlListenError, type ControlListener, listenControl } from './control/listener.ts';
import { HttpListenError, type HttpListener, listenHttp } from './http/listener.ts';
import { type MetricsListener, openMetrics } from './metrics-listener.ts';
import type { Built } from './mount.ts';
import { StartFailure } from './running-broker.ts';

/** A port for the metrics is free when the broker before has closed it: so often it is looked. */
const PORT_TRIES = 40;
const PORT_LOOK_MS = 250;

/** Everything by which a broker can be reached. */
export interface Listeners {
  /** Of the HTTP listener, as the setting spells it. */
  readonly address: string;
  readonly port: number | undefined;
  readonly metricsPort: number | undefined;
  /** A successor's sockets take their public names. */
  publish(): void;
  /** Whether the sockets have these names. */
  readonly isPublic: boolean;
  /** No new HTTP connections; resolves when all open requests are answered. */
  drain(): Promise<void>;
  closeMetrics(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens them; with `succeeds`, sockets wait beside those of the broker that runs. Throws
 * `StartFailure`, and then none is open.
 */
export async function openListeners(
  app: AnyElysia,
  built: Built,
  actions: ControlActions,
  succeeds: boolean,
): Promise<Listeners> {
  const { config } = built.live;
  // A port cannot wait beside another one of the same number.
  const metricsLater = succeeds && config.metricsListen?.kind === 'tcp';
  let metrics: MetricsListener | undefined;
  let control: ControlListener | undefined;
  let http: HttpListener | undefined;
  const close = async () => {
    await http?.close();
    await control?.stop();
    await metrics?.close();
  };
  try {
    control = await openControl(built, actions, succeeds);
    const listener = await openHttp(app, built, succeeds);
    http = listener;
    if (!metricsLater) metrics = await openMetrics(built, succeeds);
    return {
      address: listener.address,
      port: listener.port,
      metricsPort: metrics?.port,
      get isPublic() {
        return listener.isPublic() && control?.isPublic() !== false;
      },
      publish() {
        control?.publish();
        metrics?.publish();
        listener.publish();
        if (!metricsLater) return;
        void openMetricsLater(built).then((opened) => {
          metrics = opened;
        });
      },
      drain: listener.drain,
      closeMetrics: async () => void (await metrics?.close()),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Metrics are not worth a failed upgrade: what cannot be opened is logged. */
async function openMetricsLater(built: Built): Promise<MetricsListener | undefined> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await openMetrics(built, false);
    } catch (error) {
      if (!(error instanceof StartFailure)) throw error;
      if (tries < PORT_TRIES) await sleep(built.clock, PORT_LOOK_MS);
      else {
        built.log.error('metrics.not_listening', { reason: error.message });
        return undefined;
      }
    }
  }
}

async function openControl(
  built: Built,
  actions: ControlActions,
  succeeds: boolean,
): Promise<ControlListener | undefined> {
  const { controlSocketPath: path } = built.live.config;
  if (path === undefined) return undefined;
  try {
    return await listenControl({ ...built, path, actions, succeeds });
  } catch (error) {
    if (error instanceof ControlListenError)
      throw new StartFailure(error.message, { cause: error });
    throw error;
  }
}

async function openHttp(
  app: AnyElysia,
  { live: { config } }: Built,
  succeeds: boolean,
): Promise<HttpListener> {
  const { listen: address } = config;
  try {
    return await listenHttp(app, address, succeeds);
  } catch (error) {
    if (!(error instanceof HttpListenError)) throw error;
    throw new StartFailure(
      `Cannot listen on ${shownAddress(address)} (${error.reason}). Is another broker running? ` +
        'Stop it, or choose another address with --listen, FJMCP_LISTEN or the key listen.',
      { cause: error },
    );
  }
}
