import { describe, expect, it } from 'bun:test';
import { SWEEP_MS } from '../../app/session/session-map.ts';
import type { FakeChild } from '../support/fake-child.ts';
import { owner, request, settled } from '../support/session-registry.ts';
import { heard, listens, talk } from '../support/talk.ts';

const CHANGED = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };

/** Opens with these capabilities. */
function offers(capabilities: object): (child: FakeChild) => void {
  return (child) => {
    const asked = child.messages[0]?.params as { protocolVersion?: string } | undefined;
    child.answers({ protocolVersion: asked?.protocolVersion, capabilities });
  };
}

const TOOLS = offers({ tools: { listChanged: true }, resources: {} });
const holding = (permission: string) => ({ ...owner(), permission });

describe('a client that may do something else than before', () => {
  it('is told of the lists alone that it was told to expect changes of', async () => {
    const script = offers({ tools: {}, prompts: { listChanged: true }, resources: {} });
    const { registry, sessionId, session } = await talk({ script });
    const stream = listens(session);
    await registry.find(sessionId, holding('less'));
    expect(heard(stream)).toEqual([
      CHANGED,
      { jsonrpc: '2.0', method: 'notifications/prompts/list_changed' },
    ]);
  });

  it('is told nothing before it is initialized, since it has seen no list', async () => {
    const { registry, sessionId, session } = await talk({ script: TOOLS, initialized: false });
    const stream = listens(session);
    await registry.find(sessionId, holding('less'));
    expect(heard(stream)).toEqual([]);
  });

  it('is told once for each change, and nothing while it stays the same', async () => {
    const { registry, sessionId, session } = await talk({ script: TOOLS });
    const stream = listens(session);
    for (let time = 0; time < 3; time += 1) await registry.find(sessionId, holding('less'));
    expect(heard(stream)).toEqual([CHANGED]);
    await registry.find(sessionId, holding('least'));
    expect(heard(stream)).toEqual([CHANGED]);
    // Who finds it without saying what is allowed changes nothing.
    await registry.find(sessionId, owner());
    expect(heard(stream)).toEqual([]);
  });

  it('is told although the session was only a row meanwhile, and not when nothing changed', async () => {
    const made = await talk({ script: TOOLS });
    const { registry, sessionId, clock } = made;
    const stopSweeps = registry.sweep();
    await registry.find(sessionId, holding('some'));
    const forgotten = async () => {
      made.supervisor.last.exit(0);
      await settled();
      // Events are kept for five minutes.
      for (let left = 5 * 60_000; left >= 0; left -= SWEEP_MS) clock.advance(SWEEP_MS);
      expect(registry.activity().size).toBe(0);
    };
    await forgotten();
    const same = await registry.find(sessionId, holding('some'));
    if (same === undefined) throw new Error('the session is lost');
    const stream = listens(same);
    expect(heard(stream)).toEqual([]);
    stream.close();
    await forgotten();
    const less = await registry.find(sessionId, holding('less'));
    if (less === undefined) throw new Error('the session is lost');
    expect(heard(listens(less))).toEqual([CHANGED]);
    stopSweeps();
  });
});

describe('the rules of a call', () => {
  it('answer it with an error of its own when they cannot show what the child has said', async () => {
    const { session, child } = await talk({ script: TOOLS });
    const posted = session.call(request('tools/list', 7), true, {
      refusal: () => undefined,
      shown: () => {
        throw new RangeError('too deep');
      },
    });
    child.answers({ tools: [] });
    expect(JSON.parse(await posted.answer)).toMatchObject({ id: 7, error: { code: -32603 } });
  });

  it('keep a refused request from the child, and answer it at once', async () => {
    const { session, child } = await talk({ script: TOOLS });
    const sent = child.sent.length;
    const posted = session.call(request('tools/call', 7), true, {
      refusal: ({ id }) =>
        JSON.stringify({ jsonrpc: '2.0', id, error: { code: 1, message: 'no' } }),
      shown: (_request, text) => text,
    });
    await posted.decided;
    expect(posted.plain).toBe(true);
    expect(JSON.parse(await posted.answer)).toMatchObject({ id: 7, error: { message: 'no' } });
    expect(child.sent).toHaveLength(sent);
  });

  it('show an answer as they say, but leave an error of the child alone', async () => {
    const { session, child } = await talk({ script: TOOLS });
    const rules = { refusal: () => undefined, shown: () => '"shown"' };
    const answered = session.call(request('tools/list', 1), true, rules);
    child.answers({ tools: [] }, 'tools/list');
    expect(await answered.answer).toBe('"shown"');
    const failed = session.call(request('tools/list', 2), true, rules);
    const { id } = child.messages.at(-1) ?? {};
    child.says({ jsonrpc: '2.0', id, error: { code: -1, message: 'broken' } });
    expect(JSON.parse(await failed.answer)).toMatchObject({ id: 2, error: { message: 'broken' } });
  });
});
