import { err, ok, type Result } from '../base/result.ts';
import { FULL_SCOPE, isScope, largestScope, lowerScope, type Scope } from './scopes.ts';
import { parseTargets, type TargetPattern } from './targets.ts';
import { isToolset, TOOLSETS, type Toolset } from './toolsets.ts';

/** What a person allowed a connection. A tool is allowed when all three allow it. */
export interface Permission {
  readonly scope: Scope;
  /** Never empty; `all` includes tools that nobody has reviewed and what no toolset names. */
  readonly toolsets: readonly Toolset[] | 'all';
  /** Never empty. With patterns, whatever does not tell its target is refused. */
  readonly targets: readonly TargetPattern[] | 'all';
}

/** What a grant holds that was made before people could choose. */
export const EVERYTHING: Permission = { scope: FULL_SCOPE, toolsets: 'all', targets: 'all' };

/** Reads what `serializePermission` wrote; null is a grant from before: everything. */
export function parsePermission(json: string | null): Result<Permission, string> {
  if (json === null) return ok(EVERYTHING);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return err('the permission is not JSON');
  }
  if (typeof value !== 'object' || value === null) return err('the permission is no object');
  const { scope, toolsets, targets } = value as Record<string, unknown>;
  if (!isScope(scope)) return err('the permission has no known scope');
  const chosen = parseToolsets(toolsets);
  if (chosen === undefined) return err('the permission has no known toolsets');
  const patterns = targetsOf(targets);
  if (!patterns.ok) return patterns;
  return ok({ scope, toolsets: chosen, targets: patterns.value });
}

/** One text for one permission, whatever the order in which it was chosen: also a key for caches. */
export function serializePermission({ scope, toolsets, targets }: Permission): string {
  return JSON.stringify({
    scope,
    toolsets: toolsets === 'all' ? 'all' : TOOLSETS.filter((name) => toolsets.includes(name)),
    targets: targets === 'all' ? 'all' : [...new Set(targets)].sort(),
  });
}

/**
 * What a request may do now: the grant's permission, cut by the token's `scope` (RFC 6749 section 6: a
 * refresh may narrow) and by the operator's ceiling of this moment. undefined: the token allows
 * nothing here.
 */
export function narrow(
  permission: Permission,
  scopeOfToken: string,
  ceiling: Scope,
): Permission | undefined {
  const ofToken = largestScope(scopeOfToken);
  if (ofToken === undefined) return undefined;
  const scope = lowerScope(lowerScope(permission.scope, ofToken), ceiling);
  return scope === permission.scope ? permission : { ...permission, scope };
}

/** The chosen toolsets in their fixed order; undefined when it is not a choice of them. */
function parseToolsets(value: unknown): readonly Toolset[] | 'all' | undefined {
  if (value === 'all') return 'all';
  if (!Array.isArray(value) || value.length === 0 || !value.every(isToolset)) return undefined;
  return TOOLSETS.filter((name) => value.includes(name));
}

function targetsOf(value: unknown): Result<readonly TargetPattern[] | 'all', string> {
  if (value === 'all') return ok('all');
  const isText = (part: unknown): part is string => typeof part === 'string';
  if (!Array.isArray(value) || value.length === 0 || !value.every(isText)) {
    return err('the permission has no known targets');
  }
  return parseTargets(value);
}
