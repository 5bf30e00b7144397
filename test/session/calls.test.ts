import { describe, expect, it } from 'bun:test';
import fc from 'fast-check';
import type { OwnedSession } from '../../app/session/registry.ts';
import type { FakeChild } from '../support/fake-child.ts';
import {
  bench,
  CALLS_MAX,
  notification,
  opened,
  owner,
  request,
  requestFrom,
  settled,
} from '../support/session-registry.ts';

async function setUp(options: Parameters<typeof bench>[0] = {}) {
  const made = bench(options);
  const { session, sessionId } = await opened(made.registry);
  return { ...made, session, sessionId, child: made.supervisor.last };
}

/** The id under which the child knows the request with this method. */
const idOf = (child: FakeChild, method: string) =>
  child.messages.find((message) => message.method === method)?.id as number;

describe('a call without an answer', () => {
  it('T28: ends after the limit with a JSON-RPC error, and the child is told', async () => {
    const { session, child, clock } = await setUp({ limits: { requestTimeoutMs: 60_000 } });
    const { answer } = session.call(request('tools/call', 'mine'));
    clock.advance(59_999);
    expect(child.messages.at(-1)?.method).toBe('tools/call');
    clock.advance(1);
    expect(JSON.parse(await answer)).toEqual({
      jsonrpc: '2.0',
      id: 'mine',
      error: { code: -32001, message: 'the request timed out' },
    });
    expect(child.messages.at(-1)).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: idOf(child, 'tools/call'), reason: 'the request timed out' },
    });
  });

  it('T28: drops the answer that comes after the limit', async () => {
    const { session, child, clock, metrics } = await setUp({ limits: { requestTimeoutMs: 1000 } });
    const { answer } = session.call(request('tools/call'));
    clock.advance(1000);
    await answer;
    child.answers({ late: true }, 'tools/call');
    const dropped = await metrics.registry.getSingleMetricAsString(
      'fjmcp_child_lines_dropped_total',
    );
    expect(dropped).toContain('{reason="nobody_waits"} 1');
  });

  it('T28: waits anew after each sign of progress, up to the absolute limit', async () => {
    const { session, child, clock } = await setUp({
      limits: { requestTimeoutMs: 1000, requestTimeoutTotalMs: 3000 },
    });
    const call = request('tools/call', 1, { _meta: { progressToken: 'p' } });
    const { answer } = session.call(call);
    let answered = false;
    void answer.then(() => {
      answered = true;
    });
    const params = { progressToken: idOf(child, 'tools/call'), progress: 1 };
    for (let passed = 0; passed < 2900; passed += 725) {
      clock.advance(725);
      child.says({ jsonrpc: '2.0', method: 'notifications/progress', params });
      await settled();
      expect(answered).toBe(false);
    }
    clock.advance(99);
    await settled();
    expect(answered).toBe(false);
    clock.advance(1);
    expect(JSON.parse(await answer).error.code).toBe(-32001);
    expect(child.messages.at(-1)?.method).toBe('notifications/cancelled');
  });

  it('T28: takes no progress of another call for a sign of life', async () => {
    const { session, child, clock } = await setUp({ limits: { requestTimeoutMs: 1000 } });
    const one = session.call(request('one', 1, { _meta: { progressToken: 'p' } })).answer;
    session.call(request('two', 2, { _meta: { progressToken: 'p' } }));
    clock.advance(900);
    const params = { progressToken: idOf(child, 'two'), progress: 1 };
    child.says({ jsonrpc: '2.0', method: 'notifications/progress', params });
    clock.advance(100);
    expect(JSON.parse(await one).error.code).toBe(-32001);
  });

  it('gets a JSON-RPC error, each one, when the child dies in the middle of it', async () => {
    const { session, child, registry, sessionId, sessions } = await setUp();
    const calls = ['a', 'b', 7].map((id) => session.call(request('tools/call', id)).answer);
    child.exit(2);
    const answers = (await Promise.all(calls)).map((text) => JSON.parse(text));
    expect(answers.map((answer) => answer.id)).toEqual(['a', 'b', 7]);
    expect(answers.map((answer) => answer.error.code)).toEqual([-32000, -32000, -32000]);
    await settled();
    expect(await registry.find(sessionId, owner())).toBe(session);
    expect(sessions.rows.size).toBe(1);
  });

  it('gets an error at once when the child reads no more', async () => {
    const { session, child } = await setUp();
    child.refuses = 'full';
    expect(JSON.parse(await session.call(request('tools/call', 4)).answer)).toMatchObject({
      id: 4,
      error: { code: -32000 },
    });
    expect(session.notify(notification('notifications/x'))).toEqual({ ok: false, error: 'full' });
  });

  it('gets an error beyond the number of calls that may wait, and none at it', async () => {
    const { session, child, metrics } = await setUp();
    const waiting = Array.from({ length: CALLS_MAX }, (_, i) => session.call(request('m', i)));
    expect(child.sent).toHaveLength(1 + CALLS_MAX);
    const beyond = await session.call(request('m', 'beyond')).answer;
    expect(JSON.parse(beyond)).toMatchObject({ id: 'beyond', error: { code: -32000 } });
    expect(child.sent).toHaveLength(1 + CALLS_MAX);
    child.answers({}, 'm');
    await waiting.at(-1)?.answer;
    session.call(request('m', 'again'));
    expect(child.sent).toHaveLength(2 + CALLS_MAX);
    expect(await metrics.registry.getSingleMetricAsString('fjmcp_limits_reached_total')).toContain(
      'MAX_CALLS_PER_SESSION',
    );
  });

  it('gets an error on a session that has ended', async () => {
    const { session, child } = await setUp();
    await session.end('test');
    const sent = child.sent.length;
    expect(JSON.parse(await session.call(request('tools/call', 3)).answer)).toMatchObject({
      id: 3,
      error: { code: -32000 },
    });
    expect(session.notify(notification('notifications/x'))).toEqual({ ok: false, error: 'gone' });
    expect(child.sent).toHaveLength(sent);
  });

  it('P2: is refused when it is a second initialize, which could promise more', async () => {
    const { session, child } = await setUp();
    const text = await session.call(request('initialize', 9, { capabilities: { sampling: {} } }))
      .answer;
    expect(JSON.parse(text)).toMatchObject({ id: 9, error: { code: -32600 } });
    expect(child.sent).toHaveLength(1);
  });
});

describe('ids of requests (JSON-RPC 2.0 section 4)', () => {
  it('P8: gives each request an id of our own that no other has had in this session', async () => {
    const { session, child } = await setUp();
    for (const id of [1, 1, 'x', 1, 0]) session.call(request('m', id));
    const ids = child.messages.map((message) => message.id);
    expect(new Set(ids).size).toBe(6);
    child.answers({}, 'm');
    session.call(request('m', 1));
    expect(ids).not.toContain(child.messages.at(-1)?.id);
  });

  it('P8: answers several requests at once in whatever order the child answers', async () => {
    const { session, child } = await setUp();
    const calls = ['one', 'two', 'three'].map((name) => ({
      name,
      answer: session.call(request(name, `id of ${name}`)).answer,
    }));
    const finished: string[] = [];
    for (const { name, answer } of calls) void answer.then(() => finished.push(name));
    for (const name of ['three', 'one', 'two']) {
      child.answers({ name }, name);
      await settled();
    }
    expect(finished).toEqual(['three', 'one', 'two']);
    for (const { name, answer } of calls) {
      expect(JSON.parse(await answer)).toEqual({
        jsonrpc: '2.0',
        id: `id of ${name}`,
        result: { name },
      });
    }
  });

  it('[GHSA-345p-7cg4-v4c7] never mixes answers of sessions whose clients use the same ids', async () => {
    const id = fc.oneof(fc.integer({ min: 0, max: 2 }), fc.constantFrom('1', 'a'));
    const step = fc.record({ session: fc.integer({ min: 0, max: 2 }), id });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 30 }),
        fc.infiniteStream(fc.nat()),
        async (steps, picks) => {
          const { registry, supervisor } = bench();
          const sessions: { session: OwnedSession; child: FakeChild; account: number }[] = [];
          for (const account of [1, 2, 3]) {
            const { session } = await opened(registry, owner(account));
            sessions.push({ session, child: supervisor.last, account });
          }
          const calls = steps.map(({ session: index, id }, n) => {
            const at = sessions[index]!;
            return { at, id, n, answer: at.session.call(request(`m${n}`, id)).answer };
          });
          const open = [...calls];
          while (open.length > 0) {
            const [call] = open.splice((picks.next().value ?? 0) % open.length, 1);
            call!.at.child.answers({ account: call!.at.account, n: call!.n }, `m${call!.n}`);
          }
          for (const { at, id, n, answer } of calls) {
            expect(JSON.parse(await answer)).toEqual({
              jsonrpc: '2.0',
              id,
              result: { account: at.account, n },
            });
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it('P8: changes the id and no other byte of a request', async () => {
    const { session, child } = await setUp();
    const before =
      '{ "method":"tools/call", "params":{"id":"7","n":1.50,"big":12345678901234567890}';
    session.call(requestFrom(`${before},"id" : "7" ,"jsonrpc":"2.0"}`));
    expect(child.sent.at(-1)).toBe(`${before},"id" : 2 ,"jsonrpc":"2.0"}`);
  });

  it('P8: changes the id and no other byte of an answer', async () => {
    const { session, child } = await setUp();
    const { answer } = session.call(requestFrom('{"jsonrpc":"2.0","id":"\\u0041","method":"m"}'));
    const result = '"result":{"id":2,"n":1.50,"big":12345678901234567890,"text":"\\u00e9é"}';
    child.says(`{${result}, "id": 2,"jsonrpc":"2.0"}`);
    expect(await answer).toBe(`{${result}, "id": "\\u0041","jsonrpc":"2.0"}`);
  });

  it('P8: gives each request a progress token that no other active one has', async () => {
    const { session, child } = await setUp();
    const before = '{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":{"progressToken":0},';
    for (const token of ['0', '"mine"', '0']) {
      session.call(requestFrom(`${before} "_meta":{"x":1,"progressToken": ${token} }}}`));
    }
    expect(child.sent.slice(1)).toEqual(
      [2, 3, 4].map(
        (id) =>
          `{"jsonrpc":"2.0","id":${id},"method":"m","params":{"a":{"progressToken":0},` +
          ` "_meta":{"x":1,"progressToken": ${id} }}}`,
      ),
    );
  });

  it('P8: leaves what is no progress token as it is', async () => {
    const { session, child } = await setUp();
    for (const meta of ['null', '{}', '[]', '{"progressToken":null}', '{"progressToken":{}}']) {
      session.call(requestFrom(`{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":${meta}}}`));
      expect(child.sent.at(-1)).toContain(`"params":{"_meta":${meta}}`);
    }
  });

  it('gives an answer on one line although the child used carriage returns as space', async () => {
    const { session, child } = await setUp();
    const { answer } = session.call(request('m', 5));
    child.says('{"jsonrpc":"2.0",\r"id":2,\r"result":{"text":"a\\rb"}}');
    expect(await answer).toBe('{"jsonrpc":"2.0", "id":5, "result":{"text":"a\\rb"}}');
  });

  it('drops an answer that carries two ids', async () => {
    const { session, child, clock } = await setUp();
    const one = session.call(request('one', 1)).answer;
    const two = session.call(request('two', 2)).answer;
    child.says('{"jsonrpc":"2.0","id":2,"result":{},"id":3}');
    clock.advance(5 * 60_000);
    expect(JSON.parse(await one).error.code).toBe(-32001);
    expect(JSON.parse(await two).error.code).toBe(-32001);
  });
});

describe('lines of a child that are no answer', () => {
  const NOISE = {
    'not JSON': 'panic: runtime error',
    'an error without an id': '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}',
    'a batch': '[{"jsonrpc":"2.0","id":2,"result":{}}]',
    'no message': '{"hello":"world"}',
    'an id that nobody waits for': '{"jsonrpc":"2.0","id":4711,"result":{}}',
    'an id as a string': '{"jsonrpc":"2.0","id":"2","result":{}}',
    'progress of a call that is not there':
      '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":9,"progress":1}}',
    'the cancellation of a question that is not there':
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}}',
  };
  for (const [name, line] of Object.entries(NOISE)) {
    it(`P11: drops and counts ${name}, and the session lives on`, async () => {
      const { session, child, metrics } = await setUp();
      const { answer } = session.call(request('m', 1));
      child.says(line);
      child.answers({ fine: true }, 'm');
      expect(JSON.parse(await answer).result).toEqual({ fine: true });
      const dropped = await metrics.registry.getSingleMetricAsString(
        'fjmcp_child_lines_dropped_total',
      );
      expect(dropped).toContain('} 1');
      expect(child.stopReason).toBeUndefined();
    });
  }

  it('answers a ping of the child with an empty result', async () => {
    const { child } = await setUp();
    child.says({ jsonrpc: '2.0', id: 'ping-1', method: 'ping' });
    expect(child.messages.at(-1)).toEqual({ jsonrpc: '2.0', id: 'ping-1', result: {} });
  });

  it('takes a question of the child whose id one of our requests has for a question', async () => {
    const { session, child } = await setUp();
    const { answer } = session.call(request('m', 1));
    child.says({ jsonrpc: '2.0', id: 2, method: 'ping' });
    child.answers({ mine: true }, 'm');
    expect(JSON.parse(await answer).result).toEqual({ mine: true });
  });
});

describe('notifications of the client', () => {
  it('P2: reach the child as they are', async () => {
    const { session, child } = await setUp();
    expect(session.notify(notification('notifications/initialized')).ok).toBe(true);
    expect(child.sent.at(-1)).toBe('{"jsonrpc":"2.0","method":"notifications/initialized"}');
  });

  it('cancel a request under the id that the child knows', async () => {
    const { session, child } = await setUp();
    const { answer } = session.call(request('tools/call', 'mine'));
    session.notify(
      notification('notifications/cancelled', { requestId: 'mine', reason: 'changed my mind' }),
    );
    expect(child.messages.at(-1)).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: idOf(child, 'tools/call'), reason: 'changed my mind' },
    });
    expect(JSON.parse(await answer)).toMatchObject({ id: 'mine', error: { code: -32000 } });
  });

  it('P10: carry the reason of a cancellation to the child, and nothing else that stands there', async () => {
    const { session, child } = await setUp();
    const deep: unknown = JSON.parse('['.repeat(50_000) + ']'.repeat(50_000));
    for (const more of [
      { requestID: 1, reason: 'why' },
      { REQUESTID: 1, reason: deep },
      { deep },
    ]) {
      session.call(request('tools/call', 'mine'));
      const requestId = child.messages.at(-1)?.id;
      const method = 'notifications/cancelled';
      const params = { requestId: 'mine', ...more };
      expect(session.notify({ kind: 'notification', method, params, text: '' }).ok).toBe(true);
      const reason = more.reason === 'why' ? { reason: 'why' } : {};
      expect(child.messages.at(-1)).toEqual({
        jsonrpc: '2.0',
        method,
        params: { requestId, ...reason },
      });
    }
  });

  it('cancel nothing when nobody waits under that id', async () => {
    const { session, child } = await setUp();
    session.call(request('tools/call', 1));
    const sent = child.sent.length;
    for (const requestId of ['1', 2, null, undefined]) {
      session.notify(notification('notifications/cancelled', { requestId }));
    }
    session.notify(notification('notifications/cancelled'));
    expect(child.sent).toHaveLength(sent);
  });

  it('pass no answer of the client to the child, which asked it nothing', async () => {
    const { session, child } = await setUp();
    const text = '{"jsonrpc":"2.0","id":1,"result":{}}';
    expect(session.notify({ kind: 'response', id: 1, failed: false, text }).ok).toBe(true);
    expect(child.sent).toHaveLength(1);
  });
});
