import { type Clock, within } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { err, ok, type Result } from '../base/result.ts';
import { createAllowance } from './allowance.ts';
import { createLineReader } from './lines.ts';
import { readPipe } from './pipe.ts';
import { signalGroup } from './process-group.ts';
import type { StderrLog } from './stderr.ts';
import { climbStopLadder } from './stop-ladder.ts';

/** What waits for a child, and what it may say unasked. */
export interface PipeLimits {
  /** Bytes that may wait for a child that does not read; one message alone may be longer. */
  readonly backlogBytesMax: number;
  /** Bytes that it may write in a second without being asked, lines at their cost. */
  readonly unaskedBytesPerSecond: number;
}

/**
 * What lines cost beside their bytes: each is parsed, and often takes a place in a stream. Of 8 MiB a
 * second that makes 2,048 short messages.
 */
const UNASKED_LINE_COST = 4096;
const EMPTY_LINE_COST = 256;

/** How long what a dead child has written is still read: something it left may hold the pipes. */
const PIPES_END_MS = 100;

/** How a child came to its end. */
export interface ChildExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** Why it was stopped; `exited` when it left by itself. */
  readonly reason: string;
}

/** A running program that speaks MCP on stdio. */
export interface Child {
  readonly pid: number;
  /**
   * Writes one JSON-RPC message as one line, in the order of the calls. `gone`: the child has
   * ended, is being stopped or has closed its stdin. `full`: it does not read what it was sent.
   */
  send(text: string): Result<void, 'gone' | 'full'>;
  /** Resolves once, when the process has ended and what it wrote was read; never rejects. */
  readonly exited: Promise<ChildExit>;
  /** Ends it by the stop ladder; resolves when it has ended. The first reason is kept. */
  stop(reason: string): Promise<ChildExit>;
}

export type ChildProcess = Bun.Subprocess<'pipe', 'pipe', 'pipe'>;

/**
 * Takes over a process that was started just now as the leader of its own group. Its pipes are
 * read from this moment: what nobody reads, Bun gathers in memory (300 MB were measured).
 */
export function superviseProcess(
  subprocess: ChildProcess,
  options: {
    readonly stderr: StderrLog;
    /** Complete lines of stdout, in order, none of them empty. */
    readonly onLine: (line: string) => void;
    readonly lineBytesMax: number;
    readonly limits: PipeLimits;
    readonly graceMs: number;
    readonly clock: Clock;
    readonly log: Log;
    readonly metrics: Metrics;
  },
): Child {
  const { clock, graceMs, log, metrics } = options;
  const input = createInput(subprocess.stdin, options.limits.backlogBytesMax, () => {
    void stop('closed_its_stdin');
  });
  const unasked = createAllowance(options.limits.unaskedBytesPerSecond, clock);
  let reason: string | undefined;
  /** Messages sent that no line came for: as many lines cost nothing, however long. */
  let asked = 0;

  const lines = createLineReader({
    lineBytesMax: options.lineBytesMax,
    hasRoom: () => unasked.left,
    onLine(line, cut) {
      if (asked > 0) asked -= 1;
      else unasked.spend(line === '' ? EMPTY_LINE_COST : UNASKED_LINE_COST + line.length);
      if (cut) {
        // Its rest may be endless.
        stdout.cancel();
        void stop('line_too_long');
      } else if (line !== '') options.onLine(line);
    },
  });
  const onFault = (error: unknown): void => {
    log.error('child.reader_failed', { err: error });
    void stop('reader_failed');
  };
  let heldBack = false;
  const watch = (limit: 'CHILD_STDOUT' | 'CHILD_STDERR') => ({
    onFault,
    onHeldBack() {
      metrics.limitsReached.inc({ limit });
      if (!heldBack) log.warn('child.held_back', { limit });
      heldBack = true;
    },
  });
  const stdout = readPipe(subprocess.stdout, {
    ...watch('CHILD_STDOUT'),
    take: lines.push,
    allowance: unasked,
  });
  const { push, allowance } = options.stderr;
  const stderr = readPipe(subprocess.stderr, { ...watch('CHILD_STDERR'), take: push, allowance });

  void stdout.ended.then(async () => {
    // A child that leaves closes its pipes a moment earlier; one that stays can answer nobody.
    if (!(await within(clock, PIPES_END_MS, subprocess.exited))) void stop('closed_its_stdout');
  });

  const exited = subprocess.exited.then(async () => {
    input.close();
    // What the child started and left behind is in its group; it may even hold the pipes open.
    signalGroup(subprocess.pid, 'SIGKILL');
    // What is in the pipes of a dead child is bounded.
    unasked.refill();
    allowance.refill();
    // The exit is the end: no waiting for the end of a pipe without a limit.
    await within(clock, PIPES_END_MS, Promise.all([stdout.ended, stderr.ended]));
    stdout.cancel();
    stderr.cancel();
    options.stderr.close();
    return {
      code: subprocess.exitCode,
      signal: subprocess.signalCode === null ? null : String(subprocess.signalCode),
      reason: reason ?? 'exited',
    };
  });

  function stop(why: string): Promise<ChildExit> {
    if (reason === undefined) {
      reason = why;
      void climbStopLadder({
        pid: subprocess.pid,
        exited: subprocess.exited,
        closeInput: input.close,
        graceMs,
        clock,
      });
    }
    return exited;
  }

  return {
    pid: subprocess.pid,
    send(text) {
      const sent = input.send(text);
      if (sent.ok) asked += 1;
      return sent;
    },
    exited,
    stop,
  };
}

interface Input {
  send(text: string): Result<void, 'gone' | 'full'>;
  close(): void;
}

/**
 * Counts what waits: Bun's sink takes any amount, and reports to an exited child that all is well.
 */
function createInput(sink: Bun.FileSink, backlogBytesMax: number, onBroken: () => void): Input {
  let closed = false;
  let waitingBytes = 0;

  const close = (): void => {
    if (closed) return;
    closed = true;
    try {
      settle(sink.end(), () => undefined);
    } catch {
      // EPIPE at the last flush: the child was faster.
    }
  };

  return {
    close,
    send(text) {
      if (closed) return err('gone');
      const line = `${oneLine(text)}\n`;
      // Counted only when something waits: a child that reads costs no counting.
      const bytes = waitingBytes === 0 ? 0 : Buffer.byteLength(line);
      if (waitingBytes > 0 && waitingBytes + bytes > backlogBytesMax) return err('full');
      try {
        const accepted = sink.write(line);
        const rest = accepted instanceof Promise ? accepted : sink.flush();
        if (rest instanceof Promise) {
          const queued = bytes === 0 ? Buffer.byteLength(line) : bytes;
          waitingBytes += queued;
          settle(rest, () => {
            waitingBytes -= queued;
          });
        }
        return ok(undefined);
      } catch {
        // A flush to a child that has closed its stdin throws EPIPE at once.
        close();
        onBroken();
        return err('gone');
      }
    },
  };
}

/** A line feed in valid JSON is space between tokens; on this pipe it would end the message. */
function oneLine(text: string): string {
  return text.includes('\n') || text.includes('\r') ? text.replace(/[\r\n]+/g, ' ') : text;
}

/** A write whose promise nobody catches ends the whole broker when its child dies. */
function settle(pending: unknown, done: () => void): void {
  if (pending instanceof Promise) pending.then(done, done);
}
