import { Database } from 'bun:sqlite';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrokerProcess, Stage } from './broker-process.ts';
import type { Requirement } from './requirements.ts';

/** A disk for the store of one broker process, on which a test can use up the room. */
export interface TightDisk {
  /** What `StoreError.kind` such a disk gives. */
  readonly failure: 'full' | 'broken';
  /** Words before the broker's command that give it this disk. */
  wrapper(stage: Stage): readonly string[];
  /** The store's directory as this process reaches it. */
  directory(stage: Stage, broker: BrokerProcess): string;
  fill(stage: Stage, broker: BrokerProcess): void;
  makeRoom(stage: Stage, broker: BrokerProcess): void;
}

/**
 * A file-size limit of zero: every write of the process to any file fails with EFBIG. It needs no
 * privilege, and Bun ignores the signal that comes with it (measured on 1.4.5).
 */
export const fileSizeLimit: TightDisk = {
  failure: 'broken',
  wrapper: () => [],
  directory: (stage) => stage.storeDirectory,
  fill: (_stage, broker) => setFileSizeLimit(broker, '0'),
  makeRoom: (_stage, broker) => setFileSizeLimit(broker, 'unlimited'),
};

/** A file system of its own, in a mount namespace of the broker's: writes fail with ENOSPC. */
export const smallFileSystem: TightDisk = {
  failure: 'full',
  wrapper: (stage) => mountedAt(stage.storeDirectory),
  directory: (stage, broker) => `/proc/${broker.pid}/root${stage.storeDirectory}`,
  fill(stage, broker) {
    const ballast = join(this.directory(stage, broker), 'ballast');
    for (const bytes of [1024 * 1024, 4096]) fillWith(ballast, Buffer.alloc(bytes));
  },
  makeRoom(stage, broker) {
    rmSync(join(this.directory(stage, broker), 'ballast'));
  },
};

export const prlimit: Requirement = {
  name: 'prlimit',
  present: Bun.which('prlimit') !== null,
  sentence: 'no prlimit here: install util-linux to take the disk away from a running broker',
};

export const mountNamespace: Requirement = {
  name: 'mount-namespace',
  present: canMount(),
  sentence: 'no file system can be mounted in a namespace here: the broker gets no disk of its own',
};

function setFileSizeLimit(broker: BrokerProcess, bytes: string): void {
  // The soft limit alone: what is taken from the hard one does not come back.
  const set = Bun.spawnSync(['prlimit', '--pid', String(broker.pid), `--fsize=${bytes}:`]);
  if (set.exitCode !== 0) throw new Error(set.stderr.toString());
}

/** Becomes the command that follows, with an empty file system at `directory`. */
function mountedAt(directory: string): string[] {
  const script = 'mount -t tmpfs -o size=16m,mode=700 fjmcp "$0" && exec "$@"';
  return ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, directory];
}

function canMount(): boolean {
  if (Bun.which('unshare') === null) return false;
  const directory = mkdtempSync(join(tmpdir(), 'fjmcp-mount-'));
  try {
    const tried = Bun.spawnSync([...mountedAt(directory), 'true'], {
      stdio: ['ignore', null, null],
    });
    return tried.exitCode === 0;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function fillWith(path: string, piece: Uint8Array): void {
  for (;;) {
    try {
      writeFileSync(path, piece, { flag: 'a' });
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return;
      throw error;
    }
  }
}

/** The number of rows of each table, read from a copy of the store's files. */
export function rowCounts(storeDirectory: string): Record<string, number> {
  const copy = mkdtempSync(join(tmpdir(), 'fjmcp-copy-'));
  try {
    for (const name of ['store.sqlite', 'store.sqlite-wal']) {
      copyFileSync(join(storeDirectory, name), join(copy, name));
    }
    using store = new Database(join(copy, 'store.sqlite'));
    using tables = store.prepare<{ name: string }, []>(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    );
    return Object.fromEntries(
      tables.all().map(({ name }) => {
        using count = store.prepare<{ rows: number }, []>(`SELECT count(*) AS rows FROM ${name}`);
        return [name, count.get()?.rows ?? 0];
      }),
    );
  } finally {
    rmSync(copy, { recursive: true });
  }
}
