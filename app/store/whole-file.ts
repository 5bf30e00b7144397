import { closeSync, fsyncSync, openSync, renameSync } from 'node:fs';
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
