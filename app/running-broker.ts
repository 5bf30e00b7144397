import type { Clock } from './base/clock.ts';
import type { Log } from './base/log.ts';
import type { Metrics } from './base/metrics.ts';
import type { Random } from './base/secret.ts';

/** What the broker takes from its process, so that a test can take its place. */
export interface BrokerParts {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

/** A broker that answers. */
export interface RunningBroker {
  /** The issuer: scheme and host of the public URL. */
  readonly origin: string;
  /** Undefined on a unix socket. */
  readonly port: number | undefined;
  readonly metrics: Metrics;
  /**
   * The orderly stop: every open call gets its answer or a JSON-RPC error within `STOP_GRACE`,
   * children end, the store closes. Harmless when repeated.
   */
  stop(): Promise<void>;
}

/** Why the broker could not start; the message is a sentence for the admin. */
export class StartFailure extends Error {
  override readonly name = 'StartFailure';
}
