import { describe, expect, it } from 'bun:test';
import {
  isName,
  parseTarget,
  parseTargetList,
  parseTargets,
  TARGETS_MAX,
} from '../../app/tools/targets.ts';

describe('target patterns', () => {
  it('refuses what is no name, no pair of names and no owner with a star', () => {
    const wrong = ['', '/', '/x', 'a/', 'a//b', 'a/b/c', '*', '*/x', 'a*', 'a/b*', '../x', 'a/..'];
    const odd = ['a/.', 'a b', 'a%2fb', 'a\\b', 'a/b?', 'a/b#', 'ä/b', 'a/\u212A', 'a/b\0'];
    for (const text of [...wrong, ...odd]) expect(parseTarget(text).ok).toBe(false);
  });

  it('says which pattern is wrong, and what a right one looks like', () => {
    const parsed = parseTargetList('acme/site\nacme/site/tree');
    expect(parsed).toEqual({
      ok: false,
      error: '"acme/site/tree" has more than one slash; write owner/repo, owner/* or owner',
    });
  });

  it('reads a list by lines, commas and spaces, in lower case, sorted, each once', () => {
    expect(parseTargetList(' Acme/Site, acme/site\r\nacme/*\n\tacme ,')).toEqual({
      ok: true,
      value: ['acme', 'acme/*', 'acme/site'],
    });
    expect(parseTargetList(' \n ')).toEqual({ ok: true, value: [] });
  });

  it('takes so many patterns and not one more', () => {
    const patterns = Array.from({ length: TARGETS_MAX + 1 }, (_, at) => `acme/r${at}`);
    expect(parseTargets(patterns.slice(1)).ok).toBe(true);
    expect(parseTargets(patterns).ok).toBe(false);
  });

  it('holds names to one length', () => {
    expect(isName('a'.repeat(100))).toBe(true);
    expect(isName('a'.repeat(101))).toBe(false);
    for (const value of [1, null, undefined, ['a'], { a: 1 }]) expect(isName(value)).toBe(false);
  });
});
