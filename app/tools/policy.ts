import type { Catalogue } from './catalogue.ts';
import { leadsAway } from './path-trick.ts';
import type { Permission } from './permission.ts';
import { type Scope, scopeAllows } from './scopes.ts';
import { type Target, targetAllowed, targetConceivable, targetsOf, targetText } from './target.ts';
import { isName } from './targets.ts';
import type { Tool } from './tool.ts';
import {
  ambiguousArgument,
  argument,
  type CallMessage,
  readToolCall,
  type ToolCall,
} from './tool-call.ts';

/** What is allowed now: the permission, already cut by token and ceiling, and that ceiling. */
export interface Allowance {
  readonly permission: Permission;
  /** The most that a connection can be given now. */
  readonly ceiling: Scope;
}

/** Why something is refused that no larger scope would help with. */
export type RefusalReason =
  /** Two readers could take it for different calls, or it is none. */
  | 'malformed'
  /** An argument that would read the files of the machine. */
  | 'host_file'
  /** An argument that leads out of its place in an address. */
  | 'address'
  | 'toolset'
  | 'target'
  /** The administrator lets nobody have the scope that it needs. */
  | 'ceiling';

/** What becomes of a call; `detail` is a sentence for the person behind the client. */
export type Decision =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'insufficient_scope'; readonly needed: Scope; readonly detail: string }
  | {
      readonly kind: 'refused';
      readonly reason: RefusalReason;
      readonly detail: string;
      /** What it would touch, where that is known. */
      readonly targets?: readonly string[];
      /** Beyond the ceiling: what it takes. */
      readonly needed?: Scope;
    };

export const ALLOWED: Decision = { kind: 'allowed' };

/** Decides about one `tools/call`, before anybody else sees it. Nothing is remembered. */
export function decideCall(
  message: CallMessage,
  allowance: Allowance,
  catalogue: Catalogue,
): Decision {
  const call = readToolCall(message);
  if (!call.ok) return refused('malformed', call.error);
  const tool = catalogue.find(call.value.name);
  if (tool === undefined) return decideUnreviewed('a tool that nobody has reviewed', allowance);
  return (
    harm(call.value, tool, catalogue.text) ??
    beyondChoice(call.value, tool, allowance.permission) ??
    scopeDecision(neededScope(call.value, tool), allowance)
  );
}

/** What nobody has reviewed can do anything, anywhere: it needs everything. */
export function decideUnreviewed(what: string, allowance: Allowance): Decision {
  const { toolsets, targets } = allowance.permission;
  if (toolsets !== 'all') return refused('toolset', `this connection may not use ${what}`);
  if (targets !== 'all') {
    return refused('target', `this connection may touch some repositories only, not use ${what}`);
  }
  return scopeDecision('forgejo:delete', allowance);
}

/** Whether there are arguments with which a call of this tool is allowed. */
export function toolAllowed(tool: Tool | undefined, { permission }: Pick<Allowance, 'permission'>) {
  const { scope, toolsets, targets } = permission;
  if (tool === undefined) {
    return scope === 'forgejo:delete' && toolsets === 'all' && targets === 'all';
  }
  return (
    scopeAllows(scope, tool.scope) &&
    inToolsets(tool, permission) &&
    (targets === 'all' || targetConceivable(tool, targets))
  );
}

function neededScope(call: ToolCall, tool: Tool): Scope {
  const raised = tool.raisedBy.some((name) => {
    const value = argument(call, name);
    return value !== undefined && value !== false;
  });
  return raised ? 'forgejo:delete' : tool.scope;
}

function scopeDecision(needed: Scope, { permission, ceiling }: Allowance): Decision {
  if (scopeAllows(permission.scope, needed)) return ALLOWED;
  if (!scopeAllows(ceiling, needed)) {
    const detail = `this needs ${needed}, and the administrator allows no more than ${ceiling}`;
    return refused('ceiling', detail, { needed });
  }
  const detail = `this needs ${needed}; the connection has ${permission.scope}`;
  return { kind: 'insufficient_scope', needed, detail };
}

/** What is refused under every permission. */
function harm(call: ToolCall, tool: Tool, content: ReadonlySet<string>): Decision | undefined {
  const ambiguous = ambiguousArgument(call, tool);
  if (ambiguous !== undefined) {
    return refused('malformed', `the argument "${ambiguous}" is ambiguous`);
  }
  const hostFile = tool.hostFiles.find((name) => argument(call, name) !== undefined);
  if (hostFile !== undefined) {
    return refused('host_file', `"${hostFile}" names a file of the server and is never taken`);
  }
  for (const name of tool.places) {
    const value = argument(call, name);
    if (value !== undefined && !isName(value)) {
      return refused('address', `"${name}" is no name of an owner or a repository`);
    }
  }
  for (const name of Object.keys(call.arguments)) {
    if (!content.has(name) && leadsAway(call.arguments[name])) {
      return refused('address', 'an argument must not lead out of its place by ".."');
    }
  }
  return undefined;
}

/** What the person has not chosen; a larger scope would not change it. */
function beyondChoice(call: ToolCall, tool: Tool, permission: Permission): Decision | undefined {
  if (!inToolsets(tool, permission)) {
    return refused('toolset', `this connection may not use the tools of "${tool.toolset}"`);
  }
  const { targets: patterns } = permission;
  if (patterns === 'all') return undefined;
  const targets = targetsOf(call, tool);
  if (targets === undefined) {
    return refused(
      'target',
      'this connection may touch some repositories and organisations only, and this call does not tell which it touches',
    );
  }
  const beyond = targets.filter((target) => !targetAllowed(target, patterns));
  if (beyond.length === 0) return undefined;
  return refused('target', `this connection may not touch ${beyond.map(named).join(' and ')}`, {
    targets: beyond.map(targetText),
  });
}

function inToolsets(tool: Tool, { toolsets }: Permission): boolean {
  return toolsets === 'all' || tool.toolset === 'any' || toolsets.includes(tool.toolset);
}

function named(target: Target): string {
  switch (target.kind) {
    case 'repository':
      return targetText(target);
    case 'repositories':
      return `all repositories of ${target.owner}`;
    case 'organization':
      return `the organisation ${target.owner}`;
  }
}

function refused(
  reason: RefusalReason,
  detail: string,
  more: Pick<Extract<Decision, { kind: 'refused' }>, 'targets' | 'needed'> = {},
): Decision {
  return { kind: 'refused', reason, detail, ...more };
}
