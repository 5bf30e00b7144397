import { statSync } from 'node:fs';
import { shownAddress } from './base/listen-address.ts';
import { ownRevision, VERSION } from './base/version.ts';
import { HttpListenError, type HttpListener, listenHttp } from './http/listener.ts';
import type { Built } from './mount.ts';
import { StartFailure } from './running-broker.ts';
import { watchEventLoop } from './status/event-loop-delay.ts';
import { metricsPage } from './status/metrics-page.ts';

/** The metrics on an address of their own. */
export type MetricsListener = Pick<HttpListener, 'address' | 'port' | 'publish' | 'close'>;

/**
 * Listens where METRICS_LISTEN says; undefined when it says nothing. With `succeeds`, a unix socket
 * waits beside the one of the broker before, until `publish`. Throws `StartFailure`.
 */
export async function openMetrics(
  { live: { config }, metrics, clock, log }: Pick<Built, 'live' | 'metrics' | 'clock' | 'log'>,
  succeeds: boolean,
): Promise<MetricsListener | undefined> {
  const { metricsListen: address, metricsToken: token, storePath, maxSessions } = config;
  if (address === undefined) return undefined;
  metrics.sessionsMax.set(maxSessions);
  metrics.buildInfo.set({ version: VERSION, git: ownRevision() }, 1);
  const sample = () => metrics.storeBytes.set(sizeOf(storePath) + sizeOf(`${storePath}-wal`));
  const page = metricsPage({ registry: metrics.registry, token, sample, log });
  const listener = await listen(page, address, succeeds);
  const stopWatching = watchEventLoop(clock, metrics);
  log.info('metrics.listening', { address: listener.address });
  return {
    address: listener.address,
    port: listener.port,
    publish: listener.publish,
    close() {
      stopWatching();
      return listener.close();
    },
  };
}

async function listen(...[page, address, succeeds]: Parameters<typeof listenHttp>) {
  try {
    return await listenHttp(page, address, succeeds);
  } catch (error) {
    if (!(error instanceof HttpListenError)) throw error;
    throw new StartFailure(
      `Cannot listen on ${shownAddress(address)} for the metrics (${error.reason}). Choose another ` +
        'address with --metrics-listen, FJMCP_METRICS_LISTEN or the key metrics_listen.',
      { cause: error },
    );
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
