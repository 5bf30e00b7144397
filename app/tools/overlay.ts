import { isObject } from '../base/json-object.ts';
import { nestedTooDeep } from '../base/nesting.ts';
import type { Catalogue } from './catalogue.ts';
import { type Permission, serializePermission } from './permission.ts';
import { toolAllowed } from './policy.ts';
import type { Tool } from './tool.ts';

/** What a client sees of a `tools/list`. */
export interface Overlay {
  /**
   * The JSON text of a child's result as this permission lets it be seen: the tools that may be called,
   * each with its title and true annotations, by name. undefined when it is no list of tools, or one
   * that is nested beyond all reason. Built once for each list, catalogue and permission, unless it
   * has more than `KEPT_CHARACTERS_MAX`.
   */
  shown(resultText: string, permission: Permission): string | undefined;
}

/** Lists of children that are kept apart: there is one program, but it can be upgraded meanwhile. */
const LISTS_MAX = 4;

/** Permissions for which a list is kept; forgejo-mcp's has about 100 KB. */
const SHOWN_MAX = 32;

/** Characters of a list that is kept: ten times what forgejo-mcp has, and far less than a child may say. */
export const KEPT_CHARACTERS_MAX = 1024 * 1024;

/** `onUnreviewed` is told each tool of a list that the catalogue does not know. */
export function createOverlay(options: {
  readonly catalogue: Catalogue;
  readonly onUnreviewed: (tool: string) => void;
}): Overlay {
  /** The least recently added first; the texts are compared whole, a digest would cost more. */
  const lists: { readonly text: string; readonly shown: Map<string, string> }[] = [];
  const listOf = (text: string) => {
    const known = lists.find((list) => list.text === text);
    if (known !== undefined) return known;
    const list = { text, shown: new Map<string, string>() };
    lists.push(list);
    if (lists.length > LISTS_MAX) lists.shift();
    return list;
  };
  return {
    shown(resultText, permission) {
      if (resultText.length > KEPT_CHARACTERS_MAX) return build(resultText, permission, options);
      const key = serializePermission(permission);
      const { shown } = listOf(resultText);
      const known = shown.get(key);
      if (known !== undefined) return known;
      const built = build(resultText, permission, options);
      if (built === undefined) return undefined;
      const [oldest] = shown.keys();
      if (shown.size >= SHOWN_MAX && oldest !== undefined) shown.delete(oldest);
      shown.set(key, built);
      return built;
    },
  };
}

/** A tool as the child describes it (MCP tools, Tool). */
type Described = Readonly<Record<string, unknown>> & { readonly name: string };

function build(
  resultText: string,
  permission: Permission,
  { catalogue, onUnreviewed }: Parameters<typeof createOverlay>[0],
): string | undefined {
  const result: unknown = JSON.parse(resultText);
  if (!isObject(result) || !Array.isArray(result.tools)) return undefined;
  if (nestedTooDeep(result)) return undefined;
  const shown: Described[] = [];
  for (const described of result.tools.filter(isDescribed)) {
    const tool = catalogue.find(described.name);
    if (tool === undefined) onUnreviewed(described.name);
    if (toolAllowed(tool, { permission })) shown.push(overlaid(described, tool, permission));
  }
  // Children may list in any order; a client that caches its prompt wants the same one.
  shown.sort((a, b) => (a.name < b.name ? -1 : 1));
  return JSON.stringify({ ...result, tools: shown });
}

function overlaid(described: Described, tool: Tool | undefined, permission: Permission): Described {
  const theirs = isObject(described.annotations) ? described.annotations : {};
  if (tool === undefined) return { ...described, annotations: { ...theirs, ...UNREVIEWED } };
  const { title, idempotent, scope, raisedBy, hostFiles } = tool;
  const annotations = {
    ...theirs,
    title,
    readOnlyHint: scope === 'forgejo:read',
    destructiveHint:
      scope === 'forgejo:delete' || (raisedBy.length > 0 && permission.scope === 'forgejo:delete'),
    idempotentHint: idempotent,
  };
  const schema = described.inputSchema;
  const inputSchema = hostFiles.length === 0 ? schema : withoutArguments(schema, hostFiles);
  return { ...described, title, inputSchema, annotations };
}

/** What a child says of itself counts for nothing until somebody has reviewed it. */
const UNREVIEWED = { readOnlyHint: false, destructiveHint: true, idempotentHint: false };

/** The schema without arguments that are always refused: nobody should try. */
function withoutArguments(schema: unknown, names: readonly string[]): unknown {
  if (!isObject(schema) || !isObject(schema.properties)) return schema;
  const kept = Object.entries(schema.properties).filter(([name]) => !names.includes(name));
  return { ...schema, properties: Object.fromEntries(kept) };
}

function isDescribed(value: unknown): value is Described {
  return isObject(value) && typeof value.name === 'string';
}
