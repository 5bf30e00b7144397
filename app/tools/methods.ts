import type { Catalogue } from './catalogue.ts';
import { parsePermission } from './permission.ts';
import { ALLOWED, type Allowance, type Decision, decideCall, decideUnreviewed } from './policy.ts';
import type { CallMessage } from './tool-call.ts';

/** What a client asks of a child, or tells it. */
export interface MethodMessage extends CallMessage {
  readonly method: string;
}

/** As for a call; `empty`: there is such a list, and nothing on it for this connection. */
export type MethodDecision = Decision | { readonly kind: 'empty'; readonly member: string };

/**
 * Decides about any message of a client with a method. What tools do is decided by tool; resources,
 * prompts and completions do not tell which repository they are of, so who may touch some only gets
 * none of them; a method that MCP had not when this was written counts as a tool that nobody has
 * reviewed.
 */
export function decideMessage(
  message: MethodMessage,
  allowance: Allowance,
  catalogue: Catalogue,
): MethodDecision {
  const { method } = message;
  if (method === 'tools/call') return decideCall(message, allowance, catalogue);
  if (HARMLESS.has(method) || method.startsWith('notifications/')) return ALLOWED;
  const member = LISTS.get(method);
  if (member !== undefined) return unrestricted(allowance) ? ALLOWED : { kind: 'empty', member };
  if (READS.has(method)) return decideRead(method, allowance);
  return decideUnreviewed('a method that nobody has reviewed', allowance);
}

/**
 * The same for what is known by the text of its permission alone, cut by token and ceiling already.
 * With null, and with what cannot be read, nothing may be sent.
 */
export function allowedBy(
  permissionText: string | null,
  message: MethodMessage,
  catalogue: Catalogue,
): boolean {
  if (permissionText === null) return false;
  const permission = parsePermission(permissionText);
  if (!permission.ok) return false;
  const allowance = { permission: permission.value, ceiling: permission.value.scope };
  return decideMessage(message, allowance, catalogue).kind === 'allowed';
}

const HARMLESS: ReadonlySet<string> = new Set([
  'initialize',
  'logging/setLevel',
  'ping',
  'resources/unsubscribe',
  'tools/list',
]);

/** Each with the member of its result. */
const LISTS: ReadonlyMap<string, string> = new Map([
  ['prompts/list', 'prompts'],
  ['resources/list', 'resources'],
  ['resources/templates/list', 'resourceTemplates'],
]);

const READS: ReadonlySet<string> = new Set([
  'completion/complete',
  'prompts/get',
  'resources/read',
  'resources/subscribe',
]);

/** They change nothing (MCP resources and prompts), so every scope is enough. */
function decideRead(method: string, allowance: Allowance): Decision {
  if (unrestricted(allowance)) return ALLOWED;
  const what = method.slice(0, method.indexOf('/'));
  const detail = `this connection may use some tools or repositories only, and ${what} tell neither`;
  return { kind: 'refused', reason: 'target', detail };
}

function unrestricted({ permission }: Allowance): boolean {
  return permission.toolsets === 'all' && permission.targets === 'all';
}
