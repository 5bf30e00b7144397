import type { ReadFile } from './secret-files.ts';

/** The administrator's own catalogue of tools: its text, or what is wrong with it. */
export interface ToolsFileFound {
  readonly toml: string | undefined;
  readonly faults: readonly string[];
}

/** Reads the file that `TOOLS_FILE` names; `check` gives the faults of what stands in it. */
export function findToolsFile(
  path: string | undefined,
  readFile: ReadFile,
  check: (toml: string) => readonly string[],
): ToolsFileFound {
  if (path === undefined) return { toml: undefined, faults: [] };
  try {
    const { bytes, isRegular } = readFile(path);
    if (!isRegular) return { toml: undefined, faults: [`${path} is not a regular file`] };
    const toml = new TextDecoder().decode(bytes);
    return { toml, faults: check(toml).map((fault) => `${path}: ${fault}`) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { toml: undefined, faults: [`cannot read ${path}: ${reason}`] };
  }
}
