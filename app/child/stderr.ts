import type { Clock } from '../base/clock.ts';
import { type Log, scrub } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Secret } from '../base/secret.ts';
import { type Allowance, createAllowance } from './allowance.ts';
import { createLineReader } from './lines.ts';

/** Bytes of one line that reach the log. */
export const STDERR_LINE_BYTES_MAX = 4096;

const WINDOW_MS = 1000;

/** What is read in a second, in bytes and what lines cost beside them. */
const STDERR_COST_PER_SECOND_MAX = 32 * 1024 * 1024;
const LINE_COST = 4096;

/** What a child writes to stderr, on its way to the log. */
export interface StderrLog {
  /** Nothing may be pushed while nothing of it is left. */
  readonly allowance: Allowance;
  /** Takes bytes as a line reader does. */
  push(chunk: Uint8Array): number;
  /** Logs an unfinished last line and how many were left out; to be called at the pipe's end. */
  close(): void;
}

/**
 * Logs a child's stderr line by line (MCP transports, stdio: it is not an error signal), without
 * colours and control characters, without what looks like a credential and without the child's own
 * token. Lines beyond the limits are counted instead, so that a child cannot fill the disk.
 */
export function createStderrLog(options: {
  readonly token: Secret;
  /** Lines that reach the log in one second. */
  readonly linesPerSecond: number;
  readonly clock: Clock;
  /** Names the child's session in each line. */
  readonly log: Log;
  readonly metrics: Metrics;
}): StderrLog {
  const { token, linesPerSecond, clock, log, metrics } = options;
  const allowance = createAllowance(STDERR_COST_PER_SECOND_MAX, clock);
  let windowStart = clock.now();
  let written = 0;
  let leftOut = 0;

  const tellLeftOut = (): void => {
    if (leftOut > 0) log.warn('child.stderr_left_out', { lines: leftOut });
    leftOut = 0;
  };

  const reader = createLineReader({
    lineBytesMax: STDERR_LINE_BYTES_MAX,
    hasRoom: () => allowance.left,
    onLine(line, cut) {
      allowance.spend(LINE_COST);
      if (clock.now() - windowStart >= WINDOW_MS) {
        tellLeftOut();
        windowStart = clock.now();
        written = 0;
      }
      if (written >= linesPerSecond) {
        leftOut += 1;
        metrics.childLinesDropped.inc({ reason: 'stderr_rate' });
        return;
      }
      written += 1;
      log.info('child.stderr', { line: readable(line, cut, token) });
    },
  });

  return {
    allowance,
    push(chunk) {
      const taken = reader.push(chunk);
      allowance.spend(taken);
      return taken;
    },
    close() {
      reader.flush();
      tellLeftOut();
    },
  };
}

function readable(line: string, cut: boolean, token: Secret): string {
  const plain = Bun.stripANSI(line).replace(/\p{Cc}/gu, ' ');
  const clean = scrub(plain.replaceAll(token.reveal(), '[secret]'));
  return cut ? `${withoutLastWord(clean)}[cut]` : clean;
}

/**
 * A credential that the cut has shortened no longer looks like one. From the end on: a pattern that
 * must end there is tried at each character, 27 ms for one line.
 */
function withoutLastWord(text: string): string {
  let end = text.length;
  while (end > 0 && WORD.test(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}

const WORD = /[\w.~+/=-]/;
