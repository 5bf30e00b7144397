import { describe, expect, it } from 'bun:test';
import { SUBSCRIPTIONS_MAX } from '../../app/session/remembered.ts';
import { RENEWAL_SWEEP_MS } from '../../app/session/renewal.ts';
import { SWEEP_MS } from '../../app/session/session-map.ts';
import { type FakeChild, opens } from '../support/fake-child.ts';
import {
  HOUR_MS,
  initialize,
  notification,
  opened,
  owner,
  request,
  response,
  settled,
} from '../support/session-registry.ts';
import { heard, listens, talk } from '../support/talk.ts';

/** Opens, and answers all that the replay asks. */
function replays(child: FakeChild): void {
  opens(child);
  queueMicrotask(() => answerAll(child));
}

async function answerAll(child: FakeChild): Promise<void> {
  for (let round = 0; round < 5; round += 1) {
    await Promise.resolve();
    for (const { id, method } of child.messages) {
      if (method === 'logging/setLevel' || method === 'resources/subscribe') {
        child.says({ jsonrpc: '2.0', id, result: {} });
      }
    }
  }
}

const methods = (child: FakeChild) => child.messages.map(({ method }) => method);

describe('a session without a child (MCP stdio, Unexpected Termination)', () => {
  it('P7: starts one for however many requests wait', async () => {
    const { session, child, supervisor } = await talk();
    child.exit(1);
    await settled();
    const attached = await Promise.all(Array.from({ length: 10 }, () => session.attach()));
    expect(attached.every(({ ok }) => ok)).toBe(true);
    expect(supervisor.children).toHaveLength(2);
  });

  it('P7: replays the handshake as the client sent it, and initialized only if it had', async () => {
    const { session, child, supervisor } = await talk({ initialized: false });
    child.exit(1);
    await settled();
    await session.attach();
    const again = supervisor.last;
    expect(again.messages[0]?.params).toEqual(child.messages[0]?.params);
    expect(methods(again)).toEqual(['initialize']);
    session.notify(notification('notifications/initialized'));
    expect(methods(again)).toEqual(['initialize', 'notifications/initialized']);
    again.exit(1);
    await settled();
    await session.attach();
    expect(methods(supervisor.last)).toEqual(['initialize', 'notifications/initialized']);
  });

  it('tells the next child log level and subscriptions, and no more than is left of them', async () => {
    const { session, child, supervisor } = await talk({ script: replays });
    const calls = [
      request('logging/setLevel', 1, { level: 'warning' }),
      request('resources/subscribe', 2, { uri: 'a' }),
      request('resources/subscribe', 3, { uri: 'b' }),
      request('resources/unsubscribe', 4, { uri: 'a' }),
    ];
    for (const call of calls) {
      const { answer } = session.call(call);
      child.answers({}, call.method);
      await answer;
    }
    const { answer } = session.call(request('resources/subscribe', 5, { uri: 'refused' }));
    const id = child.messages.at(-1)?.id;
    child.says({ jsonrpc: '2.0', id, error: { code: -32002, message: 'no' } });
    await answer;
    await settled();
    child.exit(1);
    await settled();
    expect(await session.attach()).toMatchObject({ ok: true });
    expect(supervisor.last.messages.slice(1)).toMatchObject([
      { method: 'notifications/initialized' },
      { method: 'logging/setLevel', params: { level: 'warning' } },
      { method: 'resources/subscribe', params: { uri: 'b' } },
    ]);
  });

  it('remembers no log level that MCP does not know, whatever the child says to it', async () => {
    const { session, child, sessions } = await talk();
    const set = async (level: string) => {
      const { answer } = session.call(request('logging/setLevel', 1, { level }));
      child.answers({}, 'logging/setLevel');
      await answer;
      return [...sessions.rows.values()][0]?.logLevel;
    };
    expect(await set('x'.repeat(1_000_000))).toBeNull();
    for (const level of ['debug', 'emergency']) expect(await set(level)).toBe(level);
    expect(await set('Debug')).toBe('emergency');
  });

  it('writes nothing to its row when nothing has changed', async () => {
    const { session, child, sessions, registry, sessionId } = await talk();
    let written = 0;
    const setState = sessions.setState.bind(sessions);
    sessions.setState = (...state) => {
      written += 1;
      return setState(...state);
    };
    const say = async () => {
      session.notify(notification('notifications/initialized'));
      const { answer } = session.call(request('logging/setLevel', 1, { level: 'error' }));
      child.answers({}, 'logging/setLevel');
      await answer;
      await registry.find(sessionId, { ...owner(), permission: 'some' });
    };
    await say();
    const once = written;
    for (let time = 0; time < 3; time += 1) await say();
    expect({ once, written }).toEqual({ once: 2, written: 2 });
  });

  it('remembers SUBSCRIPTIONS_MAX subscriptions and refuses one more', async () => {
    const { session, child, metrics } = await talk();
    const subscribe = async (n: number) => {
      const { answer } = session.call(request('resources/subscribe', n, { uri: `u${n}` }));
      child.answers({}, 'resources/subscribe');
      return JSON.parse(await answer) as { error?: { code: number } };
    };
    for (let n = 0; n < SUBSCRIPTIONS_MAX; n += 1)
      expect((await subscribe(n)).error).toBeUndefined();
    expect((await subscribe(SUBSCRIPTIONS_MAX)).error?.code).toBe(-32000);
    expect(await metrics.registry.getSingleMetricAsString('fjmcp_limits_reached_total')).toContain(
      '{limit="SUBSCRIPTIONS_PER_SESSION"} 1',
    );
  });

  it('counts subscriptions that the child has not granted yet, until it refuses them', async () => {
    const { session, child, sessions } = await talk({ limits: { callsMax: 1000 } });
    const subscribe = (n: number) =>
      session.call(request('resources/subscribe', n, { uri: `u${n}` })).answer;
    const sent = child.sent.length;
    const first = subscribe(0);
    const others = Array.from({ length: SUBSCRIPTIONS_MAX - 1 }, (_, n) => subscribe(n + 1));
    expect(JSON.parse(await subscribe(SUBSCRIPTIONS_MAX)).error.code).toBe(-32000);
    const asked = child.messages.slice(sent);
    expect(asked).toHaveLength(SUBSCRIPTIONS_MAX);
    for (const [n, { id }] of asked.entries()) {
      const refusal = { error: { code: -32002, message: 'no' } };
      child.says({ jsonrpc: '2.0', id, ...(n === 0 ? refusal : { result: {} }) });
    }
    await Promise.all([first, ...others]);
    const last = subscribe(SUBSCRIPTIONS_MAX);
    child.answers({}, 'resources/subscribe');
    expect(JSON.parse(await last).result).toEqual({});
    expect([...sessions.rows.values()][0]?.subscriptions).toHaveLength(SUBSCRIPTIONS_MAX);
    expect(JSON.parse(await subscribe(0)).error.code).toBe(-32000);
  });

  it('ends when the next child speaks another version', async () => {
    let version = '2025-11-25';
    const { session, child, registry, sessionId, supervisor, sessions } = await talk({
      script: (started) => started.answers({ protocolVersion: version, capabilities: {} }),
    });
    version = '2025-06-18';
    child.exit(1);
    await settled();
    expect(await session.attach()).toEqual({ ok: false, error: { kind: 'session_gone' } });
    expect(supervisor.last.stopReason).toBe('handshake_failed');
    expect(await registry.find(sessionId, owner())).toBeUndefined();
    expect(sessions.rows.size).toBe(0);
  });

  it('stays when the next child hangs in the replay or refuses it, and the one after takes over', async () => {
    let script: (child: FakeChild) => void = opens;
    const { session, child, supervisor, clock, sessions } = await talk({
      script: (started) => script(started),
    });
    const { answer } = session.call(request('logging/setLevel', 1, { level: 'debug' }));
    child.answers({}, 'logging/setLevel');
    await answer;
    child.exit(1);
    await settled();
    const hanging = session.attach();
    await settled();
    clock.advance(10_000);
    expect(await hanging).toMatchObject({ ok: false, error: { kind: 'child_failed' } });
    script = (started) => {
      const id = started.messages[0]?.id;
      started.says({ jsonrpc: '2.0', id, error: { code: -32602, message: 'not you' } });
    };
    expect(await session.attach()).toMatchObject({ ok: false, error: { kind: 'child_failed' } });
    expect(sessions.rows.size).toBe(1);
    script = replays;
    expect(await session.attach()).toMatchObject({ ok: true });
    expect(supervisor.running).toBe(1);
  });

  it('holds what the next child asks during the replay until its client reads again', async () => {
    const asks = (child: FakeChild) => {
      if (child.messages[0]?.id !== 1) {
        child.says({ jsonrpc: '2.0', id: 'q', method: 'roots/list' });
      }
      opens(child);
    };
    const { session, child, supervisor } = await talk({
      script: asks,
      capabilities: { roots: {} },
    });
    child.exit(1);
    await settled();
    await session.attach();
    const posted = session.call(request('tools/call', 9));
    const source = posted.read();
    const [question] = heard(source).filter(({ method }) => method === 'roots/list');
    expect(question).toBeDefined();
    expect(session.notify(response(String(question?.id), { result: { roots: [] } })).ok).toBe(true);
    expect(supervisor.last.messages.at(-1)).toMatchObject({ id: 'q', result: { roots: [] } });
  });

  it('tells its client by list-changed what the next child offers otherwise', async () => {
    let capabilities: object = { tools: {}, prompts: {} };
    const { session, child } = await talk({
      script: (started) => {
        const asked = started.messages[0]?.params as { protocolVersion: string };
        started.answers({ protocolVersion: asked.protocolVersion, capabilities });
      },
    });
    const listening = listens(session);
    heard(listening);
    capabilities = { tools: { listChanged: true }, prompts: { listChanged: true } };
    child.exit(1);
    await settled();
    await session.attach();
    // That of the tools was promised before, whatever the child said.
    expect(heard(listening).map(({ method }) => method)).toEqual([
      'notifications/prompts/list_changed',
    ]);
  });

  it('keeps its listening stream, and no id of a question comes twice', async () => {
    const { session, child, supervisor } = await talk({ capabilities: { roots: {} } });
    const listening = listens(session);
    const ask = (by: FakeChild) => by.says({ jsonrpc: '2.0', id: 1, method: 'roots/list' });
    ask(child);
    const [first] = heard(listening);
    child.exit(1);
    await settled();
    await session.attach();
    ask(supervisor.last);
    const [second] = heard(listening);
    expect(second?.method).toBe('roots/list');
    expect(second?.id).not.toBe(first?.id);
    // The late answer to a child that is gone reaches nobody.
    const sent = supervisor.last.sent.length;
    expect(session.notify(response(String(first?.id), { result: { roots: [] } })).ok).toBe(true);
    expect(supervisor.last.sent).toHaveLength(sent);
  });

  it('gives the call in flight an error and never runs it again', async () => {
    const { session, child, supervisor } = await talk();
    const { answer } = session.call(request('tools/call', 'mine'));
    child.exit(1);
    expect(JSON.parse(await answer)).toMatchObject({ id: 'mine', error: { code: -32000 } });
    await session.attach();
    expect(methods(supervisor.last)).not.toContain('tools/call');
  });

  it('tells why there is no child, and is as it was', async () => {
    const { session, child, forge, registry, sessionId } = await talk();
    child.exit(1);
    await settled();
    forge.failure = { kind: 'try_later', detail: 'away' };
    expect(await session.attach()).toMatchObject({ error: { kind: 'forge_away' } });
    forge.failure = { kind: 'sign_in_again', detail: 'dead' };
    expect(await session.attach()).toMatchObject({ error: { kind: 'sign_in_again' } });
    forge.failure = undefined;
    expect(await registry.find(sessionId, owner())).toBe(session);
    expect(await session.attach()).toMatchObject({ ok: true });
  });
});

describe('a session over runs of the broker', () => {
  it('goes on under its id from its row', async () => {
    const first = await talk();
    const { answer } = first.session.call(request('logging/setLevel', 1, { level: 'error' }));
    first.child.answers({}, 'logging/setLevel');
    await answer;
    await settled();
    const [row] = [...first.sessions.rows.values()];
    const second = await talk({ script: replays });
    if (row === undefined) throw new Error('no row');
    second.sessions.rows.set(row.idDigest, row);
    const found = await second.registry.find(first.sessionId, owner());
    expect(found?.protocolVersion).toBe('2025-11-25');
    expect(await found?.attach()).toMatchObject({ ok: true });
    expect(methods(second.supervisor.last)).toEqual([
      'initialize',
      'notifications/initialized',
      'logging/setLevel',
    ]);
    expect(await second.registry.find(first.sessionId, owner(2))).toBeUndefined();
  });

  it('keeps its row when the broker stops', async () => {
    const { registry, sessions, session } = await talk();
    await registry.stop();
    expect(sessions.rows.size).toBe(1);
    expect(await session.attach()).toEqual({ ok: false, error: { kind: 'stopping' } });
  });

  it('is forgotten SESSION_TTL after its last use and not before', async () => {
    const { registry, sessionId, clock, sessions } = await talk({
      limits: { ttlMs: 30 * 24 * HOUR_MS },
    });
    clock.advance(29 * 24 * HOUR_MS);
    const session = await registry.find(sessionId, owner());
    expect(await session?.attach()).toMatchObject({ ok: true });
    clock.advance(30 * 24 * HOUR_MS - 1);
    expect(await registry.find(sessionId, owner())).toBeDefined();
    clock.advance(1);
    expect(await registry.find(sessionId, owner())).toBeUndefined();
    expect(sessions.rows.size).toBe(0);
  });

  it('leaves memory when only its row is needed, and is found again', async () => {
    const { registry, sessionId, clock, child, session } = await talk();
    const stopSweeps = registry.sweep();
    child.exit(1);
    await settled();
    clock.advance(SWEEP_MS);
    expect(registry.activity().size).toBe(0);
    const again = await registry.find(sessionId, owner());
    expect(again).not.toBe(session);
    expect(await again?.attach()).toMatchObject({ ok: true });
    stopSweeps();
  });
});

describe('the grant of a session (B6)', () => {
  it('B6: may be a newer one of account and client, and the end of the old one ends nothing', async () => {
    const { registry, sessionId, sessions, child, session } = await talk();
    expect(await registry.find(sessionId, owner(1, 'client-1', 'grant-2'))).toBe(session);
    await registry.endGrant('grant-1', 'revoked');
    expect(child.stopReason).toBeUndefined();
    expect([...sessions.rows.values()][0]?.grantId).toBe('grant-2');
    await registry.endGrant('grant-2', 'revoked');
    expect(child.stopReason).toBe('grant_ended');
    expect(await registry.find(sessionId, owner(1, 'client-1', 'grant-2'))).toBeUndefined();
  });

  it('B6: that ends leaves the session to another live one of the pair', async () => {
    const { registry, sessionId, sessions, child, session } = await talk();
    sessions.heir = 'grant-2';
    await registry.endGrant('grant-1', 'refresh_reuse');
    expect(child.stopReason).toBe('grant_ended');
    expect(await registry.find(sessionId, owner(1, 'client-1', 'grant-2'))).toBe(session);
    expect(await session.attach()).toMatchObject({ ok: true });
  });

  it('the oldest unused session goes for a new one beyond MAX_STORED_SESSIONS_PER_USER', async () => {
    const { registry, sessionId, child } = await talk({ limits: { storedPerUserMax: 2 } });
    await opened(registry);
    await opened(registry);
    await settled();
    expect(child.stopReason).toBe('too_many_stored');
    expect(await registry.find(sessionId, owner())).toBeUndefined();
  });
});

describe('the renewal of a child', () => {
  /** With a call and a question under way, a minute before the sweep that renews. */
  async function renewing(script = opens) {
    const limits = { idleTimeoutMs: 10 * HOUR_MS, requestTimeoutMs: HOUR_MS };
    const made = await talk({ capabilities: { roots: {} }, limits, script });
    const stopSweeps = made.registry.sweep();
    made.clock.advance(HOUR_MS - 6 * RENEWAL_SWEEP_MS);
    const sweep = async () => {
      made.session.call(request('ping'));
      made.clock.advance(RENEWAL_SWEEP_MS);
      await settled();
      await settled();
    };
    return { ...made, sweep, stopSweeps };
  }

  it('gives new calls to the successor and lets those in flight finish on the old child', async () => {
    const { session, child, supervisor, sweep, registry } = await renewing();
    const before = session.call(request('tools/call', 'before'));
    await sweep();
    expect(supervisor.children).toHaveLength(2);
    expect(registry.count).toBe(1);
    expect(child.stopReason).toBeUndefined();
    const after = session.call(request('tools/call', 'after'));
    supervisor.last.answers({ by: 'new' }, 'tools/call');
    expect(JSON.parse(await after.answer)).toMatchObject({ id: 'after', result: { by: 'new' } });
    child.answers({ by: 'old' }, 'tools/call');
    expect(JSON.parse(await before.answer)).toMatchObject({ id: 'before', result: { by: 'old' } });
    await settled();
    expect(child.stopReason).toBe('renewed');
    expect(supervisor.running).toBe(1);
  });

  it('tells the successor what the old child was told while it started', async () => {
    let starts = 0;
    const script = (started: FakeChild) => {
      starts += 1;
      if (starts === 1) opens(started);
    };
    const { session, child, supervisor, sweep } = await renewing(script);
    await sweep();
    const successor = supervisor.last;
    expect(methods(successor)).toEqual(['initialize']);
    const { answer } = session.call(request('logging/setLevel', 7, { level: 'error' }));
    child.answers({}, 'logging/setLevel');
    await answer;
    opens(successor);
    await settled();
    expect(successor.messages.at(-1)).toMatchObject({
      method: 'logging/setLevel',
      params: { level: 'error' },
    });
  });

  it('lets the old child finish what it asked and mutes all else that it says', async () => {
    const { session, child, supervisor, sweep } = await renewing();
    const listening = listens(session);
    child.says({ jsonrpc: '2.0', id: 'q', method: 'roots/list' });
    const [question] = heard(listening);
    await sweep();
    child.says({ jsonrpc: '2.0', method: 'notifications/message', params: { data: 'old' } });
    supervisor.last.says({ jsonrpc: '2.0', method: 'notifications/message', params: {} });
    expect(heard(listening)).toHaveLength(1);
    session.notify(response(String(question?.id), { result: { roots: [] } }));
    expect(child.messages.at(-1)).toMatchObject({ id: 'q', result: { roots: [] } });
    await settled();
    expect(child.stopReason).toBe('renewed');
  });

  it('carries progress and cancellation of a call on the old child to it', async () => {
    const { session, child, supervisor, sweep } = await renewing();
    const posted = session.call(request('tools/call', 7, { _meta: { progressToken: 'p' } }));
    const source = posted.read();
    await sweep();
    const progressToken = child.messages.at(-1)?.id;
    child.says({
      ...{ jsonrpc: '2.0', method: 'notifications/progress' },
      params: { progressToken, progress: 1 },
    });
    expect(heard(source)).toMatchObject([{ params: { progressToken: 'p' } }]);
    session.notify(notification('notifications/cancelled', { requestId: 7 }));
    expect(child.messages.at(-1)?.method).toBe('notifications/cancelled');
    expect(methods(supervisor.last)).not.toContain('notifications/cancelled');
  });

  it('ends the old child at its deadline whatever waits there', async () => {
    const { session, child, sweep, clock } = await renewing();
    const { answer } = session.call(request('tools/call', 1));
    await sweep();
    clock.advance(5 * 60_000);
    await settled();
    expect(child.stopReason).toBe('renewed');
    expect(JSON.parse(await answer).error.code).toBe(-32000);
  });

  it('changes nothing while the forge is away, and comes when it is back', async () => {
    const { child, supervisor, sweep, forge } = await renewing();
    forge.failure = { kind: 'try_later', detail: 'away' };
    await sweep();
    expect(child.stopReason).toBeUndefined();
    expect(supervisor.children).toHaveLength(1);
    forge.failure = undefined;
    await sweep();
    expect(supervisor.children).toHaveLength(2);
  });

  it('stops the children of a refused account and keeps its sessions', async () => {
    const { child, sweep, forge, registry, sessionId, session } = await renewing();
    const listening = listens(session);
    forge.failure = { kind: 'sign_in_again', detail: 'refused' };
    await sweep();
    expect(child.stopReason).toBe('signed_out');
    expect(listening.state).toBe('ended');
    forge.failure = undefined;
    expect(await registry.find(sessionId, owner())).toBe(session);
    expect(await session.attach()).toMatchObject({ ok: true });
  });
});

describe('a token that is dead before its time', () => {
  it('is asked about after an answer that looks like it, and the children end', async () => {
    const { session, child, forge } = await talk();
    const verified = forge.verified;
    const { answer } = session.call(request('tools/call', 1));
    child.answers(
      { isError: false, content: [{ type: 'text', text: '401 things' }] },
      'tools/call',
    );
    await answer;
    await settled();
    expect(forge.verified).toBe(verified);
    forge.verdict = 'signed_out';
    const { answer: refused } = session.call(request('tools/call', 2));
    child.answers({ isError: true, content: [{ type: 'text', text: '401 Unauthorized' }] });
    await refused;
    await settled();
    expect(forge.verified).toBe(verified + 1);
    expect(child.stopReason).toBe('signed_out');
  });

  it('is found out before a child is started', async () => {
    const { registry, supervisor, forge } = await talk();
    forge.verdict = 'signed_out';
    expect(await registry.open(owner(), initialize())).toMatchObject({
      error: { kind: 'sign_in_again' },
    });
    expect(supervisor.children).toHaveLength(1);
  });

  it('is renewed once, and the children get the new one', async () => {
    const { session, child, supervisor, forge } = await talk();
    forge.verdict = 'renewed';
    const { answer } = session.call(request('tools/call', 2));
    child.answers({ isError: true, content: [{ type: 'text', text: 'token is expired' }] });
    await answer;
    await settled();
    await settled();
    expect(supervisor.children).toHaveLength(2);
    expect(child.stopReason).toBe('renewed');
  });
});
