import { describe, expect, it } from 'bun:test';
import { NESTING_MAX, nestedTooDeep } from '../../app/base/nesting.ts';

const nested = (depth: number) => JSON.parse('{"a":['.repeat(depth / 2) + ']}'.repeat(depth / 2));

describe('a value that is nested deeply', () => {
  it('is taken up to NESTING_MAX, and refused one beyond', () => {
    expect(nestedTooDeep(nested(NESTING_MAX))).toBe(false);
    expect(nestedTooDeep([nested(NESTING_MAX)])).toBe(true);
  });

  it('is told in any depth, wherever it stands', () => {
    expect(nestedTooDeep({ flat: [1, 'x', null], deep: nested(1_000_000) })).toBe(true);
  });

  it('is none that is only wide, or no object at all', () => {
    expect(nestedTooDeep(Array.from({ length: 100_000 }, () => ({ a: [] })))).toBe(false);
    for (const value of [null, undefined, 1, 'x', [], {}]) expect(nestedTooDeep(value)).toBe(false);
  });
});
