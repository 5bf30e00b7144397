import { isObject } from '../base/json-object.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { Scope } from './scopes.ts';
import { parseTargetRule } from './target-rule.ts';
import type { Tool } from './tool.ts';
import { isToolset, TOOLSETS } from './toolsets.ts';

/** What a file says: of each tool some members or all, and which arguments are content. */
export interface ToolsFile {
  readonly text: readonly string[];
  readonly tools: ReadonlyMap<string, Partial<Tool>>;
}

/** Reads a catalogue of tools; every fault is told, each a sentence that names tool and member. */
export function parseToolsFile(toml: string): Result<ToolsFile, readonly string[]> {
  let file: unknown;
  try {
    file = Bun.TOML.parse(toml);
  } catch (error) {
    return err([`it is not TOML: ${error instanceof Error ? error.message : String(error)}`]);
  }
  const faults: string[] = [];
  const { text = [], tools = {}, ...others } = file as Record<string, unknown>;
  for (const key of Object.keys(others)) faults.push(`${key}: there are "text" and [tools] only`);
  const content = argumentList(text);
  if (!content.ok) faults.push(`text: ${content.error}`);
  if (!isObject(tools)) return err([...faults, 'tools: must be a table']);
  const read = new Map<string, Partial<Tool>>();
  for (const [name, entry] of Object.entries(tools)) {
    read.set(
      name,
      readTool(name, entry, (fault) => faults.push(`tools.${name}: ${fault}`)),
    );
  }
  if (faults.length > 0 || !content.ok) return err(faults);
  return ok({ text: content.value, tools: read });
}

type Tell = (fault: string) => void;

/** Each member, and what it is in a `Tool`. */
const MEMBERS: Readonly<Record<string, (value: unknown) => Result<Partial<Tool>, string>>> = {
  class: (value) => {
    const scope = typeof value === 'string' ? SCOPE_OF.get(value) : undefined;
    return scope === undefined ? err('must be "read", "write" or "delete"') : ok({ scope });
  },
  title: (value) =>
    typeof value === 'string' && /^\P{Cc}{1,80}$/u.test(value) && value.trim() === value
      ? ok({ title: value })
      : err('must be a text of 1 to 80 characters'),
  idempotent: (value) =>
    typeof value === 'boolean' ? ok({ idempotent: value }) : err('must be true or false'),
  toolset: (value) =>
    value === 'any' || isToolset(value)
      ? ok({ toolset: value })
      : err(`must be "any" or one of ${TOOLSETS.join(', ')}`),
  target: (value) => named('target', parseTargetRule(value)),
  forks: (value) => named('forks', argumentList(value)),
  raised_by: (value) => named('raisedBy', argumentList(value)),
  host_files: (value) => named('hostFiles', argumentList(value)),
  // For those who read the file.
  reason: (value) => (typeof value === 'string' ? ok({}) : err('must be a text')),
};

const SCOPE_OF: ReadonlyMap<string, Scope> = new Map([
  ['read', 'forgejo:read'],
  ['write', 'forgejo:write'],
  ['delete', 'forgejo:delete'],
]);

function readTool(name: string, entry: unknown, tell: Tell): Partial<Tool> {
  // MCP 2025-11-25 tools, Tool Names.
  if (!/^[A-Za-z0-9_./-]{1,128}$/.test(name)) tell('this cannot be the name of a tool');
  if (!isObject(entry)) {
    tell('must be a table');
    return {};
  }
  let tool: Partial<Tool> = { name };
  for (const [member, value] of Object.entries(entry)) {
    const read = Object.hasOwn(MEMBERS, member) ? MEMBERS[member]?.(value) : undefined;
    if (read === undefined) tell(`${member}: there is ${Object.keys(MEMBERS).join(', ')} only`);
    else if (read.ok) tool = { ...tool, ...read.value };
    else tell(`${member}: ${read.error}`);
  }
  return tool;
}

function named<K extends keyof Tool>(
  member: K,
  read: Result<Tool[K], string>,
): Result<Partial<Tool>, string> {
  return read.ok ? ok({ [member]: read.value }) : read;
}

function argumentList(value: unknown): Result<readonly string[], string> {
  const isName = (part: unknown): part is string => typeof part === 'string' && /^\w+$/.test(part);
  if (Array.isArray(value) && value.every(isName)) return ok(value);
  return err('must be an array of names of arguments');
}
