import type { AnyElysia } from 'elysia';
import { type ListenAddress, shownAddress } from '../base/listen-address.ts';
import {
  bindPrivately,
  SocketPlaceError,
  type StagedSocket,
  stageSocket,
} from '../base/unix-socket.ts';

/** Who is in the socket's group may connect: the proxy in front. */
const SOCKET_MODE = 0o660;
const DIRECTORY_MODE = 0o750;

/** Why nothing listens; `reason` stands in a sentence about the address. */
export class HttpListenError extends Error {
  override readonly name = 'HttpListenError';
  readonly reason: string;

  constructor(reason: string, cause: unknown) {
    super(`cannot listen: ${reason}`, { cause });
    this.reason = reason;
  }
}

/** An application that listens. */
export interface HttpListener {
  /** As the setting spells it, with the port that the system chose. */
  readonly address: string;
  /** Undefined on a unix socket. */
  readonly port: number | undefined;
  /** A successor's socket takes the public name; until then nobody finds it. */
  publish(): void;
  /** Whether it can be found where it should be. */
  isPublic(): boolean;
  /** No new connections, and the name is taken away; resolves when all answers are out. */
  drain(): Promise<void>;
  /** Ends every connection. */
  close(): Promise<void>;
}

/**
 * Listens at an address. With `succeeds`, a unix socket waits beside the one of the broker that
 * answers there now, until `publish`. Throws `HttpListenError`.
 */
export async function listenHttp(
  app: AnyElysia,
  address: ListenAddress,
  succeeds: boolean,
): Promise<HttpListener> {
  const socket = await bind(app, address, succeeds);
  if (!succeeds) socket?.publish();
  let drained: Promise<void> | undefined;
  const actual = address.kind === 'tcp' ? { ...address, port: app.server?.port ?? 0 } : address;
  return {
    address: shownAddress(actual),
    port: actual.kind === 'tcp' ? actual.port : undefined,
    publish: () => socket?.publish(),
    isPublic: () => socket?.isPublic() ?? true,
    drain() {
      socket?.remove();
      drained ??= Promise.resolve(app.server?.stop(false));
      return drained;
    },
    async close() {
      socket?.remove();
      await app.server?.stop(true);
    },
  };
}

async function bind(
  app: AnyElysia,
  address: ListenAddress,
  succeeds: boolean,
): Promise<StagedSocket | undefined> {
  let staged: StagedSocket | undefined;
  try {
    if (address.kind === 'tcp') {
      app.listen({ hostname: address.hostname, port: address.port });
      return undefined;
    }
    const { path } = address;
    const place = { path, mode: SOCKET_MODE, directoryMode: DIRECTORY_MODE, succeeds };
    const socket = await stageSocket(place);
    staged = socket;
    // Its declared type knows addresses alone; everything is handed on to `Bun.serve`.
    const options: object = { unix: socket.bindPath };
    bindPrivately(() => app.listen(options));
    return socket;
  } catch (error) {
    staged?.remove();
    throw new HttpListenError(reasonOf(error), error);
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof SocketPlaceError) return error.message;
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
}
