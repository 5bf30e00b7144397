import { connect } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { err, ok, type Result } from '../base/result.ts';
import { linesOf } from './lines.ts';
import {
  ANSWER_BYTES_MAX,
  CONTROL_TIMEOUT_MS,
  CONTROL_VERSION,
  type ControlAnswer,
  type ControlQuestion,
  type ControlResults,
} from './protocol.ts';
import { questionLine } from './question.ts';

/**
 * Asks the broker that listens on `path`. A failure is a sentence for the one who asked: that none
 * runs, that it may not be asked by this user, or what the broker itself said.
 */
export async function askControl<Action extends ControlQuestion['action']>(
  path: string,
  question: Extract<ControlQuestion, { readonly action: Action }>,
  clock: Clock,
  timeoutMs: number = CONTROL_TIMEOUT_MS,
): Promise<Result<ControlResults[Action], string>> {
  const line = openControlLine(path, clock, timeoutMs);
  try {
    return await line.ask<Action>(question);
  } finally {
    line.close();
  }
}

/** A conversation with one broker, whoever listens on its path by then. */
export interface ControlLine {
  ask<Action extends ControlQuestion['action']>(
    question: Extract<ControlQuestion, { readonly action: Action }>,
  ): Promise<Result<ControlResults[Action], string>>;
  close(): void;
}

/** Connects at once; questions are asked one after the other. A failure is a sentence, as above. */
export function openControlLine(path: string, clock: Clock, timeoutMs: number): ControlLine {
  const socket = connect(path);
  const lines = linesOf(socket, ANSWER_BYTES_MAX, clock, timeoutMs);
  return {
    async ask<Action extends ControlQuestion['action']>(
      question: Extract<ControlQuestion, { readonly action: Action }>,
    ) {
      try {
        socket.write(`${questionLine(question)}\n`);
        const line = await lines.next();
        if (line.done === true) {
          return err(`The broker at ${path} ended the connection without an answer.`);
        }
        return readAnswer<Action>(path, line.value);
      } catch (error) {
        return err(failureSentence(path, error));
      }
    },
    close: () => void socket.destroy(),
  };
}

function readAnswer<Action extends ControlQuestion['action']>(
  path: string,
  line: string | undefined,
): Result<ControlResults[Action], string> {
  const strange = `What listens on ${path} does not answer as this program's broker does.`;
  if (line === undefined) return err(`The answer of the broker at ${path} is too long.`);
  let answer: Partial<ControlAnswer> | null;
  try {
    answer = JSON.parse(line);
  } catch {
    return err(strange);
  }
  if (answer?.ok === false && answer.fault !== undefined) return err(answer.fault.message);
  if (answer?.version !== CONTROL_VERSION || answer.ok !== true) return err(strange);
  return ok(answer.result as ControlResults[Action]);
}

function failureSentence(path: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
  switch (code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return `No broker runs that listens on ${path}. Start it, or name its socket with --control-socket.`;
    case 'EACCES':
    case 'EPERM':
      return `This user may not talk to the broker at ${path}: be the user that it runs as, or root.`;
    default:
      return `The broker at ${path} cannot be asked (${code}).`;
  }
}
