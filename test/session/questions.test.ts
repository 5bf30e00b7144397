import { describe, expect, it } from 'bun:test';
import { QUESTIONS_MAX } from '../../app/session/questions.ts';
import { notification, request, response, settled } from '../support/session-registry.ts';
import { heard, listens, talk } from '../support/talk.ts';

const ALL = { sampling: {}, roots: {}, elicitation: { form: {}, url: {} } };
const ROOTS = { jsonrpc: '2.0', id: 1, method: 'roots/list' };
const MINUTES_5 = 5 * 60_000;

describe('what the child asks of its client', () => {
  it('P9: ping is answered here, whatever the client is', async () => {
    const { session, child } = await talk();
    child.says({ jsonrpc: '2.0', id: 'p', method: 'ping' });
    expect(child.messages.at(-1)).toEqual({ jsonrpc: '2.0', id: 'p', result: {} });
    expect(heard(listens(session))).toEqual([]);
  });

  for (const method of ['sampling/createMessage', 'elicitation/create', 'roots/list', 'x/y']) {
    it(`P9: ${method} is refused with -32601 when the client has not declared it`, async () => {
      const { session, child } = await talk({ capabilities: { tasks: {}, experimental: {} } });
      child.says({ jsonrpc: '2.0', id: 0, method, params: {} });
      expect(child.messages.at(-1)).toMatchObject({ id: 0, error: { code: -32601 } });
      expect(heard(listens(session))).toEqual([]);
    });
  }

  const modes = [
    { declared: {}, mode: 'url', code: -32602 },
    { declared: { form: {} }, mode: 'url', code: -32602 },
    { declared: { url: {} }, mode: 'form', code: -32602 },
    { declared: { url: {} }, mode: undefined, code: -32602 },
    { declared: { form: {}, url: {} }, mode: 'other', code: -32602 },
    { declared: {}, mode: 'form', code: undefined },
    { declared: {}, mode: undefined, code: undefined },
    { declared: { url: {} }, mode: 'url', code: undefined },
    { declared: { form: {}, url: {} }, mode: 'form', code: undefined },
  ];
  for (const { declared, mode, code } of modes) {
    const what = code === undefined ? 'passes' : `is refused with ${code}`;
    it(`P9: elicitation in mode ${mode} ${what} with ${JSON.stringify(declared)}`, async () => {
      const { session, child } = await talk({ capabilities: { elicitation: declared } });
      const sent = child.sent.length;
      child.says({ jsonrpc: '2.0', id: 1, method: 'elicitation/create', params: { mode } });
      expect(heard(listens(session))).toHaveLength(code === undefined ? 1 : 0);
      if (code === undefined) expect(child.sent).toHaveLength(sent);
      else expect(child.messages.at(-1)).toMatchObject({ id: 1, error: { code } });
    });
  }

  it('P8: passes under an id of ours, and its answer back under its own, byte for byte', async () => {
    const { session, child } = await talk({ capabilities: ALL });
    child.says('{"params":{"n":1.50}, "id" : "c\\u0041","method":"roots/list","jsonrpc":"2.0"}');
    const source = listens(session);
    source.next();
    const asked = source.next()?.data ?? '';
    const { id } = JSON.parse(asked) as { id: string };
    expect(asked).toBe(
      `{"params":{"n":1.50}, "id" : ${JSON.stringify(id)},"method":"roots/list","jsonrpc":"2.0"}`,
    );
    const text = `{"result":{"big":12345678901234567890},"id": "${id}" ,"jsonrpc":"2.0"}`;
    expect(session.notify({ kind: 'response', id, failed: false, text }).ok).toBe(true);
    expect(child.sent.at(-1)).toBe(text.replace(`"${id}"`, '"c\\u0041"'));
  });

  it('P8: never gets an id again, also when the child repeats its own', async () => {
    const { session, child } = await talk({ capabilities: ALL });
    const listening = listens(session);
    const ids = new Set<unknown>();
    for (let n = 0; n < 10; n += 1) {
      child.says(ROOTS);
      const [{ id } = {}] = heard(listening);
      ids.add(id);
      session.notify(response(String(id)));
      expect(child.messages.at(-1)).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
    }
    expect(ids.size).toBe(10);
  });

  it('T15: goes on the stream of the one call under way', async () => {
    const { session, child } = await talk({ capabilities: ALL });
    const listening = listens(session);
    const call = session.call(request('m', 1));
    child.says(ROOTS);
    expect(heard(call.read())).toMatchObject([{ method: 'roots/list' }]);
    expect(heard(listening)).toEqual([]);
  });

  it('P10: an error of the client reaches the child as it is', async () => {
    const { session, child } = await talk({ capabilities: ALL });
    child.says(ROOTS);
    const [{ id } = {}] = heard(listens(session));
    session.notify(response(String(id), { error: { code: -1, message: 'declined' } }));
    expect(child.messages.at(-1)).toMatchObject({
      id: 1,
      error: { code: -1, message: 'declined' },
    });
  });

  it('P10: a late, repeated or unknown answer is taken and dropped', async () => {
    const { session, child } = await talk({ capabilities: ALL });
    child.says(ROOTS);
    const [{ id } = {}] = heard(listens(session));
    session.notify(response(String(id)));
    const sent = child.sent.length;
    for (const late of [String(id), 1, 'fjmcp-99']) {
      expect(session.notify(response(late))).toEqual({ ok: true, value: undefined });
    }
    expect(child.sent).toHaveLength(sent);
  });

  it('can be answered again when the child did not take the answer', async () => {
    const { session, child } = await talk({ capabilities: ALL });
    child.says(ROOTS);
    const [{ id } = {}] = heard(listens(session));
    child.refuses = 'full';
    expect(session.notify(response(String(id)))).toEqual({ ok: false, error: 'full' });
    child.refuses = undefined;
    expect(session.notify(response(String(id))).ok).toBe(true);
    expect(child.messages.at(-1)).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
  });

  it('T28: ends after the limit with an error for the child and a cancellation for the client', async () => {
    const { session, child, clock } = await talk({ capabilities: ALL });
    const listening = listens(session);
    child.says(ROOTS);
    const [{ id } = {}] = heard(listening);
    clock.advance(MINUTES_5 - 1);
    expect(child.messages.at(-1)?.method).toBe('notifications/initialized');
    clock.advance(1);
    expect(child.messages.at(-1)).toMatchObject({ id: 1, error: { code: -32001 } });
    expect(heard(listening)).toMatchObject([
      { method: 'notifications/cancelled', params: { requestId: id } },
    ]);
  });

  it('T28: is a sign of life of its call, and so is its answer', async () => {
    const { session, child, clock } = await talk({ capabilities: ALL });
    const call = session.call(request('m', 'mine'));
    clock.advance(MINUTES_5 - 1);
    child.says(ROOTS);
    const [{ id } = {}] = heard(call.read());
    clock.advance(MINUTES_5 - 1);
    session.notify(response(String(id)));
    clock.advance(MINUTES_5 - 1);
    child.answers({ fine: true }, 'm');
    expect(JSON.parse(await call.answer).result).toEqual({ fine: true });
  });

  it('is refused beyond the number of questions that may wait, and passes at it', async () => {
    const { session, child, metrics } = await talk({ capabilities: ALL });
    const sent = child.sent.length;
    for (let n = 0; n < QUESTIONS_MAX; n += 1) child.says({ ...ROOTS, id: n });
    expect(child.sent).toHaveLength(sent);
    child.says({ ...ROOTS, id: 'beyond' });
    expect(child.messages.at(-1)).toMatchObject({ id: 'beyond', error: { code: -32000 } });
    expect(heard(listens(session))).toHaveLength(QUESTIONS_MAX);
    expect(await metrics.registry.getSingleMetricAsString('fjmcp_limits_reached_total')).toContain(
      'QUESTIONS_PER_SESSION',
    );
  });

  it('leaves no timer when its session ends', async () => {
    const { session, child, clock } = await talk({ capabilities: ALL });
    child.says(ROOTS);
    await session.end('test');
    expect(clock.pending).toBe(0);
  });

  for (const text of [
    '{"jsonrpc":"2.0","id":1,"id":2,"method":"roots/list"}',
    '{"jsonrpc":"2.0","id":2,"method":"roots/list","params":{"_meta":{"progressToken":1,"progressToken":2}}}',
  ]) {
    it(`is refused when two readers may take it differently: ${text}`, async () => {
      const { session, child } = await talk({ capabilities: ALL });
      child.says(text);
      expect(child.messages.at(-1)).toMatchObject({ id: 2, error: { code: -32600 } });
      expect(heard(listens(session))).toEqual([]);
    });
  }
});

describe('a question that is taken back', () => {
  it('P10: is cancelled for the client on the stream it went on, under the id it knows', async () => {
    const { session, child } = await talk({ capabilities: ALL });
    const call = session.call(request('m', 1));
    child.says(ROOTS);
    const source = call.read();
    const [{ id } = {}] = heard(source);
    session.call(request('another', 2));
    listens(session);
    const params = { requestId: 1, reason: 'no need', requestid: 2 };
    child.says({ jsonrpc: '2.0', method: 'notifications/cancelled', params });
    expect(heard(source).map((message) => message.params)).toEqual([
      { requestId: id, reason: 'no need' },
    ]);
    const sent = child.sent.length;
    session.notify(response(String(id)));
    expect(child.sent).toHaveLength(sent);
  });

  it('P10: is cancelled on another stream when that one has ended', async () => {
    const { session, child } = await talk({ capabilities: ALL });
    const listening = listens(session);
    session.call(request('m', 1));
    child.says(ROOTS);
    child.answers({}, 'm');
    await settled();
    child.says({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
    expect(heard(listening)).toMatchObject([{ method: 'notifications/cancelled' }]);
  });
});

describe('progress of the client with a question', () => {
  const ask = { ...ROOTS, params: { _meta: { progressToken: 'child token' } } };

  it('P8: reaches the child under its own token', async () => {
    const { session, child } = await talk({ capabilities: ALL });
    child.says(ask);
    const [{ id, params } = {}] = heard(listens(session));
    expect(params).toEqual({ _meta: { progressToken: id } });
    session.notify(notification('notifications/progress', { progressToken: id, progress: 5 }));
    expect(child.messages.at(-1)).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/progress',
      params: { progressToken: 'child token', progress: 5 },
    });
  });

  it('is dropped when nobody asked under that token', async () => {
    const { session, child } = await talk({ capabilities: ALL });
    child.says(ROOTS);
    const [{ id } = {}] = heard(listens(session));
    const sent = child.sent.length;
    for (const progressToken of [id, 'child token', 1, null]) {
      session.notify(notification('notifications/progress', { progressToken, progress: 5 }));
    }
    expect(child.sent).toHaveLength(sent);
  });
});
