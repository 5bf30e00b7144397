import { describe, expect, it } from 'bun:test';
import { HANDSHAKE_BYTES_MAX } from '../../app/session/handshake.ts';
import { StoreError } from '../../app/store/store-error.ts';
import { opens } from '../support/fake-child.ts';
import {
  bench,
  initialize,
  notification,
  opened,
  owner,
  request,
  requestFrom,
  settled,
} from '../support/session-registry.ts';

describe('a session that does not open', () => {
  it('[punkpeye/mcp-proxy PR #38] starts no child while the upstream token is refused', async () => {
    const { registry, supervisor, forge } = bench();
    forge.failure = { kind: 'sign_in_again', detail: 'refused' };
    expect(await registry.open(owner(), initialize())).toEqual({
      ok: false,
      error: { kind: 'sign_in_again' },
    });
    expect(supervisor.children).toHaveLength(0);
    expect(registry.count).toBe(0);
  });

  it('tells a forge that is away from a token that is refused', async () => {
    for (const kind of ['try_later', 'misconfigured'] as const) {
      const { registry, supervisor, forge } = bench();
      forge.failure = { kind, detail: 'why' };
      expect(await registry.open(owner(), initialize())).toEqual({
        ok: false,
        error: { kind: 'forge_away', detail: 'why' },
      });
      expect(supervisor.children).toHaveLength(0);
    }
  });

  it('tells a missing program and what the system refuses', async () => {
    const { registry, supervisor } = bench();
    supervisor.failure = { kind: 'program_missing', detail: '/x' };
    expect(await registry.open(owner(), initialize())).toMatchObject({
      error: { kind: 'program' },
    });
    supervisor.failure = { kind: 'system', detail: 'EMFILE' };
    expect(await registry.open(owner(), initialize())).toMatchObject({
      error: { kind: 'child_failed', detail: 'EMFILE' },
    });
    supervisor.failure = { kind: 'stopping', detail: '' };
    expect(await registry.open(owner(), initialize())).toEqual({
      ok: false,
      error: { kind: 'stopping' },
    });
    expect(registry.count).toBe(0);
  });

  it('asks the forge when a child leaves without a word, and says what it heard', async () => {
    const outcomes = [
      ['away', 'forge_away'],
      ['up', 'child_failed'],
    ] as const;
    for (const [probe, kind] of outcomes) {
      const { registry, forge, sessions } = bench({ script: (child) => child.exit(1) });
      forge.probe = probe;
      expect(await registry.open(owner(), initialize())).toMatchObject({ error: { kind } });
      expect(registry.count).toBe(0);
      expect(sessions.rows.size).toBe(0);
    }
  });

  it('B7: has a token renewed that the forge refuses, and only then sends for a new sign-in', async () => {
    const { registry, forge } = bench({ script: (child) => child.exit(1) });
    forge.probe = 'token_refused';
    expect(await registry.open(owner(), initialize())).toMatchObject({
      error: { kind: 'forge_away' },
    });
    // Once before the start, and at once after it.
    expect(forge.verified).toBe(2);

    const gone = bench({
      script: (child) => {
        gone.forge.verdict = 'signed_out';
        child.exit(1);
      },
    });
    gone.forge.probe = 'token_refused';
    expect(await gone.registry.open(owner(), initialize())).toMatchObject({
      error: { kind: 'sign_in_again' },
    });
    expect(gone.supervisor.children).toHaveLength(1);
    expect(gone.registry.count).toBe(0);
  });

  it('T28: waits for initialize no longer than the limit, without cancelling it', async () => {
    const { registry, supervisor, clock, forge } = bench({ script: () => undefined });
    forge.probe = 'away';
    const opening = registry.open(owner(), initialize());
    await settled();
    clock.advance(9_999);
    expect(supervisor.last.stopReason).toBeUndefined();
    clock.advance(1);
    expect(await opening).toMatchObject({ error: { kind: 'forge_away' } });
    expect(supervisor.last.stopReason).toBe('handshake_failed');
    // P2: initialize must not be cancelled.
    expect(supervisor.last.messages.map((m) => m.method)).toEqual(['initialize']);
  });

  it("passes on the child's own refusal with the client's id", async () => {
    const { registry, supervisor } = bench({
      script: (child) =>
        child.says({ jsonrpc: '2.0', id: 1, error: { code: -32602, message: 'not you' } }),
    });
    const result = await registry.open(owner(), initialize('2025-11-25', 'my-id'));
    if (result.ok || result.error.kind !== 'refused') throw new Error('it opened');
    expect(JSON.parse(result.error.answer)).toEqual({
      jsonrpc: '2.0',
      id: 'my-id',
      error: { code: -32602, message: 'not you' },
    });
    expect(supervisor.last.stopReason).toBe('handshake_failed');
  });

  it('P3: ends a child that answers with a protocol version that we do not know', async () => {
    for (const version of ['2024-11-05', '2099-01-01', 7, undefined]) {
      const { registry, supervisor, sessions } = bench({
        script: (child) => child.answers({ protocolVersion: version, capabilities: {} }),
      });
      expect(await registry.open(owner(), initialize())).toMatchObject({
        error: { kind: 'child_failed' },
      });
      expect(supervisor.last.stopReason).toBe('handshake_failed');
      expect(sessions.rows.size).toBe(0);
    }
  });

  it('leaves no child behind when the row cannot be written', async () => {
    const { registry, supervisor, sessions } = bench();
    sessions.failure = new StoreError('full');
    expect(registry.open(owner(), initialize())).rejects.toBeInstanceOf(StoreError);
    await settled();
    expect(supervisor.last.stopReason).toBe('not_opened');
    expect(registry.count).toBe(0);
  });

  it('gives its place back when the token cannot be read', async () => {
    const { registry, forge } = bench({ limits: { sessionsMax: 1 } });
    forge.gate = Promise.reject(new StoreError('busy'));
    expect(registry.open(owner(), initialize())).rejects.toBeInstanceOf(StoreError);
    await settled();
    expect(registry.count).toBe(0);
  });

  it('takes a handshake of exactly the limit and refuses one byte more', async () => {
    const { registry, supervisor } = bench();
    const params = (padding: number) => ({
      protocolVersion: '2025-11-25',
      clientInfo: { name: 'x'.repeat(padding), version: '1' },
    });
    const fixed = Buffer.byteLength(JSON.stringify(params(0)));
    const beyond = request('initialize', 5, params(HANDSHAKE_BYTES_MAX - fixed + 1));
    const result = await registry.open(owner(), beyond);
    if (result.ok || result.error.kind !== 'refused') throw new Error('it opened');
    expect(JSON.parse(result.error.answer)).toMatchObject({ id: 5, error: { code: -32602 } });
    expect(supervisor.children).toHaveLength(0);
    const exact = request('initialize', 5, params(HANDSHAKE_BYTES_MAX - fixed));
    expect((await registry.open(owner(), exact)).ok).toBe(true);
  });

  it('leaves nothing of a handshake that is nested beyond all reason', async () => {
    const { registry, supervisor } = bench();
    const text = `{"jsonrpc":"2.0","id":5,"method":"initialize","params":${nested('{}')}}`;
    const result = await registry.open(owner(), requestFrom(text));
    if (result.ok || result.error.kind !== 'refused') throw new Error('it opened');
    expect(JSON.parse(result.error.answer)).toMatchObject({ id: 5, error: { code: -32602 } });
    expect(supervisor.children).toHaveLength(0);
    expect(registry.activity().size).toBe(0);
  });

  it('leaves no process of a program that nests its answer beyond all reason', async () => {
    const { registry, supervisor } = bench({
      script: (child) => {
        const result = `{"protocolVersion":"2025-11-25","capabilities":${nested('{}')}}`;
        child.says(`{"jsonrpc":"2.0","id":${child.messages[0]?.id},"result":${result}}`);
      },
    });
    expect(await registry.open(owner(), initialize())).toMatchObject({
      ok: false,
      error: { kind: 'child_failed' },
    });
    expect(supervisor.last.stopReason).toBe('handshake_failed');
    expect(registry.activity().size).toBe(0);
  });
});

/** Deep enough that what walks down a value would throw. */
function nested(inner: string): string {
  const depth = 200_000;
  return `${'{"a":'.repeat(depth)}${inner}${'}'.repeat(depth)}`;
}

describe('a session that is ended while it opens', () => {
  it('starts no child when its grant ended while the token was fetched', async () => {
    const { registry, supervisor, forge } = bench();
    const gate = Promise.withResolvers<void>();
    forge.gate = gate.promise;
    const opening = registry.open(owner(), initialize());
    await registry.endGrant('grant-1', 'revoked');
    // The client is answered at once, however slow the forge is.
    expect(await opening).toEqual({ ok: false, error: { kind: 'access_ended' } });
    gate.resolve();
    await settled();
    expect(supervisor.children).toHaveLength(0);
  });

  it('stops the child at once when its grant ended during the handshake', async () => {
    const { registry, supervisor, forge } = bench({ script: () => undefined });
    const opening = registry.open(owner(), initialize());
    await settled();
    await registry.endGrant('grant-1', 'revoked');
    expect(supervisor.last.stopReason).toBe('grant_ended');
    expect(await opening).toEqual({ ok: false, error: { kind: 'access_ended' } });
    expect(forge.probes).toBe(0);
  });

  it('leaves no row when its grant ended while the row was written', async () => {
    const { registry, supervisor, sessions } = bench();
    const gate = Promise.withResolvers<void>();
    sessions.gate = gate.promise;
    const opening = registry.open(owner(), initialize());
    await settled();
    const ended = registry.endGrant('grant-1', 'revoked');
    gate.resolve();
    await ended;
    expect(await opening).toEqual({ ok: false, error: { kind: 'access_ended' } });
    expect(sessions.rows.size).toBe(0);
    expect(supervisor.last.stopReason).toBe('grant_ended');
  });

  it('is found without a child when that died while the row was written', async () => {
    const { registry, supervisor, sessions } = bench();
    const gate = Promise.withResolvers<void>();
    sessions.gate = gate.promise;
    const opening = registry.open(owner(), initialize());
    await settled();
    supervisor.last.exit(1);
    await settled();
    gate.resolve();
    const result = await opening;
    await settled();
    if (!result.ok) throw new Error('the client has its answer');
    expect(await registry.find(result.value.sessionId, owner())).toBe(result.value.session);
    expect(registry.count).toBe(0);
  });

  it('answers with stopping when the broker stops', async () => {
    const { registry, supervisor } = bench({ script: () => undefined });
    const opening = registry.open(owner(), initialize());
    await settled();
    await registry.stop();
    expect(await opening).toEqual({ ok: false, error: { kind: 'stopping' } });
    expect(supervisor.last.stopReason).toBe('stopping');
    expect(await registry.open(owner(), initialize())).toEqual({
      ok: false,
      error: { kind: 'stopping' },
    });
  });
});

describe('opening a session (MCP lifecycle, Initialization)', () => {
  it('P2: sends initialize first and nothing else before its answer', async () => {
    const { registry, supervisor } = bench({ script: () => undefined });
    const opening = registry.open(owner(), initialize());
    await settled();
    expect(supervisor.last.messages.map((m) => m.method)).toEqual(['initialize']);
    opens(supervisor.last);
    const result = await opening;
    if (!result.ok) throw new Error('no session');
    result.value.session.notify(notification('notifications/initialized'));
    expect(supervisor.last.messages.map((m) => m.method)).toEqual([
      'initialize',
      'notifications/initialized',
    ]);
  });

  it('P2: promises the child of the client what is carried, and nothing else', async () => {
    const { registry, supervisor } = bench();
    const capabilities = {
      roots: { listChanged: true },
      sampling: { tools: {} },
      elicitation: { form: {}, url: {} },
    };
    const more = { tasks: { list: {} }, experimental: { x: {} }, later: {} };
    const params = { capabilities: { ...more, ...capabilities }, protocolVersion: '2025-11-25' };
    const clientInfo = { name: 'some client', version: '3' };
    await registry.open(owner(), request('initialize', 1, { ...params, clientInfo }));
    expect(supervisor.last.messages[0]?.params).toEqual({
      protocolVersion: '2025-11-25',
      capabilities,
      clientInfo: { name: 'some client', version: '3' },
    });
  });

  it('T25: asks the child for the version of the client where it is served', async () => {
    for (const version of ['2025-03-26', '2025-06-18', '2025-11-25']) {
      const { registry, supervisor } = bench();
      const result = await registry.open(owner(), initialize(version));
      if (!result.ok) throw new Error('no session');
      expect(supervisor.last.messages[0]).toMatchObject({ params: { protocolVersion: version } });
      expect(JSON.parse(result.value.answer).result.protocolVersion).toBe(version);
      expect(result.value.session.protocolVersion).toBe(version);
    }
  });

  it('T25: offers 2025-11-25 for every other version', async () => {
    const params = [
      { protocolVersion: '2026-07-28' },
      { protocolVersion: '2024-11-05' },
      { protocolVersion: 1 },
      {},
      undefined,
    ];
    for (const asked of params) {
      const { registry, supervisor } = bench();
      const result = await registry.open(owner(), request('initialize', 1, asked));
      if (!result.ok) throw new Error('no session');
      expect(supervisor.last.messages[0]).toMatchObject({
        params: { protocolVersion: '2025-11-25' },
      });
      expect(result.value.session.protocolVersion).toBe('2025-11-25');
    }
  });

  it('T25: goes on with another version that the child answers when we know it', async () => {
    const { registry } = bench({
      script: (child) => child.answers({ protocolVersion: '2025-06-18', capabilities: {} }),
    });
    const { session, answer } = await opened(registry);
    expect(session.protocolVersion).toBe('2025-06-18');
    expect(JSON.parse(answer).result.protocolVersion).toBe('2025-06-18');
  });

  it("gives the child's answer as it is, with the client's id", async () => {
    const result = '{"protocolVersion":"2025-11-25",  "capabilities":{"x":1.0e0}}';
    const { registry } = bench({
      script: (child) => child.says(`{"result":${result},"id":1,"jsonrpc":"2.0"}`),
    });
    const outcome = await registry.open(owner(), initialize('2025-11-25', 'a "quoted" id'));
    if (!outcome.ok) throw new Error('no session');
    expect(outcome.value.answer).toBe(
      `{"result":${result},"id":"a \\"quoted\\" id","jsonrpc":"2.0"}`,
    );
  });

  for (const tools of ['{}', '{"listChanged" : false,"x":1}']) {
    it(`tells the client to expect changes of the tools when the child says ${tools}`, async () => {
      const capabilities = (told: string) => `{"logging":{}, "tools": ${told} ,"y":1.0e0}`;
      const result = (told: string) =>
        `{"protocolVersion":"2025-11-25","capabilities":${capabilities(told)}}`;
      const { registry, sessions } = bench({
        script: (child) => child.says(`{"result":${result(tools)},"id":1,"jsonrpc":"2.0"}`),
      });
      const { answer } = await opened(registry);
      const told = JSON.stringify({ ...JSON.parse(tools), listChanged: true });
      expect(answer).toBe(`{"result":${result(told)},"id":0,"jsonrpc":"2.0"}`);
      const [row] = sessions.rows.values();
      expect(JSON.parse(row?.serverCapabilities ?? '')).toEqual(JSON.parse(capabilities(told)));
    });
  }

  it('P4: gives the child the upstream token of its account', async () => {
    const { registry, supervisor, forge } = bench();
    forge.token = 'token-of-account-1';
    await opened(registry);
    expect(supervisor.last.request.token.reveal()).toBe('token-of-account-1');
  });

  it('renews a token that is about to expire before each spawn', async () => {
    const { registry, forge } = bench();
    await opened(registry);
    expect(forge.leads).toEqual([15 * 60_000]);
  });

  it('writes a row with the handshake and without the session id', async () => {
    const { registry, sessions, clock } = bench();
    const { sessionId } = await opened(registry);
    const [row] = [...sessions.rows.values()];
    expect(row).toMatchObject({
      accountId: 1,
      clientId: 'client-1',
      grantId: 'grant-1',
      protocolVersion: '2025-11-25',
      createdAt: clock.now(),
    });
    expect(JSON.parse(row?.handshake ?? '')).toEqual(initialize().params);
    expect(JSON.stringify(row)).not.toContain(sessionId);
  });

  it('logs who opened it and no id or token that opens anything', async () => {
    const { registry, memory } = bench();
    const { sessionId, session } = await opened(registry);
    expect(memory.of('session.opened')).toMatchObject([
      { session: session.shortId, login: 'user1', client: 'client-1', grant: 'grant-1' },
    ]);
    expect(memory.text()).not.toContain(sessionId);
    expect(memory.text()).not.toContain('canary-upstream');
  });
});
