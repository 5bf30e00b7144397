import { describe, expect, it, setDefaultTimeout } from 'bun:test';
import fc from 'fast-check';
import {
  Members,
  memberNames,
  memberSpan,
  type Span,
  spanAtPath,
  spliceSpan,
} from '../../app/base/splice.ts';

// Thousands of runs, on a machine that may have other work too.
setDefaultTimeout(30_000);

type Json = fc.JsonValue;
type Written = readonly (readonly [string, Json])[];

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

function repeated(list: Written, names: readonly string[]): boolean {
  return names.some((one) => list.filter(([key]) => key === one).length > 1);
}

const NAMES = ['id', 'method', 'params'];

/** Every member as the walk gives it. */
function walked(text: string): (Span & { readonly name: string })[] {
  const members = new Members(text);
  const all: (Span & { readonly name: string })[] = [];
  while (members.next()) {
    all.push({ name: members.name, start: members.start, end: members.end });
  }
  return all;
}

describe('top-level members of a JSON text', () => {
  it('T29: walks over each name and value, at the top level alone, in any spelling', () => {
    fc.assert(
      fc.property(written, ({ list, text }) => {
        const found = walked(text);
        expect(memberNames(text)).toEqual(list.map(([key]) => key));
        expect(found.map(({ name }) => name)).toEqual(memberNames(text));
        for (const [index, { start, end }] of found.entries()) {
          const item = list[index]?.[1];
          expect(JSON.parse(text.slice(start, end))).toEqual(JSON.parse(JSON.stringify(item)));
        }
      }),
      { numRuns: 500 },
    );
    expect(walked('{}')).toEqual([]);
    expect(walked(' { } ')).toEqual([]);
  });

  it('gives every name decoded, and nothing from within the values', () => {
    const text = ' { "a" : {"b":[{"c":"}"}]} , "d\\u0065":"\\"x\\\\" ,"a":[1,{"e":2}],"f":-1e3} ';
    expect(walked(text).map(({ name }) => name)).toEqual(['a', 'de', 'a', 'f']);
  });

  it('[GHSA-345p-7cg4-v4c7] changes the id and not one other byte', () => {
    const id = fc.oneof(fc.string(), fc.maxSafeInteger());
    fc.assert(
      fc.property(written, id, ({ list, text }, next) => {
        fc.pre(list.filter(([key]) => key === 'id').length === 1);
        const span = memberSpan(text, 'id');
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

  it('tells a member that stands twice, also when one of the two is escaped', () => {
    fc.assert(
      fc.property(written, fc.constantFrom(...NAMES), ({ list, text }, name) => {
        const found = spanAtPath(text, [name]);
        expect(found === 'ambiguous').toBe(repeated(list, [name]));
      }),
      { numRuns: 500 },
    );
    const texts = [
      '{"id":1,"id":2}',
      '{"id":1,"\\u0069d":2}',
      '{"i\\u0064":1,"x":{"id":3},"id":2}',
    ];
    for (const text of texts) expect(spanAtPath(text, ['id'])).toBe('ambiguous');
    expect(spanAtPath('{"id":1,"x":{"id":2}}', ['id'])).toEqual({ start: 6, end: 7 });
  });

  it('finds the first of a name, whatever stands behind it', () => {
    const text = '{"jsonrpc":"2.0","id":7,"id":8}';
    expect(memberSpan(text, 'id')).toEqual({ start: 22, end: 23 });
    expect(memberSpan(text, 'method')).toBeUndefined();
  });

  it('takes time in proportion to the text, however it was built', () => {
    const quotes = JSON.stringify({ a: '\\"'.repeat(300_000), b: '['.repeat(300_000), id: 1 });
    const deep = `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)},"id":1}`;
    for (const text of [quotes, deep]) expect(memberSpan(text, 'id')).toBeDefined();
  });
});
