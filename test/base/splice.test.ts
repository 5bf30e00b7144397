import { describe, expect, it } from 'bun:test';
import fc from 'fast-check';
import { spliceSpan, topLevelMembers, topLevelNames } from '../../app/base/splice.ts';

type Json = fc.JsonValue;
type Members = readonly (readonly [string, Json])[];

/** Names that a message has, that look like them, and any others. */
const name = fc.oneof(
  fc.constantFrom('id', 'method', 'params', 'ID', 'i', 'id ', '"id"', '\\id', 'i\\d', '{', '}', ''),
  fc.string({ unit: 'binary' }),
);

/** Values that hold the same words at a deeper place, and text that looks like JSON. */
const value: fc.Arbitrary<Json> = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<Json>(
    { id: 1, nested: { id: 2 } },
    ['id', { id: 3 }],
    '{"id":4}',
    '","id":5,"x":"',
    '\\',
    '\\"',
    '\\\\',
    '}',
    ']',
    -1.5e-7,
  ),
);

const members = fc.array(fc.tuple(name, value), { maxLength: 8 });
const space = fc
  .array(fc.constantFrom(' ', '\n', '\r', '\t'), { maxLength: 3 })
  .map((s) => s.join(''));

/** Writes members as JSON with any white space, and names with any character escaped. */
const written = fc
  .tuple(members, fc.array(space, { minLength: 40, maxLength: 40 }), fc.boolean())
  .map(([list, spaces, escaped]) => {
    let used = 0;
    const gap = () => spaces[used++ % spaces.length] ?? '';
    const pairs = list.map(([key, item]) => {
      const text = escaped ? escapeAll(key) : JSON.stringify(key);
      return `${gap()}${text}${gap()}:${gap()}${JSON.stringify(item, null, gap())}${gap()}`;
    });
    return { list, text: `${gap()}{${pairs.join(',') || gap()}}${gap()}` };
  });

function escapeAll(text: string): string {
  const units = Array.from({ length: text.length }, (_, index) => text.charCodeAt(index));
  return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`;
}

function repeated(list: Members, names: readonly string[]): boolean {
  return names.some((one) => list.filter(([key]) => key === one).length > 1);
}

const NAMES = ['id', 'method', 'params'];

describe('top-level members of a JSON text', () => {
  it('T29: finds the value of each name, at the top level alone, in any spelling', () => {
    fc.assert(
      fc.property(written, ({ list, text }) => {
        fc.pre(!repeated(list, NAMES));
        const { spans, duplicate } = topLevelMembers(text, NAMES);
        expect(duplicate).toBeUndefined();
        const wanted = list.filter(([key]) => NAMES.includes(key));
        expect([...spans.keys()]).toEqual(wanted.map(([key]) => key));
        for (const [key, item] of wanted) {
          const span = spans.get(key);
          if (span === undefined) throw new Error(`${key} was not found`);
          expect(JSON.parse(text.slice(span.start, span.end))).toEqual(
            JSON.parse(JSON.stringify(item)),
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  it('[GHSA-345p-7cg4-v4c7] changes the id and not one other byte', () => {
    const id = fc.oneof(fc.string(), fc.maxSafeInteger());
    fc.assert(
      fc.property(written, id, ({ list, text }, next) => {
        fc.pre(list.filter(([key]) => key === 'id').length === 1);
        const span = topLevelMembers(text, ['id']).spans.get('id');
        if (span === undefined) throw new Error('the id was not found');
        const spliced = spliceSpan(text, span, JSON.stringify(next));
        expect(spliced.slice(0, span.start)).toBe(text.slice(0, span.start));
        expect(spliced.slice(span.start + JSON.stringify(next).length)).toBe(text.slice(span.end));
        const before = JSON.parse(text);
        expect(JSON.parse(spliced)).toEqual({ ...before, id: next });
      }),
      { numRuns: 500 },
    );
  });

  it('names a member that stands twice, also when one of the two is escaped', () => {
    fc.assert(
      fc.property(written, ({ list, text }) => {
        const { duplicate } = topLevelMembers(text, NAMES);
        expect(duplicate !== undefined).toBe(repeated(list, NAMES));
      }),
      { numRuns: 500 },
    );
    const texts = [
      '{"id":1,"id":2}',
      '{"id":1,"\\u0069d":2}',
      '{"i\\u0064":1,"x":{"id":3},"id":2}',
    ];
    for (const text of texts) expect(topLevelMembers(text, ['id']).duplicate).toBe('id');
    expect(topLevelMembers('{"id":1,"x":{"id":2}}', ['id']).duplicate).toBeUndefined();
  });

  it('stops after the member that was asked for, however long the rest is', () => {
    const text = '{"jsonrpc":"2.0","id":7,"id":8}';
    const { spans, duplicate } = topLevelMembers(text, ['id'], 'id');
    expect(duplicate).toBeUndefined();
    expect(spans.get('id')).toEqual({ start: 22, end: 23 });
  });

  it('lists all names in their order, repeats included', () => {
    fc.assert(
      fc.property(written, ({ list, text }) => {
        expect(topLevelNames(text)).toEqual(list.map(([key]) => key));
      }),
    );
    expect(topLevelNames('{}')).toEqual([]);
    expect(topLevelNames(' { } ')).toEqual([]);
  });

  it('takes time in proportion to the text, however it was built', () => {
    const quotes = JSON.stringify({ a: '\\"'.repeat(300_000), b: '['.repeat(300_000), id: 1 });
    const deep = `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)},"id":1}`;
    for (const text of [quotes, deep]) {
      expect(topLevelMembers(text, ['id']).spans.has('id')).toBe(true);
    }
  });
});
