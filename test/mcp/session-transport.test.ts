import { describe, expect, it } from 'bun:test';
import { resultText } from '../../app/base/message.ts';
import { err } from '../../app/base/result.ts';
import type { BearerGrant } from '../../app/mcp/bearer.ts';
import { GRANT_FRESH_MS, postMessage } from '../../app/mcp/session-transport.ts';
import type { OpenFailure } from '../../app/session/registry.ts';
import { StoreError } from '../../app/store/store-error.ts';
import {
  ALICE,
  BOB,
  INITIALIZE,
  ORIGIN,
  PING,
  RPC_ERROR,
  request,
  resourceUnderTest,
  rpcErrorOf,
  tokenNamed,
  VERSIONS,
} from './harness.ts';

const SESSION = { session: 's-alice' };
const NOTIFICATION = { jsonrpc: '2.0', method: 'notifications/initialized' };

describe('methods of /mcp', () => {
  for (const [method, allow] of [
    ['HEAD', 'POST, DELETE, OPTIONS'],
    ['PUT', 'GET, POST, DELETE, OPTIONS'],
    ['PATCH', 'GET, POST, DELETE, OPTIONS'],
  ] as const) {
    it(`T1: answers ${method} with 405 and Allow`, async () => {
      const { send } = resourceUnderTest();
      const response = await send(PING, { method, ...SESSION });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe(allow);
    });
  }

  it('T3: asks for a token before it says 405', async () => {
    const { send } = resourceUnderTest();
    expect((await send(undefined, { method: 'GET', token: null })).status).toBe(401);
  });
});

describe('Origin and CORS', () => {
  for (const method of ['POST', 'DELETE', 'GET']) {
    for (const origin of ['https://evil.example', 'null', `${ORIGIN}.evil.example`]) {
      it(`T2: answers 403 to ${method} from ${origin}`, async () => {
        const { send, sessions } = resourceUnderTest();
        const response = await send(PING, { method, ...SESSION, headers: { origin } });
        expect(response.status).toBe(403);
        expect(response.headers.get('access-control-allow-origin')).toBeNull();
        expect(sessions.found).toEqual([]);
      });
    }
  }

  it('[CVE-2025-66414] S4: refuses the Origin of a rebound page also with a good token', async () => {
    const { send, alice } = resourceUnderTest();
    const response = await send(PING, { ...SESSION, headers: { origin: 'http://localhost:9' } });
    expect(response.status).toBe(403);
    expect(await rpcErrorOf(response)).toMatchObject({ id: null });
    expect(alice.calls).toEqual([]);
  });

  it('T2: serves a request without Origin, and one from an allowed one', async () => {
    const { send } = resourceUnderTest();
    expect((await send(PING, SESSION)).status).toBe(200);
    for (const origin of [ORIGIN, 'https://client.example']) {
      const response = await send(PING, { ...SESSION, headers: { origin } });
      expect(response.status).toBe(200);
      expect(response.headers.get('access-control-allow-origin')).toBe(origin);
      expect(response.headers.get('vary')).toBe('Origin');
    }
  });

  it('lets the script of an allowed origin read errors and the headers it needs', async () => {
    const { send } = resourceUnderTest();
    const headers = { origin: 'https://client.example' };
    for (const how of [
      { token: null },
      { session: 's-none' },
      { method: 'GET' },
      { body: '{' },
      { headers: { ...headers, 'content-type': 'text/plain' } },
    ]) {
      const response = await send(PING, { headers, ...how });
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(response.headers.get('access-control-allow-origin')).toBe('https://client.example');
      const exposed = response.headers.get('access-control-expose-headers') ?? '';
      expect(exposed).toContain('Mcp-Session-Id');
      expect(exposed).toContain('WWW-Authenticate');
    }
  });

  it('answers a preflight without a token, for allowed origins alone', async () => {
    const { send } = resourceUnderTest();
    const preflight = (origin: string) =>
      send(undefined, { method: 'OPTIONS', token: null, headers: { origin } });
    const allowed = await preflight('https://client.example');
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get('access-control-allow-methods')).toBe('GET, POST, DELETE, OPTIONS');
    expect(allowed.headers.get('access-control-allow-headers')).toContain('Mcp-Session-Id');
    expect((await preflight('https://evil.example')).status).toBe(403);
  });
});

describe('initialize', () => {
  it('T18: answers JSON with a session id, and no other answer carries one', async () => {
    const { send } = resourceUnderTest();
    const opened = await send(INITIALIZE);
    expect(opened.status).toBe(200);
    expect(opened.headers.get('content-type')).toBe('application/json');
    expect(opened.headers.get('mcp-session-id')).toBe('session-1');
    expect(await opened.json()).toMatchObject({ id: 'init' });
    const after = await send(PING, { session: 'session-1' });
    expect(after.headers.get('mcp-session-id')).toBeNull();
  });

  it('opens a session also for a client that still sends the id of a lost one', async () => {
    const { send, sessions } = resourceUnderTest();
    for (const session of ['s-alice', 's-lost', 's-bob']) {
      expect((await send(INITIALIZE, { session })).status).toBe(200);
    }
    expect(sessions.found).toEqual([]);
  });

  it('B5: does nothing in a session either for a grant that ended while the body was held back', async () => {
    const changes = [
      { change: { grantEnded: true }, heldForMs: GRANT_FRESH_MS, status: 401, called: 0 },
      { change: { scope: 'forgejo:read' }, heldForMs: GRANT_FRESH_MS, status: 403, called: 0 },
      { change: {}, heldForMs: GRANT_FRESH_MS, status: 200, called: 1 },
      { change: { scope: 'forgejo:read' }, heldForMs: GRANT_FRESH_MS - 1, status: 200, called: 1 },
    ];
    for (const { change, heldForMs, status, called } of changes) {
      const { send, store, clock, alice } = resourceUnderTest();
      // Else the wait for its child has the token checked again.
      alice.attached = true;
      const params = { name: 'nobody_has_reviewed_it' };
      const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params };
      const held = Promise.withResolvers<void>();
      const body = new ReadableStream<Uint8Array>({
        async start(controller) {
          await held.promise;
          controller.enqueue(new TextEncoder().encode(JSON.stringify(call)));
          controller.close();
        },
      });
      const answering = send(undefined, { ...SESSION, body });
      await Bun.sleep(0);
      expect(store.lookups).toBe(1);
      store.put(ALICE, change);
      clock.advance(heldForMs);
      held.resolve();
      expect((await answering).status).toBe(status);
      expect(alice.calls).toHaveLength(called);
    }
  });

  it('B5: checks the token again after a body that was held back', async () => {
    const { send, store, sessions } = resourceUnderTest();
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          // The person ends the grant while the client holds the body back.
          store.put(ALICE, { grantEnded: true });
          controller.enqueue(new TextEncoder().encode(JSON.stringify(INITIALIZE)));
          controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    const response = await send(undefined, { body });
    expect(response.status).toBe(401);
    expect(sessions.opened).toEqual([]);
  });

  it('ends a session that nobody learned of', async () => {
    const { send, sessions } = resourceUnderTest();
    const connection = new AbortController();
    sessions.opening = () => {
      connection.abort();
      return Promise.resolve(undefined);
    };
    await send(INITIALIZE, { signal: connection.signal }).catch(() => undefined);
    expect(sessions.opened.length).toBe(1);
    expect(sessions.sessions.has('session-1')).toBe(false);
  });

  const failures: { failure: OpenFailure; status: number; retryAfter: string | null }[] = [
    { failure: { kind: 'limit', limit: 'MAX_SESSIONS' }, status: 503, retryAfter: '30' },
    { failure: { kind: 'limit', limit: 'MAX_SESSIONS_PER_USER' }, status: 503, retryAfter: '30' },
    { failure: { kind: 'forge_away', detail: 'ECONNREFUSED' }, status: 503, retryAfter: '10' },
    { failure: { kind: 'stopping' }, status: 503, retryAfter: '5' },
    { failure: { kind: 'program', detail: '/opt/secret-path' }, status: 502, retryAfter: null },
    { failure: { kind: 'child_failed', detail: 'exit 3' }, status: 502, retryAfter: null },
    { failure: { kind: 'sign_in_again' }, status: 401, retryAfter: null },
    { failure: { kind: 'access_ended' }, status: 401, retryAfter: null },
  ];
  for (const { failure, status, retryAfter } of failures) {
    const what = 'limit' in failure ? failure.limit : failure.kind;
    it(`answers ${status} with the request's id and a reason to "${what}"`, async () => {
      const { send, sessions } = resourceUnderTest();
      sessions.opening = () => Promise.resolve(failure);
      const response = await send(INITIALIZE);
      expect(response.status).toBe(status);
      expect(response.headers.get('retry-after')).toBe(retryAfter);
      expect(response.headers.get('mcp-session-id')).toBeNull();
      const { id, code, message } = await rpcErrorOf(response);
      expect({ id, code }).toEqual({ id: 'init', code: RPC_ERROR.connectionClosed });
      expect(message.length).toBeGreaterThan(10);
      if ('detail' in failure) expect(message).not.toContain(failure.detail);
    });
  }

  it('B7: challenges with invalid_token when the forge refused the account', async () => {
    const { send, sessions } = resourceUnderTest();
    sessions.opening = () => Promise.resolve({ kind: 'sign_in_again' });
    const challenge = (await send(INITIALIZE)).headers.get('www-authenticate');
    expect(challenge).toContain('error="invalid_token"');
    expect(challenge).toContain('resource_metadata=');
  });

  it('passes the error of the child on as an answer', async () => {
    const { send, sessions } = resourceUnderTest();
    const answer = '{"jsonrpc":"2.0","id":"init","error":{"code":-32602,"message":"no"}}';
    sessions.opening = () => Promise.resolve({ kind: 'refused', answer });
    const response = await send(INITIALIZE);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(answer);
    expect(response.headers.get('mcp-session-id')).toBeNull();
  });

  it("answers 503 with the request's id when the disk is full", async () => {
    const { send, sessions } = resourceUnderTest();
    sessions.opening = () => Promise.reject(new StoreError('full'));
    const response = await send(INITIALIZE);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('5');
    expect((await rpcErrorOf(response)).id).toBe('init');
  });
});

describe('session header', () => {
  it('T19: answers 400 to a message or a DELETE without one', async () => {
    const { send } = resourceUnderTest();
    const response = await send(PING);
    expect(response.status).toBe(400);
    expect(await rpcErrorOf(response)).toMatchObject({ id: 7, code: RPC_ERROR.invalidRequest });
    expect((await send(NOTIFICATION)).status).toBe(400);
    expect((await send(undefined, { method: 'DELETE' })).status).toBe(400);
    expect((await send(PING, { session: '' })).status).toBe(400);
  });

  const unknown = ['s-unknown', 's-bob', 'with space', 'ünï', 'x'.repeat(129), 's-alice, s-alice'];
  for (const session of unknown) {
    it(`T20: answers 404 and -32001 to "${session}"`, async () => {
      const { send, bob } = resourceUnderTest();
      const response = await send(PING, { session });
      expect(response.status).toBe(404);
      expect(await rpcErrorOf(response)).toMatchObject({ id: 7, code: RPC_ERROR.sessionNotFound });
      expect((await send(NOTIFICATION, { session })).status).toBe(404);
      expect((await send(undefined, { method: 'DELETE', session })).status).toBe(404);
      expect(bob.calls).toEqual([]);
      expect(bob.ends).toEqual([]);
    });
  }

  it('[CVE-2026-33946] B6: a session does not exist for another account', async () => {
    const { send, alice } = resourceUnderTest();
    expect((await send(PING, { token: BOB, session: 's-alice' })).status).toBe(404);
    const deleted = await send(undefined, { method: 'DELETE', token: BOB, session: 's-alice' });
    expect(deleted.status).toBe(404);
    expect(alice.calls).toEqual([]);
    expect(alice.ends).toEqual([]);
  });

  it('S5, B6: nor for another client of the same account', async () => {
    const { send, store } = resourceUnderTest();
    const other = tokenNamed('other-client');
    store.put(other, { clientId: 'client-2', grantId: 'grant-2' });
    expect((await send(PING, { token: other, session: 's-alice' })).status).toBe(404);
  });

  it('T21: DELETE ends the session; from then on it is unknown', async () => {
    const { send, alice } = resourceUnderTest();
    const response = await send(undefined, { method: 'DELETE', ...SESSION });
    expect(response.status).toBe(204);
    expect(await response.text()).toBe('');
    expect(alice.ends.length).toBe(1);
    expect((await send(undefined, { method: 'DELETE', ...SESSION })).status).toBe(404);
    expect((await send(PING, SESSION)).status).toBe(404);
  });

  it('T21: answers 503 when the end of the session cannot be stored', async () => {
    const { send, alice } = resourceUnderTest();
    alice.onEnd = () => Promise.reject(new StoreError('busy'));
    expect((await send(undefined, { method: 'DELETE', ...SESSION })).status).toBe(503);
  });
});

describe('MCP-Protocol-Version', () => {
  for (const version of ['2024-11-05', '2026-07-28', '1', '', '2025-11-25, 2025-11-25']) {
    it(`T22: answers 400 to "${version}"`, async () => {
      const { send, alice } = resourceUnderTest();
      const headers = { 'mcp-protocol-version': version };
      const response = await send(PING, { ...SESSION, headers });
      expect(response.status).toBe(400);
      expect(await rpcErrorOf(response)).toMatchObject({ id: 7, code: RPC_ERROR.invalidRequest });
      const deleted = await send(undefined, { method: 'DELETE', ...SESSION, headers });
      expect(deleted.status).toBe(400);
      expect((await send(INITIALIZE, { headers })).status).toBe(400);
      expect(alice.calls).toEqual([]);
    });
  }

  it('T23: takes the version of the session when the header is absent', async () => {
    const { send } = resourceUnderTest();
    expect((await send(PING, SESSION)).status).toBe(200);
  });

  for (const version of VERSIONS) {
    it(`T24: tolerates ${version} whatever the session has agreed`, async () => {
      const { send } = resourceUnderTest();
      const headers = { 'mcp-protocol-version': version };
      expect((await send(PING, { ...SESSION, headers })).status).toBe(200);
    });
  }
});

describe('messages of a session', () => {
  it('T6: answers 202 without a body to a notification and to a response', async () => {
    const { send, alice } = resourceUnderTest();
    for (const message of [NOTIFICATION, { jsonrpc: '2.0', id: 3, result: {} }]) {
      const response = await send(message, SESSION);
      expect(response.status).toBe(202);
      expect(await response.text()).toBe('');
    }
    expect(alice.notified.map((message) => message.kind)).toEqual(['notification', 'response']);
  });

  it('T6: answers 404 when the session ended meanwhile, 503 when its child is not reading', async () => {
    const { send, alice } = resourceUnderTest();
    alice.notifyResult = err('gone');
    expect((await send(NOTIFICATION, SESSION)).status).toBe(404);
    alice.notifyResult = err('full');
    const full = await send(NOTIFICATION, SESSION);
    expect(full.status).toBe(503);
    expect(full.headers.get('retry-after')).toBe('1');
  });

  it('T7: answers a request that is answered at once in JSON', async () => {
    const { send } = resourceUnderTest();
    const response = await send(PING, SESSION);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.text()).toBe(resultText(7, { ok: true }));
  });

  it('T29: answers an error of the child with 200, since it was accepted', async () => {
    const { send, alice } = resourceUnderTest();
    const answer = '{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"unknown"}}';
    alice.respond = () => Promise.resolve(answer);
    const response = await send(PING, SESSION);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(answer);
  });

  for (const accept of ['application/json', '*/*', 'text/html', '', 'text/event-stream;q=0']) {
    it(`T8: waits for JSON and never says 406 to Accept "${accept}"`, async () => {
      const { send, alice, clock } = resourceUnderTest();
      const release = alice.hold();
      const called = alice.called;
      const answer = send(PING, { ...SESSION, headers: { accept } });
      await called;
      clock.advance(60_000);
      release(resultText(7, 'late'));
      const response = await answer;
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('application/json');
      expect(await response.text()).toBe(resultText(7, 'late'));
    });
  }

  const patience = [
    { what: 'a quick answer', message: PING, heldForMs: 0, accept: 'text/event-stream', set: [] },
    {
      what: 'a stream',
      message: PING,
      heldForMs: 1000,
      accept: 'text/event-stream',
      set: [60, 60],
    },
    { what: 'a wait for JSON', message: PING, heldForMs: 1000, accept: '*/*', set: [0, 60] },
    { what: 'initialize', message: INITIALIZE, heldForMs: 0, accept: '*/*', set: [0, 60] },
  ];
  for (const { what, message, heldForMs, accept, set } of patience) {
    it(`lets the connection be silent for ${what} as long as it should`, async () => {
      const { transport, alice, clock } = resourceUnderTest();
      const release = heldForMs > 0 ? alice.hold() : () => undefined;
      const seconds: number[] = [];
      const called = alice.called;
      const answer = postMessage(
        {
          request: request(message, { session: 's-alice', headers: { accept } }),
          grant: { ...alice.owner } as BearerGrant,
          allowIdle: (allowed) => seconds.push(allowed),
        },
        transport,
      );
      if (heldForMs > 0) await called;
      clock.advance(heldForMs);
      if (accept === '*/*') release();
      const response = await answer;
      release();
      await response.text();
      expect(seconds).toEqual(set);
    });
  }

  it('answers in JSON-RPC when the session itself fails', async () => {
    const { send, alice } = resourceUnderTest();
    alice.respond = () => {
      throw new TypeError('secret detail');
    };
    expect((await send(PING, SESSION)).status).toBe(500);
  });

  it('leaves no timer behind', async () => {
    const { send, clock } = resourceUnderTest();
    await send(PING, SESSION);
    await send(INITIALIZE);
    expect(clock.pending).toBe(0);
  });
});
