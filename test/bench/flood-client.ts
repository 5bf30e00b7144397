/**
 * A flood from one address, a process of its own. Reads a `FloodJob` as the first line of stdin, asks
 * over all its connections, on each again as soon as it was answered, until stdin ends, and then
 * writes a `FloodResult`. It runs at the lowest priority: on one machine it would otherwise take the
 * processor from those whom it is meant to disturb by its requests.
 */
import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import type { Socket } from 'bun';
import { type FloodKind, type FloodTarget, floodRequest } from './flood-kinds.ts';

export interface FloodJob extends FloodTarget {
  readonly kind: FloodKind;
  readonly connections: number;
}

export interface FloodResult {
  readonly seconds: number;
  /** Answers by their status. */
  readonly answers: Readonly<Record<string, number>>;
}

const LOWEST_PRIORITY = 19;
/** Requests that are made beforehand, so that the making costs nothing during the flood. */
const PREPARED = 5000;

if (import.meta.main) {
  setPriority(LOWEST_PRIORITY);
  const lines = createInterface({ input: process.stdin });
  const ended = new Promise<void>((resolve) => lines.once('close', resolve));
  const first = await new Promise<string>((resolve) => lines.once('line', resolve));
  const job: FloodJob = JSON.parse(first);
  const prepared = Array.from({ length: PREPARED }, () => floodRequest(job.kind, job));
  let sent = 0;
  const next = () => {
    sent += 1;
    return prepared[sent % PREPARED] ?? '';
  };
  const answers: Record<string, number> = {};
  const begin = performance.now();
  const sockets: Socket[] = [];
  for (let n = 0; n < job.connections; n += 1) sockets.push(await open(job.origin, next, answers));
  process.stdout.write('"on"\n');
  await ended;
  const result: FloodResult = { seconds: (performance.now() - begin) / 1000, answers };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  for (const socket of sockets) socket.end();
  process.exit(0);
}

/** A connection that asks for ever; an answer is over when all that its head announces has come. */
function open(
  origin: string,
  next: () => string,
  answers: Record<string, number>,
): Promise<Socket> {
  const { hostname, port } = new URL(origin);
  let left = 0;
  return Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      open(socket) {
        socket.write(next());
      },
      data(socket, chunk) {
        if (left > 0) left -= chunk.length;
        else left = startOfAnswer(chunk, answers);
        if (left <= 0) socket.write(next());
      },
    },
  });
}

/** Counts an answer by its status; gives the bytes of it that are still to come. */
function startOfAnswer(chunk: Buffer, answers: Record<string, number>): number {
  const status = chunk.toString('latin1', 9, 12);
  answers[status] = (answers[status] ?? 0) + 1;
  const headEnd = chunk.indexOf('\r\n\r\n');
  const head = chunk.toString('latin1', 0, headEnd);
  const length = Number(/^content-length:\s*(\d+)/im.exec(head)?.[1] ?? 0);
  return headEnd + 4 + length - chunk.length;
}
