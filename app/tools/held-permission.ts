import { err, ok, type Result } from '../base/result.ts';
import { narrow, type Permission, parsePermission, serializePermission } from './permission.ts';
import type { Scope } from './scopes.ts';

/** What a request may do now. */
export interface HeldPermission {
  readonly permission: Permission;
  /** Its canonical text. */
  readonly text: string;
}

/** Distinct permissions that are kept read; every request needs its own. */
const KEPT_MAX = 1024;

/**
 * Reads the permission of a grant as `narrow` cuts it; the same object for the same three values.
 * undefined: the token names no scope of ours. The error says what is wrong with the stored text,
 * which then allows nothing.
 */
export function createPermissionReader(): (
  stored: string | null,
  scopeOfToken: string,
  ceiling: Scope,
) => Result<HeldPermission | undefined, string> {
  const kept = new Map<string, HeldPermission>();
  return (stored, scopeOfToken, ceiling) => {
    const key = `${ceiling}\n${scopeOfToken}\n${stored ?? ''}`;
    const known = kept.get(key);
    if (known !== undefined) return ok(known);
    const granted = parsePermission(stored);
    if (!granted.ok) return err(granted.error);
    const permission = narrow(granted.value, scopeOfToken, ceiling);
    if (permission === undefined) return ok(undefined);
    const held = { permission, text: serializePermission(permission) };
    if (kept.size >= KEPT_MAX) kept.clear();
    kept.set(key, held);
    return ok(held);
  };
}
