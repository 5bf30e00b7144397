import { ambiguousMember } from '../base/ambiguous-member.ts';
import { err, ok, type Result } from '../base/result.ts';
import { spanAtPath, topLevelNames } from '../base/splice.ts';
import { argumentsOf } from './target-rule.ts';
import type { Tool } from './tool.ts';

/** What a `tools/call` asks for (MCP tools, Calling Tools), as the child will read it. */
export interface ToolCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** A message as far as it is needed; `text` is the JSON of which `params` was read. */
export interface CallMessage {
  readonly params: unknown;
  readonly text: string;
}

/** Reads the call; the sentence says why two readers could take it for different ones. */
export function readToolCall({ params, text }: CallMessage): Result<ToolCall, string> {
  if (!isObject(params)) return err('params must be an object');
  const { name, arguments: given = {} } = params;
  if (typeof name !== 'string') return err('the name of the tool must be a string');
  if (!isObject(given) && given !== null) return err('arguments must be an object');
  if (spanAtPath(text, ['params']) === 'ambiguous') return err('there are two params');
  const member = ambiguousMember(namesAt(text, ['params']), MEMBERS);
  if (member !== undefined) return err(`the member "${member}" is ambiguous`);
  return ok({ name, arguments: given ?? {} });
}

/**
 * An argument that two readers may take differently: one that stands twice, whatever it is for, or one
 * that decides about the call and is spelt in another case.
 */
export function ambiguousArgument({ text }: CallMessage, tool: Tool): string | undefined {
  const names = namesAt(text, ['params', 'arguments']);
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return ambiguousMember(names, decidingArguments(tool));
}

/**
 * The value of an argument; undefined when it is not given. As for the child, null and an empty text
 * are not given: clients fill in what is optional so.
 */
export function argument(call: ToolCall, name: string): unknown {
  if (!Object.hasOwn(call.arguments, name)) return undefined;
  const value = call.arguments[name];
  return value === null || value === '' ? undefined : value;
}

const MEMBERS: ReadonlySet<string> = new Set(['name', 'arguments']);

/** A tool never changes. */
const DECIDING = new WeakMap<Tool, ReadonlySet<string>>();

function decidingArguments(tool: Tool): ReadonlySet<string> {
  const known = DECIDING.get(tool);
  if (known !== undefined) return known;
  const { forks, raisedBy, hostFiles, target } = tool;
  const deciding = new Set([...argumentsOf(target), ...forks, ...raisedBy, ...hostFiles]);
  DECIDING.set(tool, deciding);
  return deciding;
}

/** The names of the members of the object at a path; none when there is no object. */
function namesAt(text: string, path: readonly string[]): readonly string[] {
  const span = spanAtPath(text, path);
  if (span === undefined || span === 'ambiguous') return [];
  const value = text.slice(span.start, span.end);
  return value.startsWith('{') ? topLevelNames(value) : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
