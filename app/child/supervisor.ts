import { accessSync, constants } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { Secret } from '../base/secret.ts';
import {
  type Child,
  type ChildExit,
  type ChildProcess,
  type PipeLimits,
  superviseProcess,
} from './child.ts';
import { childEnvironment } from './environment.ts';
import { parentDeathPrefix } from './process-group.ts';
import type { Sandbox } from './sandbox.ts';
import { createStderrLog } from './stderr.ts';

export type { Child, ChildExit } from './child.ts';

export interface SpawnRequest {
  /** The account's upstream token: it goes into this one child's environment only. */
  readonly token: Secret;
  /** The session's short id, for the log. */
  readonly label: string;
  /** Complete lines of the child's stdout; called from the moment of the spawn. */
  readonly onLine: (line: string) => void;
}

export type SpawnFailure = {
  readonly kind: 'program_missing' | 'system' | 'stopping';
  readonly detail: string;
};

/** Starts children and knows all that run. */
export interface Supervisor {
  /** Starts the configured command; nothing of a request but its token reaches the process. */
  spawn(request: SpawnRequest): Result<Child, SpawnFailure>;
  readonly running: number;
  /** Starts no more, stops all, and resolves when they have ended. */
  stopAll(reason: string): Promise<void>;
}

export interface SupervisorOptions {
  /** The argument vector; the program as an absolute path. */
  readonly command: readonly string[];
  /** What each child is started in. */
  readonly sandbox: Sandbox;
  /** Forgejo as the children reach it. */
  readonly forgejoUrl: string;
  readonly userAgent: string;
  /** Longest line of a child, in bytes; beyond it the child is stopped. */
  readonly messageBytesMax: number;
  readonly pipeLimits: PipeLimits;
  /** Lines of one child's stderr that reach the log in one second. */
  readonly logLinesPerSecond: number;
  /** Longest time from the start of a stop to SIGKILL; never more than `STOP_LADDER_MS`. */
  readonly stopGraceMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly spawn?: typeof Bun.spawn;
}

/**
 * Creates the supervisor of one command. The command is fixed here: no client and no forge can
 * change the program, its arguments or its environment. Throws when the path is not absolute.
 */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { command, log, metrics } = options;
  const program = command[0] ?? '';
  if (!isAbsolute(program)) throw new RangeError('the command of a child is an absolute path');
  const prefix = prefixOf(options);
  log.info('child.command', { program, dies_with_broker: prefix !== undefined });
  const argv = [...(prefix ?? []), ...command];
  const children = new Set<Child>();
  let stopping = false;

  const failed = (kind: SpawnFailure['kind'], detail: string): Result<never, SpawnFailure> => {
    metrics.childSpawns.inc({ outcome: kind });
    return err({ kind, detail });
  };

  return {
    get running() {
      return children.size;
    },
    spawn(request) {
      if (stopping) return failed('stopping', 'the broker is stopping');
      // Behind setpriv a missing program would look like one that starts and fails.
      if (!isExecutable(program)) return failed('program_missing', `${program} cannot be run`);
      const started = start(argv, request.token, options);
      if (!started.ok) {
        log.error('child.not_started', { session: request.label, detail: started.error });
        return failed('system', started.error);
      }
      const childLog = log.with({ session: request.label, pid: started.value.pid });
      const child = superviseProcess(started.value, {
        stderr: createStderrLog({
          ...options,
          ...{ token: request.token, log: childLog },
          linesPerSecond: options.logLinesPerSecond,
        }),
        onLine: request.onLine,
        lineBytesMax: options.messageBytesMax,
        limits: options.pipeLimits,
        graceMs: options.stopGraceMs,
        clock: options.clock,
        log: childLog,
        metrics,
      });
      children.add(child);
      metrics.childSpawns.inc({ outcome: 'started' });
      metrics.children.set(children.size);
      childLog.info('child.started', { program });
      void child.exited.then((exit) => {
        children.delete(child);
        metrics.children.set(children.size);
        tellExit(childLog, metrics, exit);
      });
      return ok(child);
    },
    async stopAll(reason) {
      stopping = true;
      await Promise.all([...children].map((child) => child.stop(reason)));
    },
  };
}

/** The words before each child's command: both kinds have it die with the broker. */
function prefixOf({ sandbox, log, metrics }: SupervisorOptions): readonly string[] | undefined {
  metrics.childSandbox.set(sandbox.kind === 'bwrap' ? 1 : 0);
  if (sandbox.kind === 'bwrap') {
    log.info('child.sandbox', { program: sandbox.prefix[0], without: sandbox.without });
    return sandbox.prefix;
  }
  // Children of one user can read each other's environment, which holds a token.
  const off = { reason: sandbox.reason };
  if (sandbox.chosen) log.warn('child.sandbox_off', off);
  else log.error('child.sandbox_off', off);
  const prefix = parentDeathPrefix();
  if (prefix === undefined) log.warn('child.no_parent_death_signal', { missing: 'setpriv' });
  return prefix;
}

function start(
  argv: readonly string[],
  token: Secret,
  options: SupervisorOptions,
): Result<ChildProcess, string> {
  const spawn = options.spawn ?? Bun.spawn;
  try {
    return ok(
      spawn([...argv], {
        env: childEnvironment({ ...options, token }),
        // A directory that every user may enter and where no file configures a program.
        cwd: '/',
        stdin: 'pipe',
        stdout: 'pipe',
        stderr: 'pipe',
        // A session, and so a process group, of its own: a stop reaches what the child started.
        detached: true,
      }),
    );
  } catch (error) {
    // ENOENT, EMFILE and EAGAIN are thrown at once, and leave no process behind.
    return err(error instanceof Error && 'code' in error ? String(error.code) : 'unknown');
  }
}

function isExecutable(program: string): boolean {
  try {
    accessSync(program, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function tellExit(log: Log, metrics: Metrics, exit: ChildExit): void {
  metrics.childExits.inc({ reason: exit.reason });
  const fields = { code: exit.code, signal: exit.signal, reason: exit.reason };
  if (exit.reason === 'exited') log.warn('child.exited', fields);
  else log.info('child.exited', fields);
}
