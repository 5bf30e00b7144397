import { fileURLToPath } from 'node:url';

/** Where the modules of a compiled program are: in itself. */
const EMBEDDED = '/$bunfs/';

/**
 * The words that start this program once more: the compiled program alone, or Bun with the entry of
 * the source that runs now. Arguments follow behind them.
 */
export function ownProgram(): readonly string[] {
  return import.meta.path.startsWith(EMBEDDED)
    ? [process.execPath]
    : [process.execPath, fileURLToPath(new URL('../main.ts', import.meta.url))];
}
