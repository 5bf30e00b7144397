import { describe, expect, it } from 'bun:test';
import {
  FULL_SCOPE,
  isScope,
  largestScope,
  lowerScope,
  SCOPE_MEANING,
  SCOPES,
  scopeAllows,
  scopesUpTo,
  scopeText,
} from '../../app/tools/scopes.ts';

describe('scopes', () => {
  it('are three, and what the largest means is said honestly', () => {
    expect(SCOPES).toEqual(['forgejo:read', 'forgejo:write', 'forgejo:delete']);
    expect(FULL_SCOPE).toBe('forgejo:delete');
    expect(SCOPE_MEANING[FULL_SCOPE]).toContain('deleting included');
  });

  it('hold those before them, never those after', () => {
    for (const [held, heldAt] of SCOPES.map((scope, at) => [scope, at] as const)) {
      for (const [needed, neededAt] of SCOPES.map((scope, at) => [scope, at] as const)) {
        expect(scopeAllows(held, needed)).toBe(heldAt >= neededAt);
        expect(lowerScope(held, needed)).toBe(heldAt < neededAt ? held : needed);
      }
    }
    expect(scopesUpTo('forgejo:write')).toEqual(['forgejo:read', 'forgejo:write']);
  });

  it('finds none in what only looks like one', () => {
    for (const text of ['', ' ', 'offline_access', 'forgejo:Read', 'forgejo', 'xforgejo:read']) {
      expect(largestScope(text)).toBeUndefined();
    }
    expect(isScope('forgejo:delete ')).toBe(false);
  });

  it('finds the largest in any order, between surplus spaces and unknown names', () => {
    expect(largestScope('  forgejo:write  offline_access forgejo:read ')).toBe('forgejo:write');
    for (const scope of SCOPES) expect(largestScope(scopeText(scope))).toBe(scope);
  });
});
