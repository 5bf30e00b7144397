import { ARCHITECTURES, type Architecture } from './architectures.ts';
import { ReleaseFailure } from './failure.ts';
import type { Runtime } from './runtimes.ts';

/** The name of the program; Bun writes it into the program too, so it is part of its digest. */
export const PROGRAM = 'fjmcp-broker';

/**
 * Compiles the broker into one program in `directory`. Gives the files that went into it, as paths
 * from `root`. The same sources give the same bytes wherever they lie.
 *
 * - Bytecode: the program starts in 12 ms instead of 70; 7 MB larger (measured).
 * - Not minified: Elysia reads the source of its handlers.
 * - No `.env`, `bunfig.toml`, `tsconfig.json` or `package.json` of a working directory is obeyed.
 */
export async function compileProgram(options: {
  readonly root: string;
  readonly directory: string;
  readonly architecture: Architecture;
  readonly runtime: Runtime;
  readonly version: string;
  readonly revision: string;
}): Promise<readonly string[]> {
  const built = await Bun.build({
    entrypoints: [`${options.root}/app/main.ts`],
    root: options.root,
    target: 'bun',
    format: 'esm',
    bytecode: true,
    metafile: true,
    throw: false,
    define: {
      FJMCP_VERSION: JSON.stringify(options.version),
      FJMCP_GIT_REVISION: JSON.stringify(options.revision),
      // pino and a part of it ask for theirs, for worker threads that are never started: the path
      // of this machine would stand in the program.
      __dirname: '"/$bunfs/root"',
      __filename: `"/$bunfs/root/${PROGRAM}"`,
    },
    compile: {
      target: ARCHITECTURES[options.architecture].target,
      executablePath: options.runtime.path,
      outfile: `${options.directory}/${PROGRAM}`,
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
    },
  });
  if (!built.success) throw new ReleaseFailure(`it does not compile: ${built.logs.join('; ')}`);
  return Object.keys(built.metafile?.inputs ?? {});
}
