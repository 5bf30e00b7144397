import { spanAtPath, spliceSpan } from '../base/splice.ts';

/** What of a server's capabilities has a notification that tells of a change (MCP server features). */
const LISTS = ['tools', 'prompts', 'resources'] as const;

/**
 * A child's answer to `initialize` with the promise to tell of changes of the tools, and the JSON text
 * of the capabilities that it has then. The broker shows the tools that may be called, which can
 * become others although the child's stay the same: so it tells of changes whatever the child does,
 * and the client is to expect it (MCP tools, Capabilities).
 */
export function withToolChanges(
  answer: string,
  capabilities: Readonly<Record<string, unknown>>,
): { readonly answer: string; readonly serverCapabilities: string } {
  const { tools } = capabilities;
  const asIs = { answer, serverCapabilities: JSON.stringify(capabilities) };
  if (typeof tools !== 'object' || tools === null || Array.isArray(tools)) return asIs;
  if ('listChanged' in tools && tools.listChanged === true) return asIs;
  const span = spanAtPath(answer, ['result', 'capabilities', 'tools']);
  // Of two, nobody knows which one the client will take.
  if (span === undefined || span === 'ambiguous') return asIs;
  const told = { ...tools, listChanged: true };
  return {
    answer: spliceSpan(answer, span, JSON.stringify(told)),
    serverCapabilities: JSON.stringify({ ...capabilities, tools: told }),
  };
}

/**
 * The list-changed notifications by which a client learns that another child offers something else
 * than the one whose capabilities it was told; none when those are not known.
 */
export function listChanges(told: string | null, now: string): readonly string[] {
  if (told === null || told === now) return [];
  const before = JSON.parse(told) as Readonly<Record<string, unknown>>;
  const after = JSON.parse(now) as Readonly<Record<string, unknown>>;
  return LISTS.filter(
    (name) => before[name] !== undefined && !Bun.deepEquals(before[name], after[name]),
  ).map(listChanged);
}

/**
 * The same for a client that may do something else than before; those of lists alone that it was told
 * to expect them for.
 */
export function permissionChanges(told: string | null): readonly string[] {
  if (told === null) return [];
  const capabilities = JSON.parse(told) as Readonly<Record<string, unknown>>;
  return LISTS.filter((name) => {
    const { listChanged: declared } = (capabilities[name] ?? {}) as { listChanged?: unknown };
    return declared === true;
  }).map(listChanged);
}

function listChanged(name: (typeof LISTS)[number]): string {
  return JSON.stringify({ jsonrpc: '2.0', method: `notifications/${name}/list_changed` });
}
