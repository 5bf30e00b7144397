import { describe, expect, it } from 'bun:test';
import { err } from '../../app/base/result.ts';
import { QUICK_ANSWER_MS } from '../../app/mcp/posted-calls.ts';
import {
  BATCH_MAX,
  INITIALIZE,
  PING,
  RPC_ERROR,
  resourceUnderTest,
  rpcErrorOf,
} from './harness.ts';

const SESSION = { session: 's-alice' };
const NOTE = { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1 } };
const ANSWER = { jsonrpc: '2.0', id: 'q', result: {} };
const call = (id: number | string) => ({ ...PING, id });

/** A session that has agreed on the revision with batches. */
function march() {
  const made = resourceUnderTest();
  made.alice.protocolVersion = '2025-03-26';
  return made;
}

describe('batches (MCP 2025-03-26 transports)', () => {
  for (const version of ['2025-06-18', '2025-11-25']) {
    it(`T4, T5: are refused in sessions of ${version}`, async () => {
      const { send, alice } = resourceUnderTest();
      alice.protocolVersion = version;
      const headers = { 'mcp-protocol-version': '2025-03-26' };
      const response = await send([call(1), NOTE], { ...SESSION, headers });
      expect(response.status).toBe(400);
      expect((await rpcErrorOf(response)).code).toBe(RPC_ERROR.invalidRequest);
      expect(alice.calls).toEqual([]);
      expect(alice.notified).toEqual([]);
    });
  }

  const faults: Record<string, string> = {
    'an empty one': '[]',
    'one with initialize in it': JSON.stringify([call(1), INITIALIZE]),
    'one with a part that is no object': `[${JSON.stringify(PING)},1]`,
    'one with a part that is no message': `[${JSON.stringify(PING)},{"jsonrpc":"2.0"}]`,
    'one in another': `[[${JSON.stringify(PING)}]]`,
    'one with an ambiguous part': '[{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}]',
  };
  for (const [what, body] of Object.entries(faults)) {
    it(`T5: are refused as a whole: ${what}`, async () => {
      const { send, alice, sessions } = march();
      const response = await send(undefined, { ...SESSION, body });
      expect(response.status).toBe(400);
      expect(await rpcErrorOf(response)).toMatchObject({
        id: null,
        code: RPC_ERROR.invalidRequest,
      });
      expect(alice.calls).toEqual([]);
      expect(sessions.opened).toEqual([]);
    });
  }

  it('T5: have as many messages as they may, and not one more', async () => {
    const { send, alice, metrics } = march();
    const messages = Array.from({ length: BATCH_MAX }, (_, id) => call(id));
    const refused = await send([...messages, NOTE], SESSION);
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain(`${BATCH_MAX} messages here (MAX_BATCH)`);
    expect(await metrics.registry.metrics()).toContain('{limit="MAX_BATCH"} 1');
    expect(alice.calls).toEqual([]);
    expect((await send(messages, SESSION)).status).toBe(200);
    expect(alice.calls).toHaveLength(BATCH_MAX);
  });

  it('T5: need a session', async () => {
    const { send } = march();
    expect((await send([PING])).status).toBe(400);
    expect((await send([PING], { session: 's-unknown' })).status).toBe(404);
  });

  it('T5, T6: are accepted with 202 when nothing in them is a request', async () => {
    const { send, alice } = march();
    const response = await send([NOTE, ANSWER], SESSION);
    expect(response.status).toBe(202);
    expect(await response.text()).toBe('');
    expect(alice.notified.map(({ kind }) => kind)).toEqual(['notification', 'response']);
  });

  it('T5: are answered with an array, each part with its bytes', async () => {
    const { send, alice } = march();
    const parts = [
      '{"jsonrpc":"2.0", "id":1,"method":"a"}',
      '{"id":"x","method":"b","jsonrpc":"2.0"}',
    ];
    const body = `\n[ ${parts.join(' , ')} ,${JSON.stringify(NOTE)}]`;
    const response = await send(undefined, { ...SESSION, body });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    const answers = (await response.json()) as { id: unknown }[];
    expect(answers.map(({ id }) => id)).toEqual([1, 'x']);
    expect(alice.calls.map(({ text }) => text)).toEqual(parts);
    expect(alice.notified).toHaveLength(1);
  });

  it('T5: of one request are answered with an array of one', async () => {
    const { send } = march();
    expect(await (await send([PING], SESSION)).json()).toHaveLength(1);
  });

  it('T5: are answered on one stream when they take their time', async () => {
    const { send, alice, clock } = march();
    const release = alice.hold();
    const called = alice.called;
    const response = send([call(1), call(2)], SESSION);
    await called;
    clock.advance(QUICK_ANSWER_MS);
    expect((await response).headers.get('content-type')).toBe('text/event-stream');
    release();
  });

  it('T5: run no request when the session takes no more messages', async () => {
    const { send, alice } = march();
    alice.notifyResult = err('full');
    expect((await send([call(1), NOTE], SESSION)).status).toBe(503);
    expect(alice.calls).toEqual([]);
  });
});
