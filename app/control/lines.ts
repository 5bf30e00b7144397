import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';

const LINE_FEED = 10;

/**
 * The lines that come over a socket, at most `bytesMax` each; undefined, and then the end, in the
 * place of a longer one. Reading waits while the consumer works. The socket is destroyed when
 * `idleMs` pass without a line.
 */
export async function* linesOf(
  socket: Socket,
  bytesMax: number,
  clock: Clock,
  idleMs: number,
): AsyncGenerator<string | undefined, void, undefined> {
  let parts: Buffer[] = [];
  let length = 0;
  let cancel = clock.after(idleMs, () => socket.destroy());
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      let rest = chunk;
      for (let end = rest.indexOf(LINE_FEED); end !== -1; end = rest.indexOf(LINE_FEED)) {
        parts.push(rest.subarray(0, end));
        if (length + end > bytesMax) return yield undefined;
        cancel();
        yield Buffer.concat(parts).toString('utf8');
        cancel = clock.after(idleMs, () => socket.destroy());
        parts = [];
        length = 0;
        rest = rest.subarray(end + 1);
      }
      parts.push(rest);
      length += rest.length;
      if (length > bytesMax) return yield undefined;
    }
  } finally {
    cancel();
  }
}
