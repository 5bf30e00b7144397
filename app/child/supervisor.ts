import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Result } from '../base/result.ts';
import type { Secret } from '../base/secret.ts';

export interface SpawnRequest {
  readonly token: Secret;
  readonly label: string;
  readonly onLine: (line: string) => void;
}

export type SpawnFailure = {
  readonly kind: 'program_missing' | 'system' | 'stopping';
  readonly detail: string;
};

export interface ChildExit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly reason: string;
}

export interface Child {
  readonly pid: number;
  readonly exited: Promise<ChildExit>;
  send(text: string): Result<void, 'gone' | 'full'>;
  stop(reason: string): Promise<ChildExit>;
}

export interface Supervisor {
  spawn(request: SpawnRequest): Result<Child, SpawnFailure>;
  readonly running: number;
  stopAll(reason: string): Promise<void>;
}

export interface SupervisorOptions {
  readonly command: readonly string[];
  readonly forgejoUrl: string;
  readonly userAgent: string;
  readonly messageBytesMax: number;
  readonly stopGraceMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly spawn?: typeof Bun.spawn;
}

export function createSupervisor(_options: SupervisorOptions): Supervisor {
  throw new Error('not built');
}
