import { describe, expect, it } from 'bun:test';
import { HELD_CHARACTERS_MAX } from '../../app/session/outbound.ts';
import {
  CALLS_MAX,
  HELD_MESSAGES_MAX,
  notification,
  request,
  requestFrom,
  settled,
} from '../support/session-registry.ts';
import { heard, listens, talk } from '../support/talk.ts';

const LOG = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 1 } };
const CHANGED = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };

const progress = (token: unknown, n = 1) => ({
  jsonrpc: '2.0',
  method: 'notifications/progress',
  params: { progressToken: token, progress: n },
});

describe('what the child says unasked', () => {
  it('T15: goes on the stream of the one call under way, also while somebody listens', async () => {
    const { session, child } = await talk();
    const listening = listens(session);
    const call = session.call(request('m', 'mine'));
    child.says(LOG);
    child.answers({ done: true }, 'm');
    await settled();
    expect(call.plain).toBe(false);
    expect(heard(call.read())).toEqual([
      LOG,
      { jsonrpc: '2.0', id: 'mine', result: { done: true } },
    ]);
    expect(heard(listening)).toEqual([]);
  });

  it('T15: goes on the listening stream when several calls are under way', async () => {
    const { session, child } = await talk();
    const listening = listens(session);
    const calls = [session.call(request('a', 1)), session.call(request('b', 2))];
    child.says(LOG);
    child.answers({}, 'a');
    child.answers({}, 'b');
    await settled();
    expect(calls.map(({ plain }) => plain)).toEqual([true, true]);
    expect(heard(listening)).toEqual([LOG]);
  });

  it('T15: goes on the newest of several calls when nobody listens', async () => {
    const { session, child } = await talk();
    const older = session.call(request('a', 1));
    const newer = session.call(request('b', 2));
    child.says(LOG);
    expect(heard(newer.read())).toEqual([LOG]);
    child.answers({}, 'a');
    await settled();
    expect(older.plain).toBe(true);
    expect(heard(listens(session))).toEqual([]);
  });

  it('T13: waits for whoever listens next when no call is under way', async () => {
    const { session, child } = await talk();
    child.says(LOG);
    child.says(CHANGED);
    expect(heard(listens(session))).toEqual([LOG, CHANGED]);
    expect(heard(listens(session))).toEqual([]);
  });

  it('T15: goes on the listening stream for a client that reads only JSON', async () => {
    const { session, child } = await talk();
    const call = session.call(request('m', 1, { _meta: { progressToken: 7 } }), false);
    child.says(LOG);
    child.says(progress(2));
    child.answers({}, 'm');
    expect(JSON.parse(await call.answer)).toMatchObject({ id: 1, result: {} });
    expect(heard(listens(session))).toEqual([LOG, progress(7)]);
  });

  it('T14: is never an answer on the listening stream', async () => {
    const { session, child, clock } = await talk();
    const listening = listens(session);
    session.call(request('m', 1));
    clock.advance(5 * 60_000);
    await settled();
    child.answers({ late: true }, 'm');
    child.says({ jsonrpc: '2.0', id: 4711, result: {} });
    expect(heard(listening)).toEqual([]);
  });

  it('T11: the answer is the last message of its stream, which then ends', async () => {
    const { session, child } = await talk();
    const call = session.call(request('m', 1));
    child.says(LOG);
    await call.decided;
    const source = call.read();
    expect(heard(source)).toEqual([LOG]);
    expect(source.state).toBe('open');
    child.answers({}, 'm');
    await settled();
    child.says(LOG);
    expect(heard(source)).toHaveLength(1);
    expect(source.state).toBe('ended');
  });

  it('passes byte for byte', async () => {
    const { session, child } = await talk();
    const text = '{ "params":{"big":12345678901234567890,"n":1.50},"method":"x","jsonrpc":"2.0"}';
    child.says(text);
    const source = listens(session);
    source.next();
    expect(source.next()?.data).toBe(text);
  });
});

describe('progress of a call (MCP progress)', () => {
  it('P8: goes back under the token of the client, with no other byte changed', async () => {
    const { session, child } = await talk();
    const call = session.call(
      requestFrom(
        '{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":"t\\u0041"}}}',
      ),
    );
    child.says(
      '{"method":"notifications/progress", "params":{"x":2,"progressToken" : 2 },"jsonrpc":"2.0"}',
    );
    const source = call.read();
    source.next();
    expect(source.next()?.data).toBe(
      '{"method":"notifications/progress", "params":{"x":2,"progressToken" : "t\\u0041" },"jsonrpc":"2.0"}',
    );
  });

  it('P8: goes to the call whose token it is, whatever the clients have called theirs', async () => {
    const { session, child } = await talk();
    const calls = ['a', 'b', 'c'].map((method) =>
      session.call(request(method, 1, { _meta: { progressToken: 'same' } })),
    );
    child.says(progress(3, 30));
    child.says(progress(2, 20));
    expect(calls.map((call) => heard(call.read()))).toEqual([
      [progress('same', 20)],
      [progress('same', 30)],
      [],
    ]);
  });

  it('is dropped and counted when no call has that token', async () => {
    const { session, child, metrics } = await talk();
    session.call(request('without a token', 1));
    const listening = listens(session);
    for (const token of [2, 9, '2', 'x', null, undefined, {}]) child.says(progress(token));
    expect(heard(listening)).toEqual([]);
    expect(
      await metrics.registry.getSingleMetricAsString('fjmcp_child_lines_dropped_total'),
    ).toContain('{reason="unknown_progress"} 7');
  });

  it('is dropped after the answer', async () => {
    const { session, child } = await talk();
    const call = session.call(request('m', 1, { _meta: { progressToken: 'p' } }));
    child.answers({}, 'm');
    await settled();
    child.says(progress(2));
    expect(call.plain).toBe(true);
    expect(heard(listens(session))).toEqual([]);
  });

  it('is refused to a call whose token stands twice', async () => {
    const { session, child } = await talk();
    const sent = child.sent.length;
    const { answer } = session.call(
      requestFrom(
        '{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":1,"progressToken":2}}}',
      ),
    );
    expect(JSON.parse(await answer)).toMatchObject({ id: 1, error: { code: -32600 } });
    expect(child.sent).toHaveLength(sent);
  });
});

describe('before the client is initialized (MCP lifecycle, Initialization)', () => {
  it('T26: nothing but logs reaches it; the rest follows in its order', async () => {
    const { session, child } = await talk({ initialized: false, capabilities: { roots: {} } });
    const roots = { jsonrpc: '2.0', id: 'r', method: 'roots/list' };
    child.says(CHANGED);
    child.says(LOG);
    child.says(roots);
    const listening = listens(session);
    expect(heard(listening)).toEqual([LOG]);
    session.notify(notification('notifications/initialized'));
    expect(heard(listening)).toMatchObject([CHANGED, { method: 'roots/list' }]);
  });

  it('T26: the answer to a call and its ping pass all the same', async () => {
    const { session, child } = await talk({ initialized: false });
    expect(JSON.parse(await session.call(request('ping', 1)).answer).result).toEqual({});
    const { answer } = session.call(request('m', 2));
    child.answers({ fine: true }, 'm');
    expect(JSON.parse(await answer).result).toEqual({ fine: true });
  });

  it('T26: holds as many messages as it says, and refuses a question beyond them', async () => {
    const { session, child, metrics } = await talk({
      initialized: false,
      capabilities: { roots: {} },
    });
    for (let n = 0; n < HELD_MESSAGES_MAX; n += 1) child.says(CHANGED);
    child.says(CHANGED);
    child.says({ jsonrpc: '2.0', id: 'r', method: 'roots/list' });
    expect(child.messages.at(-1)).toMatchObject({ id: 'r', error: { code: -32000 } });
    session.notify(notification('notifications/initialized'));
    expect(heard(listens(session))).toHaveLength(HELD_MESSAGES_MAX);
    const limits = await metrics.registry.getSingleMetricAsString('fjmcp_limits_reached_total');
    expect(limits).toContain('{limit="MAX_HELD_MESSAGES"} 2');
  });

  it('T26: holds as many characters as it says', async () => {
    const { session, child } = await talk({ initialized: false });
    const text = JSON.stringify(CHANGED);
    child.says(`${text}${' '.repeat(HELD_CHARACTERS_MAX - text.length)}`);
    child.says(text);
    session.notify(notification('notifications/initialized'));
    expect(heard(listens(session))).toHaveLength(1);
  });
});

describe('ping of the client (MCP ping)', () => {
  it('T27: is answered at once although the child reads nothing', async () => {
    const { session, child } = await talk();
    child.refuses = 'full';
    const call = session.call(request('ping', 'p'));
    expect(call.plain).toBe(true);
    expect(JSON.parse(await call.answer)).toEqual({ jsonrpc: '2.0', id: 'p', result: {} });
    expect(child.messages.some(({ method }) => method === 'ping')).toBe(false);
  });

  it('T27: is answered when as many calls wait as may', async () => {
    const { session } = await talk();
    for (let n = 0; n < CALLS_MAX; n += 1) session.call(request('m', n));
    expect(JSON.parse(await session.call(request('ping', 'p')).answer).result).toEqual({});
  });
});

describe('several requests of one POST', () => {
  it('T5: are answered in one array when nothing else is said', async () => {
    const { session, child } = await talk();
    const call = session.call([request('a', 1), request('ping', 2), request('b', 3)]);
    child.answers({ b: 1 }, 'b');
    child.answers({ a: 1 }, 'a');
    await call.decided;
    expect(call.plain).toBe(true);
    expect(JSON.parse(await call.answer).map(({ id }: { id: number }) => id)).toEqual([2, 3, 1]);
  });

  it('T5: share one stream, which ends with the last answer', async () => {
    const { session, child } = await talk();
    const call = session.call([request('a', 1), request('b', 2)]);
    child.answers({}, 'a');
    await settled();
    child.says(LOG);
    const source = call.read();
    expect(heard(source)).toMatchObject([{ id: 1 }, LOG]);
    expect(source.state).toBe('open');
    child.answers({}, 'b');
    await settled();
    expect(heard(source)).toMatchObject([{ id: 2 }]);
    expect(source.state).toBe('ended');
  });
});

describe('a cancelled call', () => {
  it('P10: gets no answer on its stream, which ends', async () => {
    const { session, child } = await talk();
    const call = session.call(request('m', 'mine'));
    session.notify(notification('notifications/cancelled', { requestId: 'mine' }));
    await call.decided;
    expect(call.plain).toBe(false);
    const source = call.read();
    expect(heard(source)).toEqual([]);
    expect(source.state).toBe('ended');
    child.answers({ late: true }, 'm');
    expect(heard(listens(session))).toEqual([]);
  });

  it('P10: leaves the others of its POST alone', async () => {
    const { session, child } = await talk();
    const call = session.call([request('a', 1), request('b', 2)]);
    session.notify(notification('notifications/cancelled', { requestId: 1 }));
    child.answers({}, 'b');
    await call.decided;
    const source = call.read();
    expect(heard(source)).toMatchObject([{ id: 2 }]);
    expect(source.state).toBe('ended');
  });
});

describe('the end of a session', () => {
  it('ends every stream of it, each open call with an error', async () => {
    const { session, child, clock } = await talk();
    const listening = listens(session);
    const call = session.call(request('m', 1));
    child.says(LOG);
    const source = call.read();
    heard(source);
    await session.end('test');
    await settled();
    expect(heard(source)).toMatchObject([{ id: 1, error: { code: -32000 } }]);
    expect(source.state).toBe('ended');
    listening.next();
    listening.next();
    expect(listening.state).toBe('ended');
    expect(clock.pending).toBe(0);
  });
});
