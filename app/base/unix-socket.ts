import {
  chmodSync,
  lstatSync,
  mkdirSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { probeSocket } from './probe-socket.ts';

/** What a socket is called until it takes its public name. */
const STAGED_SUFFIX = '.next';

/** Longest public path: that of a socket has at most 107 bytes on Linux (unix(7)). */
export const SOCKET_PATH_BYTES_MAX = 107 - STAGED_SUFFIX.length;

/** Why there can be no socket at a path; the message says what is wrong, without the path. */
export class SocketPlaceError extends Error {
  override readonly name = 'SocketPlaceError';
}

/** A unix socket that is made beside its public path and then renamed over it, which is atomic. */
export interface StagedSocket {
  /** Where to bind; nothing is there. */
  readonly bindPath: string;
  /**
   * To be called when it is bound: gives it its mode and its public name. Whoever connects gets the
   * listener before until that moment, and this one from then on.
   */
  publish(): void;
  /** Whether it has its public name still. */
  isPublic(): boolean;
  /** Takes the name away at the end, unless a successor's socket has it by now. */
  remove(): void;
}

export interface SocketPlace {
  readonly path: string;
  /** Of the socket. It is never more open than that, not for a moment. */
  readonly mode: number;
  /** Of its directory when that has to be made. */
  readonly directoryMode: number;
  /** Whether a listener that answers there now is to be succeeded; else it is a fault. */
  readonly succeeds: boolean;
}

/**
 * Looks at the place of a socket and makes its directory. What a killed process has left there is
 * replaced. Throws `SocketPlaceError`, or the system's error.
 */
export async function stageSocket(place: SocketPlace): Promise<StagedSocket> {
  const { path, mode } = place;
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    throw new SocketPlaceError(`a socket's path has at most ${SOCKET_PATH_BYTES_MAX} bytes`);
  }
  const directory = dirname(path);
  mkdirSync(directory, { recursive: true, mode: place.directoryMode });
  // Who writes there could put a socket of his own in the place of ours.
  if (!isGuarded(statSync(directory))) {
    throw new SocketPlaceError(`others may write to ${directory}; chmod go-w ${directory}`);
  }
  await lookAt(path, place.succeeds);
  const bindPath = `${path}${STAGED_SUFFIX}`;
  removeSocket(bindPath);
  let inode: bigint | undefined;
  const isPublic = () => inode !== undefined && inodeOf(path) === inode;
  return {
    bindPath,
    publish() {
      chmodSync(bindPath, mode);
      inode = inodeOf(bindPath);
      renameSync(bindPath, path);
    },
    isPublic,
    remove() {
      removeSocket(bindPath);
      if (isPublic()) removeSocket(path);
    },
  };
}

/** Runs `bind` so that the socket which it makes at once is its owner's alone. */
export function bindPrivately<T>(bind: () => T): T {
  const before = process.umask(0o177);
  try {
    return bind();
  } finally {
    process.umask(before);
  }
}

async function lookAt(path: string, succeeds: boolean): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new SocketPlaceError('something that is no socket is there');
  if (!succeeds && (await probeSocket(path)) === 'answers') {
    throw new SocketPlaceError('another broker answers there');
  }
}

function isGuarded({ mode }: Stats): boolean {
  return (mode & 0o022) === 0;
}

function inodeOf(path: string): bigint | undefined {
  return lstatSync(path, { throwIfNoEntry: false, bigint: true })?.ino;
}

function removeSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as { readonly code?: string }).code !== 'ENOENT') throw error;
  }
}
