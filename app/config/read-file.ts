import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import type { ReadFile } from './secret-files.ts';

const FILE_BYTES_MAX = 1024 ** 2;

/**
 * Reads a small file of the configuration. Judged by its open descriptor, so that what was checked
 * is what is read; without waiting, since a named pipe would stop the start for ever.
 */
export const readConfigFile: ReadFile = (path) => {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(descriptor);
    const isRegular = stat.isFile();
    if (!isRegular) return { bytes: new Uint8Array(), isRegular, mode: stat.mode & 0o777 };
    if (stat.size > FILE_BYTES_MAX) throw new Error('it is larger than a megabyte');
    return { bytes: new Uint8Array(readFileSync(descriptor)), isRegular, mode: stat.mode & 0o777 };
  } finally {
    closeSync(descriptor);
  }
};
