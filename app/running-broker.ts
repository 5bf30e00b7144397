import type { Clock } from './base/clock.ts';
import type { Log } from './base/log.ts';
import type { Metrics } from './base/metrics.ts';
import type { Result } from './base/result.ts';
import type { Random } from './base/secret.ts';
import type { Trial } from './child/trial.ts';
import type { ConfigOutcome } from './config.ts';
import type { ReloadedSettings } from './control/protocol.ts';

/** What the broker takes from its process, so that a test can take its place. */
export interface BrokerParts {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  /** Called before each change of the store's schema, which may take its time. */
  readonly onMigration?: (name: string) => void;
  /** Reads the settings again; absent: they are fixed. */
  readonly readConfig?: () => ConfigOutcome;
}

/** What a broker does at this moment. */
export interface BrokerState {
  /** In memory; the store has all. */
  readonly sessions: number;
  readonly programs: number;
  readonly callsWaiting: number;
  /** No program is started: Forgejo was away for those before. */
  readonly spawnsBlocked: boolean;
}

/** Whether a program can be started; `forge_away` when it cannot be known. */
export type ChildTrial = Trial | { readonly kind: 'forge_away' };

/** A broker that answers. */
export interface RunningBroker {
  /** The issuer: scheme and host of the public URL. */
  readonly origin: string;
  /** Undefined on a unix socket. */
  readonly port: number | undefined;
  /** Undefined on a unix socket, and where there is no METRICS_LISTEN. */
  readonly metricsPort: number | undefined;
  readonly metrics: Metrics;
  state(): BrokerState;
  /** Whether the store can be read. */
  storeAnswers(): Promise<boolean>;
  /** Starts a program without anybody's token, and ends it. */
  tryChild(): Promise<ChildTrial>;
  /** Reads the settings again; a failure is all sentences about why nothing has changed. */
  reload(): Promise<Result<ReloadedSettings, readonly string[]>>;
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
