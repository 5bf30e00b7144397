import { describe, expect, it } from 'bun:test';
import fc from 'fast-check';
import { ambiguousMember } from '../../app/base/ambiguous-member.ts';
import { memberCount, memberCountOf } from '../../app/base/splice.ts';

describe('a member that two readers may take differently', () => {
  const known = new Set(['name', 'filePath', 'kind']);

  it('is one that stands twice', () => {
    expect(ambiguousMember(['name', 'x', 'name'], known)).toBe('name');
  });

  it('is one in another case, also by letters that meet ASCII in one direction only', () => {
    for (const name of ['Name', 'NAME', 'filepath', 'FILEPATH', '\u212Aind', 'KIND']) {
      expect(ambiguousMember([name], known)).toBeDefined();
    }
  });

  it('is none that is not known, however often it stands there', () => {
    expect(ambiguousMember(['names', 'x', 'X', 'x', 'file_path', 'nam'], known)).toBeUndefined();
    expect(ambiguousMember(['name', 'filePath', 'kind'], known)).toBeUndefined();
  });
});

describe('the number of members', () => {
  it('is that of the value when no member stands twice, in whatever way it is written', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(undefined, 1, '\t'), (json, space) => {
        const value: unknown = JSON.parse(json);
        const text = JSON.stringify(value, null, space);
        expect(memberCount(text)).toBe(memberCountOf(value));
      }),
      { numRuns: 2000 },
    );
  });

  it('is more when one does, however deep and however it is escaped', () => {
    const texts = [
      '{"a":1,"a":2}',
      '{"a":1,"\\u0061":2}',
      '[{"b":[{"a":1 , "a" : 2}]}]',
      '{"__proto__":1,"__proto__":2}',
      '{"":1,"":2}',
      '{"a\\"":1,"a\\"":2}',
    ];
    for (const text of texts) {
      expect(memberCount(text)).toBeGreaterThan(memberCountOf(JSON.parse(text)));
    }
  });
});
