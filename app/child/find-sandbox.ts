import { err, ok, type Result } from '../base/result.ts';
import {
  FURTHER_PROMISES,
  type FurtherPromise,
  type Sandbox,
  type SandboxMode,
  sandboxPrefix,
} from './sandbox.ts';

/** What is asked of the system; passed in by tests. */
export interface SandboxSystem {
  /** The absolute path of bwrap, or null. */
  readonly which: () => string | null;
  /** Runs a program to its end and gives what it wrote to stderr, or undefined when it ended well. */
  readonly fault: (argv: readonly string[]) => string | undefined;
}

const PROBE_MS_MAX = 5000;

/** Best first. */
const PROMISES: readonly (readonly FurtherPromise[])[] = [
  ['disable-userns', 'size'],
  ['size'],
  ['disable-userns'],
  [],
];

/**
 * Looks whether children can be put into a sandbox: bwrap itself is run in one, exactly as a child
 * will be. An error is a sentence for the administrator: a sandbox was demanded, and none works.
 */
export function findSandbox(
  wanted: {
    readonly mode: SandboxMode;
    readonly program: string;
    readonly paths: readonly string[];
  },
  system: SandboxSystem = ownSystem,
): Result<Sandbox, string> {
  if (wanted.mode === 'none') {
    return ok({ kind: 'none', reason: 'CHILD_SANDBOX is none', chosen: true });
  }
  const found = probe(wanted, system);
  if (found.kind === 'none' && wanted.mode === 'bwrap') {
    return err(`CHILD_SANDBOX is bwrap, and no sandbox can be made: ${found.reason}.`);
  }
  return ok(found);
}

function probe(
  wanted: { readonly program: string; readonly paths: readonly string[] },
  system: SandboxSystem,
): Sandbox {
  const bwrap = system.which();
  if (bwrap === null) return none('there is no bwrap (package bubblewrap)');
  let reason = '';
  for (const promises of PROMISES) {
    // In the place of the program, bwrap runs in it: that needs a loader and libraries too.
    const trial = sandboxPrefix({ ...wanted, paths: [...wanted.paths, bwrap], bwrap, promises });
    const fault = system.fault([...trial, bwrap, '--version']);
    if (fault === undefined) {
      const without = Object.keys(FURTHER_PROMISES).filter(
        (promise) => !promises.some((kept) => kept === promise),
      );
      return { kind: 'bwrap', prefix: sandboxPrefix({ ...wanted, bwrap, promises }), without };
    }
    // The last one tells what keeps even the plainest sandbox from being made.
    reason = fault;
  }
  return none(reason);
}

function none(reason: string): Sandbox {
  return { kind: 'none', reason, chosen: false };
}

const ownSystem: SandboxSystem = {
  which: () => Bun.which('bwrap', { PATH: '/usr/bin:/bin:/usr/local/bin' }),
  fault(argv) {
    const ended = Bun.spawnSync([...argv], {
      env: {},
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: PROBE_MS_MAX,
    });
    if (ended.exitCode === 0) return undefined;
    const [line = ''] = ended.stderr.toString().trim().split('\n');
    return line === '' ? `bwrap ended with ${ended.signalCode ?? ended.exitCode}` : line;
  },
};
