import { readdirSync } from 'node:fs';
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import Histogram from 'prom-client/lib/histogram.js';
import Registry from 'prom-client/lib/registry.js';

/** Seconds; from a call answered by the pipe at once to one that waits for a slow forge. */
const CALL_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];

export type Metrics = ReturnType<typeof createMetrics>;

/**
 * Every number that the broker counts, declared once, with its help text. Facts are counted where
 * they happen; label values come from closed sets, so no client can make new series.
 */
export function createMetrics() {
  const registry = new Registry();
  const make = makers(registry);
  return {
    registry,
    ...accessMetrics(make),
    ...processMetrics(make),
    ...messageMetrics(make),
    ...runtimeMetrics(make),
  };
}

type Makers = ReturnType<typeof makers>;

function accessMetrics({ counter, histogram }: Makers) {
  return {
    httpRequests: counter('http_requests_total', 'HTTP answers by route and status class.', [
      'route',
      'status',
    ]),
    clientsRegistered: counter('clients_registered_total', 'Registrations by outcome.', [
      'outcome',
    ]),
    authorizations: counter('authorizations_total', 'Authorization requests by outcome.', [
      'outcome',
    ]),
    tokensIssued: counter('tokens_issued_total', 'Token answers by grant type.', ['grant_type']),
    tokensRefused: counter('tokens_refused_total', 'Token errors by OAuth error code.', ['error']),
    grantsEnded: counter('grants_ended_total', 'Grants ended by reason.', ['reason']),
    bearerRefused: counter(
      'bearer_refused_total',
      'Requests to /mcp refused by the bearer guard.',
      ['reason'],
    ),
    rateLimited: counter('rate_limited_total', 'Requests answered with 429, by limit.', ['limit']),
    forgeCalls: counter('forge_calls_total', 'Calls to Forgejo by kind and outcome.', [
      'call',
      'outcome',
    ]),
    forgeCallSeconds: histogram('forge_call_seconds', 'Duration of calls to Forgejo.', ['call']),
    storeFailures: counter('store_failures_total', 'Store operations that failed, by kind.', [
      'kind',
    ]),
    rowsPruned: counter('rows_pruned_total', 'Expired rows deleted, by table.', ['table']),
  };
}

function processMetrics({ counter, gauge, histogram }: Makers) {
  return {
    sessions: gauge('sessions', 'Sessions that have a child now.'),
    sessionsEnded: counter('sessions_ended_total', 'Sessions ended by reason.', ['reason']),
    sessionsDetached: counter(
      'sessions_detached_total',
      'Children that ended while their session went on or with it, by reason.',
      ['reason'],
    ),
    sessionsMax: gauge('sessions_max', 'Children at once that MAX_SESSIONS allows.'),
    children: gauge('children', 'Child processes alive now.'),
    childSandbox: gauge('child_sandbox', 'One when children run in a sandbox, zero when not.'),
    childSpawns: counter('child_spawns_total', 'Children started, by outcome.', ['outcome']),
    childSpawnSeconds: histogram('child_spawn_seconds', 'Spawn to the answer of initialize.', []),
    spawnsWaiting: gauge('spawns_waiting', 'Sessions that wait for their turn to start a child.'),
    spawnBreakerOpen: gauge(
      'spawn_breaker_open',
      'One while no child is started because the forge was away.',
    ),
    spawnBreakerChanges: counter(
      'spawn_breaker_changes_total',
      'Times that the breaker of starts opened and closed.',
      ['to'],
    ),
    childExits: counter('child_exits_total', 'Children ended, by reason.', ['reason']),
    childLinesDropped: counter('child_lines_dropped_total', 'Lines of a child dropped by reason.', [
      'reason',
    ]),
  };
}

function messageMetrics({ counter, gauge, histogram }: Makers) {
  return {
    openStreams: gauge('open_streams', 'Event streams that a client is connected to now.'),
    streamsResumed: counter('streams_resumed_total', 'Streams asked for again, by outcome.', [
      'outcome',
    ]),
    questions: counter('questions_total', 'What children asked of clients, by outcome.', [
      'outcome',
    ]),
    calls: counter('calls_total', 'JSON-RPC requests of clients by outcome.', ['outcome']),
    callsRefused: counter(
      'calls_refused_total',
      'Messages of clients that their grant does not allow, by reason.',
      ['reason'],
    ),
    callSeconds: histogram('call_seconds', 'JSON-RPC request to its answer.', []),
    limitsReached: counter('limits_reached_total', 'Requests beyond a limit, by its name.', [
      'limit',
    ]),
  };
}

/**
 * The process itself, read when somebody asks for it. The library's own set of these takes 35 ms to
 * read in this runtime and tells of spaces of a heap that it does not have.
 */
function runtimeMetrics({ counter, gauge, histogram }: Makers) {
  return {
    buildInfo: gauge('build_info', 'Always one; version and git revision are its labels.', [
      'version',
      'git',
    ]),
    storeBytes: gauge('store_bytes', 'Size of the database, its log included.'),
    eventLoopDelay: histogram(
      'event_loop_delay_seconds',
      'How late a timer of the program is, looked at twice a second.',
      [],
    ),
    residentBytes: gauge('process_resident_memory_bytes', 'Memory of the broker itself.', [], () =>
      process.memoryUsage.rss(),
    ),
    cpuSeconds: counter('process_cpu_seconds_total', 'CPU time of the broker itself.', [], () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    }),
    openDescriptors: gauge('process_open_fds', 'Open descriptors, four for each child.', [], () =>
      openDescriptors(),
    ),
    startedAt: gauge(
      'process_start_time_seconds',
      'When the process began, since the epoch.',
      [],
      () => Math.round(performance.timeOrigin / 1000),
    ),
  };
}

/** One of them is the directory that is being read. */
function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length - 1;
}

function makers(registry: Registry) {
  const registers = [registry];
  // With `read`, the value is asked for whenever somebody reads it.
  const counter = <L extends string = never>(
    name: string,
    help: string,
    labelNames: L[] = [],
    read?: () => number,
  ) =>
    new Counter<L>({
      ...{ name: `fjmcp_${name}`, help, labelNames, registers },
      ...(read && {
        collect() {
          this.reset();
          this.inc(read());
        },
      }),
    });
  const gauge = <L extends string = never>(
    name: string,
    help: string,
    labelNames: L[] = [],
    read?: () => number,
  ) =>
    new Gauge<L>({
      ...{ name: `fjmcp_${name}`, help, labelNames, registers },
      ...(read && {
        collect() {
          this.set(read());
        },
      }),
    });
  const histogram = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Histogram<L>({
      name: `fjmcp_${name}`,
      help,
      labelNames,
      buckets: CALL_BUCKETS,
      registers,
    });
  return { counter, gauge, histogram };
}
