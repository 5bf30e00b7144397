import { err, ok, type Result } from '../base/result.ts';
import reviewed from './catalogue.toml' with { type: 'text' };
import { argumentsOf } from './target-rule.ts';
import type { Tool } from './tool.ts';
import { parseToolsFile, type ToolsFile } from './tools-file.ts';

/** Every tool of which something is known. */
export interface Catalogue {
  /** undefined: nobody has reviewed it, so it counts as the most that there is. */
  find(name: string): Tool | undefined;
  readonly names: readonly string[];
  /** Arguments that are content: never part of an address, whatever stands in them. */
  readonly text: ReadonlySet<string>;
}

/**
 * The reviewed catalogue, with the administrator's own file (its text) laid over it: what that says
 * of a tool takes the place of what stands here, member by member. A tool that is new here needs
 * class, title, toolset and target. Each fault is a sentence.
 */
export function createCatalogue(ownToml?: string): Result<Catalogue, readonly string[]> {
  const base = parseToolsFile(reviewed);
  if (!base.ok) throw new Error(`the catalogue is wrong: ${base.error.join('; ')}`);
  const own = ownToml === undefined ? ok(EMPTY) : parseToolsFile(ownToml);
  if (!own.ok) return own;
  const faults: string[] = [];
  const tools = new Map<string, Tool>();
  for (const name of new Set([...base.value.tools.keys(), ...own.value.tools.keys()])) {
    const tool = merged(name, base.value, own.value);
    if (tool.ok) tools.set(name, tool.value);
    else faults.push(tool.error);
  }
  if (faults.length > 0) return err(faults);
  return ok({
    find: (name) => tools.get(name),
    names: [...tools.keys()],
    text: new Set([...base.value.text, ...own.value.text]),
  });
}

/** What is wrong with a file of the administrator's. */
export function catalogueFaults(ownToml: string): readonly string[] {
  const made = createCatalogue(ownToml);
  return made.ok ? [] : made.error;
}

const EMPTY: ToolsFile = { text: [], tools: new Map() };

function merged(name: string, base: ToolsFile, own: ToolsFile): Result<Tool, string> {
  const reviewedTool = base.tools.get(name);
  const ownTool = own.tools.get(name);
  const tool = { ...reviewedTool, ...ownTool };
  const { scope, title, toolset, target, idempotent = scope === 'forgejo:read' } = tool;
  const missing = Object.entries({ class: scope, title, toolset, target })
    .filter(([, value]) => value === undefined)
    .map(([member]) => member);
  if (scope === undefined || title === undefined || toolset === undefined || target === undefined) {
    return err(`tools.${name}: ${missing.join(', ')} missing: this tool is not known otherwise`);
  }
  const { forks = [], raisedBy = [] } = tool;
  // Nobody can allow what reads the files of the machine.
  const hostFiles = [
    ...new Set([...(reviewedTool?.hostFiles ?? []), ...(ownTool?.hostFiles ?? [])]),
  ];
  const places = argumentsOf(target);
  return ok({
    ...{ name, scope, title, toolset, target, idempotent, forks, raisedBy, hostFiles, places },
    deciding: new Set([...places, ...forks, ...raisedBy, ...hostFiles]),
  });
}
