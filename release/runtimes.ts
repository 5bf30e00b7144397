import { copyFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ARCHITECTURES, type Architecture } from './architectures.ts';
import { ReleaseFailure } from './failure.ts';
import { run } from './run.ts';
import pinned from './runtimes/package.json' with { type: 'json' };

/** The runtime of one architecture, as its publisher's package holds it. */
export interface Runtime {
  readonly path: string;
  readonly version: string;
}

const LOCKED = fileURLToPath(new URL('runtimes/', import.meta.url));

/**
 * Installs the pinned runtimes of all architectures below `directory`; the lock file holds their
 * digests, which Bun's own download for `--compile` would not check. Throws `ReleaseFailure` when
 * the Bun that runs now is another one: bytecode belongs to the very runtime that made it.
 */
export async function installRuntimes(
  directory: string,
): Promise<(architecture: Architecture) => Runtime> {
  const versions = new Set(Object.values(pinned.dependencies));
  if (!versions.has(Bun.version) || versions.size > 1) {
    throw new ReleaseFailure(
      `a release is built by Bun ${[...versions].join(', ')}, and this is Bun ${Bun.version}`,
    );
  }
  mkdirSync(directory, { recursive: true });
  for (const file of ['package.json', 'bun.lock']) {
    copyFileSync(`${LOCKED}${file}`, `${directory}/${file}`);
  }
  const every = ['--frozen-lockfile', '--ignore-scripts', '--cpu=*', '--os=linux'];
  await run([process.execPath, 'install', ...every], { cwd: directory });
  return (architecture) => ({
    path: `${directory}/node_modules/${ARCHITECTURES[architecture].runtime}/bin/bun`,
    version: Bun.version,
  });
}
