import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import {
  bindPrivately,
  SocketPlaceError,
  type StagedSocket,
  stageSocket,
} from '../base/unix-socket.ts';
import { StoreError } from '../store/store-error.ts';
import type { ControlActions } from './actions.ts';
import { linesOf } from './lines.ts';
import {
  CONTROL_TIMEOUT_MS,
  CONTROL_VERSION,
  type ControlAnswer,
  type ControlFault,
  QUESTION_BYTES_MAX,
} from './protocol.ts';
import { readQuestion } from './question.ts';

/** Who is heard at once: an administrator and a few scripts. */
const CONNECTIONS_MAX = 16;

/** Why there is no control socket; the message is a sentence for the administrator. */
export class ControlListenError extends Error {
  override readonly name = 'ControlListenError';
}

export interface ControlListenerOptions {
  readonly path: string;
  /** Whether the broker that answers there now is to be succeeded, as soon as `publish` is called. */
  readonly succeeds?: boolean;
  readonly actions: ControlActions;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** The socket through which the program's own commands talk to the broker. */
export interface ControlListener {
  /** A successor's socket takes its public name. */
  publish(): void;
  /** Whether it has its public name still. */
  isPublic(): boolean;
  /** Hears nobody any more and removes the socket. */
  stop(): Promise<void>;
}

/**
 * Listens on a unix socket that only its owner can write to (0600): who may, may end every session.
 * A socket that nobody answers on any more is replaced. Throws `ControlListenError`.
 */
export async function listenControl(options: ControlListenerOptions): Promise<ControlListener> {
  const { path, log, metrics } = options;
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    const isBeyond = connections.size >= CONNECTIONS_MAX;
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    if (isBeyond) {
      metrics.limitsReached.inc({ limit: 'CONTROL_CONNECTIONS_MAX' });
      turnAway(socket);
      return;
    }
    converse(socket, options)
      .catch((err: unknown) => log.debug('control.connection_failed', { err }))
      .finally(() => socket.destroy());
  });
  const socket = await bind(server, path, options.succeeds === true);
  const publish = () => {
    socket.publish();
    log.info('control.listening', { path });
  };
  if (options.succeeds !== true) publish();
  return {
    publish,
    isPublic: socket.isPublic,
    async stop() {
      socket.remove();
      const closed = once(server, 'close');
      server.close();
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

/** Answers before anything was asked; what is asked is read, or the peer would lose the answer. */
function turnAway(socket: Socket): void {
  const message = 'Too many commands talk to the broker at once: try again.';
  socket.on('error', () => socket.destroy());
  socket.resume();
  socket.end(answerLine(refused({ kind: 'busy', message })));
}

/** Listens beside the public path: an earlier socket there is replaced in one step. */
async function bind(server: Server, path: string, succeeds: boolean): Promise<StagedSocket> {
  const place = { path, mode: 0o600, directoryMode: 0o700, succeeds };
  let staged: StagedSocket | undefined;
  try {
    const socket = await stageSocket(place);
    staged = socket;
    const listening = once(server, 'listening');
    // The socket is made within the call (measured).
    bindPrivately(() => server.listen(socket.bindPath));
    await listening;
    return socket;
  } catch (error) {
    staged?.remove();
    const reason = error instanceof SocketPlaceError ? error.message : codeOf(error);
    throw unusable(path, reason, error);
  }
}

async function converse(socket: Socket, options: ControlListenerOptions): Promise<void> {
  const { clock, actions } = options;
  for await (const line of linesOf(socket, QUESTION_BYTES_MAX, clock, CONTROL_TIMEOUT_MS)) {
    const tooLong = { kind: 'malformed', message: 'The question is too long.' } as const;
    const answer = line === undefined ? refused(tooLong) : await answerTo(line, actions, options);
    if (!socket.write(answerLine(answer))) await once(socket, 'drain');
    if (line === undefined) break;
  }
  socket.end();
  if (socket.writableLength > 0) await once(socket, 'finish');
}

async function answerTo(
  line: string,
  actions: ControlActions,
  { log }: ControlListenerOptions,
): Promise<ControlAnswer> {
  const question = readQuestion(line);
  if (!question.ok) return refused(question.error);
  log.debug('control.asked', { action: question.value.action });
  try {
    const result = await actions(question.value);
    return result.ok
      ? { version: CONTROL_VERSION, ok: true, result: result.value }
      : refused(result.error);
  } catch (error) {
    if (!(error instanceof StoreError)) log.error('control.failed', { err: error });
    return refused({ kind: 'failed', message: 'The broker could not do it; its log says why.' });
  }
}

function refused(fault: ControlFault): ControlAnswer {
  return { version: CONTROL_VERSION, ok: false, fault };
}

function answerLine(answer: ControlAnswer): string {
  return `${JSON.stringify(answer)}\n`;
}

function unusable(path: string, reason: string, cause?: unknown): ControlListenError {
  return new ControlListenError(
    `The control socket ${path} cannot be used (${reason}). Choose another with ` +
      '--control-socket, FJMCP_CONTROL_SOCKET or the key control_socket.',
    { cause },
  );
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
}
