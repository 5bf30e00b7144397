import { describe, expect, it } from 'bun:test';
import { FULL_SCOPE, SCOPE_MEANING, SCOPES } from '../../app/tools/scopes.ts';

describe('scopes', () => {
  it('are one, and what it means is said honestly', () => {
    expect(SCOPES).toEqual([FULL_SCOPE]);
    expect(SCOPE_MEANING[FULL_SCOPE]).toContain('everything your Forgejo account can do');
  });
});
