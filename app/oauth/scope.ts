import type { AuthorizationRequest } from '../store/authorization-requests.ts';
import { type Permission, parsePermission } from '../tools/permission.ts';
import type { ScopeLimits } from '../tools/scope-limits.ts';
import { largestScope, lowerScope, scopeText } from '../tools/scopes.ts';

/**
 * The `scope` of a new access token (RFC 6749 section 3.3): the grant's, cut by the ceiling of this
 * moment, and by what a refresh asks for, which may narrow and never widen (section 6). What is
 * asked beyond the grant is left out rather than refused: the answer tells what was given, and an
 * error here makes clients forget their tokens.
 */
export function tokenScope(granted: string, limits: ScopeLimits, asked?: string): string {
  const most = largestScope(granted);
  if (most === undefined) throw new Error('a grant has none of our scopes');
  const held = lowerScope(most, limits.max());
  return scopeText(lowerScope(held, largestScope(asked ?? '') ?? held));
}

/** What the person allowed in an approved request; one that an earlier release took is everything. */
export function permissionOf({ permission }: Pick<AuthorizationRequest, 'permission'>): Permission {
  const parsed = parsePermission(permission);
  if (!parsed.ok) throw new Error(`a kept permission cannot be read: ${parsed.error}`);
  return parsed.value;
}
