import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Result } from '../base/result.ts';
import type { SessionRegistry } from '../session/registry.ts';
import type { BearerGrant } from './bearer.ts';
import type { Enforcement } from './enforcement.ts';
import type { Challenge } from './www-authenticate.ts';

/** What the handlers of `/mcp` work with. */
export interface TransportParts {
  readonly sessions: Pick<SessionRegistry, 'open' | 'find'>;
  /** The bearer check again; an answer when it refuses now. */
  readonly stillGranted: (request: Request) => Promise<Result<BearerGrant, Response>>;
  readonly challenge: Challenge;
  readonly enforcement: Enforcement;
  /** Protocol versions served. */
  readonly serverVersions: readonly string[];
  readonly bodyBytesMax: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** One authenticated HTTP request; `allowIdle` sets the seconds its connection may be silent. */
export interface Exchange {
  readonly request: Request;
  readonly grant: BearerGrant;
  readonly allowIdle: (seconds: number) => void;
}
