import type { Clock } from './base/clock.ts';
import type { Log } from './base/log.ts';
import type { Metrics } from './base/metrics.ts';
import type { Result } from './base/result.ts';
import type { Random } from './base/secret.ts';
import type { Trial } from './child/trial.ts';
import type { ConfigOutcome } from './config.ts';
import type { HandedOver, ReloadedSettings } from './control/protocol.ts';

/** What the broker takes from its process, so that a test can take its place. */
export interface BrokerParts {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  /** Called before each change of the store's schema, which may take its time. */
  readonly onMigration?: (name: string) => void;
  /** Reads the settings again; absent: they are fixed. */
  readonly readConfig?: () => ConfigOutcome;
  /** Absent: this broker cannot hand over. */
  readonly starter?: SuccessorStarter;
}

/** How a process starts the one that is to take its place. */
export interface SuccessorStarter {
  /** Whether the path that this process was started by leads to another program now. */
  programChanged(): boolean;
  /** The same program, or what stands in its place now, with the same arguments. */
  start(storeKeys: readonly Uint8Array[]): StartedSuccessor;
  /** That process is the broker from now on. */
  handedOver(pid: number): void;
}

export interface StartedSuccessor {
  readonly pid: number;
  /** How it ended, in words. */
  readonly exited: Promise<string>;
  /** Ends it at once. */
  kill(): void;
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
  /**
   * Reads the settings again; or hands over, when the program is another one by now or it is asked
   * for. A failure is all sentences about why nothing has changed.
   */
  reload(handOver?: boolean): Promise<Result<ReloadedSettings | HandedOver, readonly string[]>>;
  /** Resolves when another broker has taken over. */
  readonly succeeded: Promise<void>;
  /**
   * Resolves when another broker has taken over, and all that was under way here has ended; the stop
   * is done by then.
   */
  readonly left: Promise<void>;
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
