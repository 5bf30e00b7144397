import { describe, expect, it, setDefaultTimeout } from 'bun:test';
import fc from 'fast-check';
import { errorText, isRequestId, parseMessage, resultText } from '../../app/base/message.ts';

// Thousands of runs, on a machine that may have other work too.
setDefaultTimeout(30_000);

const fault = (text: string) => {
  const outcome = parseMessage(text);
  return outcome.ok ? undefined : outcome.error;
};

describe('JSON-RPC messages', () => {
  it.each(['', '{', 'undefined', '{"jsonrpc":"2.0",}', "{'jsonrpc':'2.0'}", '\u0000'])(
    'T29: tells %p, which is no JSON, from a wrong message',
    (text) => {
      expect(fault(text)).toMatchObject({ kind: 'parse' });
    },
  );

  it.each(['[]', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', ' [1]'])(
    'T4: tells the array %s from a message',
    (text) => {
      expect(fault(text)).toEqual({ kind: 'batch' });
    },
  );

  it.each([
    ['null', null],
    ['7', null],
    ['"text"', null],
    ['{}', null],
    ['{"id":1,"method":"ping"}', 1],
    ['{"jsonrpc":"1.0","id":"a","method":"ping"}', 'a'],
    ['{"jsonrpc":"2.0","id":1,"method":7}', 1],
    ['{"jsonrpc":"2.0","id":1,"method":"a","params":7}', 1],
    ['{"jsonrpc":"2.0","id":1,"method":"a","params":null}', 1],
    ['{"jsonrpc":"2.0","id":null,"method":"a"}', null],
    ['{"jsonrpc":"2.0","id":1.5,"method":"a"}', null],
    ['{"jsonrpc":"2.0","id":true,"method":"a"}', null],
    ['{"jsonrpc":"2.0","id":{},"method":"a"}', null],
    ['{"jsonrpc":"2.0","id":9007199254740993,"method":"a"}', null],
    ['{"jsonrpc":"2.0","id":1}', 1],
    ['{"jsonrpc":"2.0","id":1,"result":{},"error":{}}', 1],
    ['{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}', 1],
    ['{"jsonrpc":"2.0","id":1,"method":"ping","error":{}}', 1],
    ['{"jsonrpc":"2.0","method":"notifications/initialized","result":{}}', null],
    ['{"jsonrpc":"2.0","id":null,"result":{}}', null],
    ['{"jsonrpc":"2.0","result":{}}', null],
  ] as const)('T29: refuses %s, and keeps an id that can be read', (text, id) => {
    expect(fault(text)).toMatchObject({ kind: 'invalid', id });
  });

  it('T4: tells requests, notifications and responses apart, and keeps their text', () => {
    const cases = {
      ' {"jsonrpc":"2.0","id":"a","method":"tools/call","params":{}}': {
        kind: 'request',
        id: 'a',
        method: 'tools/call',
        params: {},
      },
      '{"jsonrpc":"2.0","method":"notifications/initialized"}': {
        kind: 'notification',
        method: 'notifications/initialized',
      },
      '{"jsonrpc":"2.0","id":0,"result":null}': { kind: 'response', id: 0, failed: false },
      '{"jsonrpc":"2.0","id":-1,"error":{"code":1,"message":""}}': {
        kind: 'response',
        id: -1,
        failed: true,
      },
    };
    for (const [text, expected] of Object.entries(cases)) {
      const outcome = parseMessage(text);
      expect(outcome).toMatchObject({ ok: true, value: { ...expected, text } });
    }
  });

  it('throws at nothing, whatever the text', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.json());
    fc.assert(fc.property(text, (candidate) => void parseMessage(candidate)));
  });

  it('T29: takes strings and integers that JSON keeps exactly as ids', () => {
    for (const id of ['', 'a', 0, -1, 2 ** 53 - 1]) expect(isRequestId(id)).toBe(true);
    for (const id of [null, undefined, 1.5, 2 ** 53, Number.NaN, {}, [], true]) {
      expect(isRequestId(id)).toBe(false);
    }
  });

  it('writes what it reads', () => {
    const id = fc.oneof(fc.string(), fc.maxSafeInteger());
    fc.assert(
      fc.property(id, fc.jsonValue(), fc.string(), (requestId, result, message) => {
        const success = parseMessage(resultText(requestId, { result }));
        expect(success).toMatchObject({ ok: true, value: { id: requestId, failed: false } });
        const failure = parseMessage(errorText(requestId, -32000, message));
        expect(failure).toMatchObject({ ok: true, value: { id: requestId, failed: true } });
      }),
    );
    expect(JSON.parse(errorText(null, -32700, 'x'))).toEqual({
      jsonrpc: '2.0',
      id: null,
      error: { code: -32700, message: 'x' },
    });
    expect(JSON.parse(errorText(1, 2, 'x', { a: 1 })).error.data).toEqual({ a: 1 });
  });
});
