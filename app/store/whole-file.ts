import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Gives a finished file its name: after a power cut it is there as a whole, or not at all. */
export function publishFile(made: string, path: string): void {
  syncToDisk(made);
  renameSync(made, path);
  syncToDisk(dirname(path));
}

/** Waits until a file, or the names in a directory, are on the disk. */
export function syncToDisk(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Copies into a new file that only its owner can read; `copyFile` would take the mode along. */
export function copyPrivately(from: string, to: string): void {
  const source = openSync(from, 'r');
  try {
    const target = openSync(to, 'wx', 0o600);
    try {
      const buffer = new Uint8Array(COPY_BYTES);
      for (let read = readSync(source, buffer); read > 0; read = readSync(source, buffer)) {
        for (let written = 0; written < read; ) {
          written += writeSync(target, buffer, written, read - written);
        }
      }
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(source);
  }
}

const COPY_BYTES = 1024 * 1024;

/** Removes a file if it is there; `rm` with `force` fails below a path that is no directory. */
export function removeFile(path: string): void {
  if (existsSync(path)) unlinkSync(path);
}
