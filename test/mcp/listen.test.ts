import { describe, expect, it } from 'bun:test';
import { PushSource } from '../support/push-source.ts';
import {
  BOB,
  listening,
  ORIGIN,
  RPC_ERROR,
  requestInit,
  resourceUnderTest,
  rpcErrorOf,
} from './harness.ts';

const GET = { method: 'GET', session: 's-alice' };

/** A GET that Alice's session answers with a source of the test. */
function listens() {
  const made = resourceUnderTest();
  const source = new PushSource();
  made.alice.listening = () => ({ kind: 'events', source });
  return { ...made, source };
}

describe('GET of /mcp (MCP transports, Listening for Messages)', () => {
  it('T13, T30: is refused with 405 without a session, as a client of the old transport expects', async () => {
    const { send, sessions } = resourceUnderTest();
    const response = await send(undefined, {
      method: 'GET',
      headers: { accept: 'text/event-stream' },
    });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST, DELETE, OPTIONS');
    expect(await response.text()).not.toContain('endpoint');
    expect(sessions.found).toEqual([]);
  });

  it('T30: begins with no `endpoint` event in a session either', async () => {
    const { send, source } = listens();
    const response = await send(undefined, GET);
    source.finish();
    expect(await response.text()).toBe(': open\n\n');
  });

  it('B1: asks for a token first', async () => {
    const { send, sessions } = resourceUnderTest();
    expect((await send(undefined, { ...GET, token: null })).status).toBe(401);
    expect(sessions.found).toEqual([]);
  });

  for (const session of ['s-unknown', 's-bob', 'with space']) {
    it(`T20: is refused with 404 for the session "${session}"`, async () => {
      const { send, bob } = listens();
      const response = await send(undefined, { method: 'GET', session });
      expect(response.status).toBe(404);
      expect((await rpcErrorOf(response)).code).toBe(RPC_ERROR.sessionNotFound);
      expect(bob.listened).toEqual([]);
    });
  }

  it('[CVE-2026-33946] never takes the stream of someone else over', async () => {
    const { send, alice } = listens();
    expect((await send(undefined, { ...GET, token: BOB })).status).toBe(404);
    const headers = { 'last-event-id': 'e1' };
    expect((await send(undefined, { ...GET, token: BOB, headers })).status).toBe(404);
    expect(alice.listened).toEqual([]);
  });

  for (const accept of ['application/json', '*/*', '', 'text/event-stream;q=0']) {
    it(`T8: is refused with 406 when Accept is "${accept}"`, async () => {
      const { send, alice } = listens();
      const response = await send(undefined, { ...GET, headers: { accept } });
      expect(response.status).toBe(406);
      expect((await rpcErrorOf(response)).code).toBe(RPC_ERROR.invalidRequest);
      expect(alice.listened).toEqual([]);
    });
  }

  it('T22: is refused with 400 in a version that is not served', async () => {
    const { send, alice } = listens();
    const headers = { 'mcp-protocol-version': '2024-11-05' };
    expect((await send(undefined, { ...GET, headers })).status).toBe(400);
    expect(alice.listened).toEqual([]);
  });

  it('T13: is answered with an event stream', async () => {
    const { send, source, alice } = listens();
    const headers = { accept: 'text/event-stream', origin: ORIGIN };
    const response = await send(undefined, { ...GET, headers });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(response.headers.get('cache-control')).toBe('no-cache, no-transform');
    expect(response.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    expect(response.headers.get('mcp-session-id')).toBeNull();
    source.push('{"hello":1}');
    source.finish();
    expect(await response.text()).toBe(': open\n\nid: e1\nevent: message\ndata: {"hello":1}\n\n');
    expect(alice.listened).toEqual([undefined]);
  });

  it('counts the streams that are open', async () => {
    const { send, source, metrics } = listens();
    const response = await send(undefined, GET);
    const open = () => metrics.registry.getSingleMetricAsString('fjmcp_open_streams');
    expect(await open()).toContain('fjmcp_open_streams 1');
    source.finish();
    await response.text();
    expect(await open()).toContain('fjmcp_open_streams 0');
  });
});

describe('Last-Event-ID (MCP transports, Resumability)', () => {
  const resumes = { ...GET, headers: { 'last-event-id': 'abc.1.2.x' } };

  it('T17: is handed to the session, an empty one is none', async () => {
    const { send, source, alice } = listens();
    source.finish();
    await send(undefined, resumes);
    await send(undefined, { ...GET, headers: { 'last-event-id': '' } });
    expect(alice.listened).toEqual(['abc.1.2.x', undefined]);
  });

  it('T17: is answered with 204 and no body when nothing is left', async () => {
    const { send, alice } = resourceUnderTest();
    alice.listening = () => ({ kind: 'nothing' });
    const response = await send(undefined, resumes);
    expect(response.status).toBe(204);
    expect(await response.text()).toBe('');
  });

  it('T17: is refused with 400 when the session knows of no such event', async () => {
    const { send, alice } = resourceUnderTest();
    alice.listening = () => ({ kind: 'unknown' });
    const response = await send(undefined, resumes);
    expect(response.status).toBe(400);
    expect(await rpcErrorOf(response)).toMatchObject({ id: null, code: RPC_ERROR.invalidRequest });
  });
});

describe('GET over a real connection', () => {
  it('sends headers at once, events as they come, and lets go when the client leaves', async () => {
    const made = listens();
    const server = listening(made);
    try {
      const connection = new AbortController();
      const init = requestInit(undefined, { ...GET, signal: connection.signal });
      const response = await fetch(server.url, init);
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      expect((await reader?.read())?.value).toBe(': open\n\n');
      made.source.push('1');
      expect((await reader?.read())?.value).toBe('id: e1\nevent: message\ndata: 1\n\n');
      connection.abort();
      while (!made.source.closed) await Bun.sleep(1);
      expect(made.clock.pending).toBe(0);
      expect(made.alice.ends).toEqual([]);
    } finally {
      await server.stop();
    }
  });
});
