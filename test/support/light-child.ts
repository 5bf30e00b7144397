import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** How the light child is made, the lightest first; every figure measured with it says which. */
export const LIGHT_CHILD_KINDS = ['c', 'go', 'bun'] as const;
export type LightChildKind = (typeof LIGHT_CHILD_KINDS)[number];

export interface LightChild {
  readonly command: string[];
  readonly kind: LightChildKind;
}

const FIXTURES = new URL('../fixture/', import.meta.url).pathname;
const SCRIPT = join(FIXTURES, 'light-child-script.ts');

/**
 * A stdio child that costs next to nothing (test/fixture/light-child.c says what it answers), so
 * that a measurement is one of the bridge. It is built at the first call on a machine, into a
 * directory of the user's own below the system's temporary one, under a name that changes with
 * the source. Only the kinds in `kinds` are tried, in that order; `undefined` when none can be had.
 */
export function lightChild(): LightChild;
export function lightChild(kinds: readonly LightChildKind[]): LightChild | undefined;
export function lightChild(kinds: readonly LightChildKind[] = LIGHT_CHILD_KINDS) {
  for (const kind of kinds) {
    const command = kind === 'bun' ? [process.execPath, SCRIPT] : built(kind);
    if (command !== undefined) return { command, kind };
  }
  return undefined;
}

/** The built program, from the cache if it is there; `undefined` without a working compiler. */
function built(kind: 'c' | 'go'): string[] | undefined {
  const source = join(FIXTURES, `light-child.${kind}`);
  const compiler = Bun.which(kind === 'c' ? 'cc' : 'go');
  if (compiler === null) return undefined;
  const hash = Bun.hash(readFileSync(source)).toString(16);
  const folder = cacheFolder();
  const program = join(folder, `light-child-${kind}-${hash}`);
  if (existsSync(program)) return [program];
  // Built aside and renamed: two test runs may build at once, and nobody may start half a file.
  const fresh = join(mkdtempSync(join(folder, 'build-')), 'light-child');
  const flags = kind === 'c' ? ['-O2', '-o'] : ['build', '-o'];
  const { exitCode } = Bun.spawnSync([compiler, ...flags, fresh, source], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (exitCode !== 0) return undefined;
  renameSync(fresh, program);
  return [program];
}

/** A directory that nobody else can have put a program into. */
function cacheFolder(): string {
  const { uid } = userInfo();
  const folder = join(tmpdir(), `fjmcp-light-child-${uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  const own = found.isDirectory() && found.uid === uid && (found.mode & 0o077) === 0;
  return own ? folder : mkdtempSync(`${folder}-`);
}
