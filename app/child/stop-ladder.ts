import { type Clock, within } from '../base/clock.ts';
import { signalGroup } from './process-group.ts';

/** Longest wait on each step; a child must be gone within a second of its grant's end. */
const STEP_MS = 250;

/** The longest that the ladder takes until SIGKILL. */
export const STOP_LADDER_MS = 2 * STEP_MS;

/**
 * Stops a process: end of its stdin, SIGTERM, SIGKILL, each after a wait for its exit
 * (MCP lifecycle, Shutdown: stdio). Signals go to the whole group. Resolves after the last step
 * that was needed; the exit itself is told by `exited`.
 */
export async function climbStopLadder(options: {
  readonly pid: number;
  readonly exited: Promise<unknown>;
  readonly closeInput: () => void;
  /** Longest time until SIGKILL. */
  readonly graceMs: number;
  readonly clock: Clock;
}): Promise<void> {
  const { pid, exited, closeInput, graceMs, clock } = options;
  const stepMs = Math.min(STEP_MS, graceMs / 2);
  closeInput();
  if (await within(clock, stepMs, exited)) return;
  signalGroup(pid, 'SIGTERM');
  if (await within(clock, stepMs, exited)) return;
  signalGroup(pid, 'SIGKILL');
}
