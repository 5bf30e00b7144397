import { ambiguousMember } from '../base/ambiguous-member.ts';
import { isObject } from '../base/json-object.ts';
import { err, ok, type Result } from '../base/result.ts';
import { memberCount, memberCountOf, spanAtPath } from '../base/splice.ts';
import type { Tool } from './tool.ts';

/** What a `tools/call` asks for (MCP tools, Calling Tools), as the child will read it. */
export interface ToolCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** A message as far as it is needed; `text` is the JSON of which the others were read. */
export interface CallMessage {
  readonly id?: unknown;
  readonly params: unknown;
  readonly text: string;
  /** Its reader has seen that no member stands twice in it. */
  readonly unambiguous?: boolean;
}

/**
 * Reads the call; the sentence says why two readers could take it for different ones. No member of it
 * may stand twice, however deep: of two, some readers take the first.
 */
export function readToolCall(message: CallMessage): Result<ToolCall, string> {
  const { params } = message;
  if (!isObject(params)) return err('params must be an object');
  const { name, arguments: given = {} } = params;
  if (typeof name !== 'string') return err('the name of the tool must be a string');
  if (!isObject(given) && given !== null) return err('arguments must be an object');
  if (message.unambiguous !== true && standsTwice(message))
    return err('a member stands twice in it');
  const member = ambiguousMember(Object.keys(params), MEMBERS);
  if (member !== undefined) return err(`the member "${member}" is ambiguous`);
  return ok({ name, arguments: given ?? {} });
}

/** An argument that decides about the call and is spelt in another case, which some readers ignore. */
export function ambiguousArgument(call: ToolCall, tool: Tool): string | undefined {
  return ambiguousMember(Object.keys(call.arguments), tool.deciding);
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

/** What a message has at least beside its params: `jsonrpc`, `method`, `params`, and the id. */
const MEMBERS_BESIDE = 3;

/** Counted over the whole message first, which is enough for every usual one. */
function standsTwice({ id, params, text }: CallMessage): boolean {
  const counted = memberCountOf(params);
  const beside = MEMBERS_BESIDE + (id === undefined ? 0 : 1);
  if (memberCount(text) === counted + beside) return false;
  const span = spanAtPath(text, ['params']);
  if (span === undefined || span === 'ambiguous') return true;
  return memberCount(text.slice(span.start, span.end)) !== counted;
}
