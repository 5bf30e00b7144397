import { describe, expect, it } from 'bun:test';
import fc from 'fast-check';
import { arrayElements, spanAtPath, spliceSpan } from '../../app/base/splice.ts';

const PATH = ['params', '_meta', 'progressToken'];

describe('spanAtPath', () => {
  const at = (text: string, path: readonly string[] = PATH) => {
    const span = spanAtPath(text, path);
    return typeof span === 'object' ? text.slice(span.start, span.end) : span;
  };

  for (const text of [
    '{}',
    '{"params":null}',
    '{"params":[]}',
    '{"params":{"_meta":"progressToken"}}',
    '{"params":{"_meta":[{"progressToken":1}]}}',
    '{"_meta":{"progressToken":1},"params":{"x":{"_meta":{"progressToken":1}}}}',
  ]) {
    it(`finds nothing in ${text}`, () => expect(at(text)).toBeUndefined());
  }

  for (const text of [
    '{"params":{},"params":{"_meta":{"progressToken":1}}}',
    '{"params":{"_meta":{},"_meta":{"progressToken":1}}}',
    '{"params":{"_meta":{"progressToken":1,"progress\\u0054oken":2}}}',
  ]) {
    it(`says that ${text} is ambiguous`, () => expect(at(text)).toBe('ambiguous'));
  }

  it('finds the value wherever it stands', () => {
    expect(at(' { "a":[{}], "params" : {"x":"}", "_meta" :{"progressToken" : "a\\"b" }}}')).toBe(
      '"a\\"b"',
    );
    expect(at('\n{"id":7}', ['id'])).toBe('7');
  });

  it('lets any value be replaced and leaves the rest as JSON.parse sees it', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.nat(4), (other, value, indent) => {
        const message = {
          a: other,
          params: { b: other, _meta: { progressToken: value, c: other } },
        };
        const text = JSON.stringify(message, null, indent);
        const span = spanAtPath(text, PATH);
        if (typeof span !== 'object') throw new Error('not found');
        message.params._meta.progressToken = 'new';
        expect(JSON.parse(spliceSpan(text, span, '"new"'))).toEqual(
          JSON.parse(JSON.stringify(message)),
        );
      }),
    );
  });
});

describe('arrayElements', () => {
  it('gives the elements of any array as JSON.parse sees them', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.nat(4), (values, indent) => {
        const text = ` ${JSON.stringify(values, null, indent)} `;
        const parts = arrayElements(text).map(({ start, end }) => text.slice(start, end));
        expect(parts.map((part) => JSON.parse(part))).toEqual(JSON.parse(text));
      }),
    );
  });
});
