import { afterEach, describe, expect, it } from 'bun:test';
import { connect } from 'node:net';
import { resultText } from '../../app/base/message.ts';
import { KEEP_ALIVE_MS } from '../../app/mcp/event-stream.ts';
import { QUICK_ANSWER_MS } from '../../app/mcp/posted-calls.ts';
import {
  ALICE,
  INITIALIZE,
  listening,
  PING,
  RPC_ERROR,
  requestInit,
  resourceUnderTest,
  rpcErrorOf,
} from './harness.ts';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
});

function serve(options: { readonly bodyBytesMax?: number } = {}) {
  const resource = resourceUnderTest(options);
  const listener = listening(resource);
  stops.push(listener.stop);
  const post = (message: unknown, how: Parameters<typeof requestInit>[1] = {}) =>
    fetch(listener.url, requestInit(message, { session: 's-alice', ...how }));
  return { ...resource, ...listener, post };
}

/** A call that is under way; the stream begins when a second of the clock has passed. */
async function slowCall(server: ReturnType<typeof serve>, how: { signal?: AbortSignal } = {}) {
  const release = server.alice.hold();
  const called = server.alice.called;
  const answer = server.post(PING, how);
  await called;
  return { release, answer };
}

/** Reads a stream piece by piece, as text. */
function textReader(response: Response) {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let seen = '';
  return {
    async until(text: string): Promise<string> {
      while (!seen.includes(text)) {
        const part = await reader?.read();
        if (part === undefined || part.done) throw new Error(`the stream ended after: ${seen}`);
        seen += part.value;
      }
      return seen;
    },
    async rest(): Promise<string> {
      for (;;) {
        const part = await reader?.read();
        if (part === undefined || part.done) return seen;
        seen += part.value;
      }
    },
  };
}

/** Sends bytes as they are and resolves with what came back once it holds `until`. */
function raw(port: number, bytes: readonly string[], until: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen = '';
    const socket = connect(port, '127.0.0.1', () => {
      for (const part of bytes) socket.write(part);
    });
    socket.on('data', (part) => {
      seen += part.toString();
      if (!seen.includes(until)) return;
      socket.destroy();
      resolve(seen);
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(seen));
  });
}

const HEAD = (port: number, ...more: string[]) =>
  [
    'POST /mcp HTTP/1.1',
    `Host: 127.0.0.1:${port}`,
    'Content-Type: application/json',
    'Mcp-Session-Id: s-alice',
    ...more,
    '',
    '',
  ].join('\r\n');

describe('slow answers over a real connection', () => {
  it('T7, T11: comes as one event of a stream that then ends', async () => {
    const server = serve();
    const { release, answer } = await slowCall(server);
    server.clock.advance(QUICK_ANSWER_MS);
    const response = await answer;
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(response.headers.get('cache-control')).toBe('no-cache, no-transform');
    expect(response.headers.get('x-accel-buffering')).toBe('no');
    expect(response.headers.get('mcp-session-id')).toBeNull();
    release(resultText(7, 'late'));
    const text = await textReader(response).rest();
    expect(text).toBe(`: open\n\nid: e1\nevent: message\ndata: ${resultText(7, 'late')}\n\n`);
    expect(server.clock.pending).toBe(0);
  });

  it('T7: comes as JSON a moment before the stream would begin', async () => {
    const server = serve();
    const { release, answer } = await slowCall(server);
    server.clock.advance(QUICK_ANSWER_MS - 1);
    release();
    expect((await answer).headers.get('content-type')).toBe('application/json');
  });

  it('keeps the stream alive by comments', async () => {
    const server = serve();
    const { release, answer } = await slowCall(server);
    server.clock.advance(QUICK_ANSWER_MS);
    const reader = textReader(await answer);
    await reader.until(': open\n\n');
    // The runtime asks for more some turns after it has sent the last part.
    const ticking = setInterval(() => server.clock.advance(KEEP_ALIVE_MS), 1);
    await reader.until(': keep-alive\n\n');
    clearInterval(ticking);
    release();
    expect(await reader.rest()).toContain('event: message\n');
  });

  it('T12: a client that leaves cancels nothing, and its answer is dropped', async () => {
    const server = serve();
    const connection = new AbortController();
    const { release, answer } = await slowCall(server, { signal: connection.signal });
    server.clock.advance(QUICK_ANSWER_MS);
    const reader = textReader(await answer);
    await reader.until(': open\n\n');
    connection.abort();
    await reader.rest().catch(() => undefined);
    // The keep-alive timer goes with the stream.
    while (server.clock.pending > 0) await Bun.sleep(1);
    release();
    server.clock.advance(KEEP_ALIVE_MS * 2);
    expect(server.alice.ends).toEqual([]);
    expect(server.alice.calls.length).toBe(1);
    server.alice.respond = (request) => Promise.resolve(resultText(request.id, {}));
    expect((await server.post(PING)).status).toBe(200);
  });

  it('T12: also one that leaves while it waits for JSON', async () => {
    const server = serve();
    const connection = new AbortController();
    const release = server.alice.hold();
    const called = server.alice.called;
    const answer = server.post(PING, {
      signal: connection.signal,
      headers: { accept: 'application/json' },
    });
    await called;
    server.clock.advance(QUICK_ANSWER_MS);
    connection.abort();
    await answer.catch(() => undefined);
    release();
    server.alice.respond = (request) => Promise.resolve(resultText(request.id, {}));
    expect((await server.post(PING)).status).toBe(200);
    expect(server.alice.ends).toEqual([]);
  });

  it('carries an answer of many megabytes whole', async () => {
    const server = serve();
    const big = resultText(7, 'ä'.repeat(4_000_000));
    const { release, answer } = await slowCall(server);
    server.clock.advance(QUICK_ANSWER_MS);
    const reader = textReader(await answer);
    release(big);
    expect((await reader.rest()).slice(': open\n\nid: e1\nevent: message\ndata: '.length)).toBe(
      `${big}\n\n`,
    );
    server.alice.respond = () => Promise.resolve(big);
    expect(await (await server.post(PING)).text()).toBe(big);
  });

  it('answers several calls of one session at once, each to its own request', async () => {
    const server = serve();
    const released = new Map<string | number, (answer: string) => void>();
    const all = Promise.withResolvers<void>();
    server.alice.respond = (request) =>
      new Promise((resolve) => {
        released.set(request.id, resolve);
        if (released.size === 5) all.resolve();
      });
    const ids = [1, 2, 3, 4, 5];
    const answers = ids.map((id) => server.post({ ...PING, id }));
    await all.promise;
    for (const id of ids.toReversed()) released.get(id)?.(resultText(id, `for ${id}`));
    const texts = await Promise.all(answers.map(async (answer) => (await answer).text()));
    expect(texts).toEqual(ids.map((id) => resultText(id, `for ${id}`)));
  });
});

describe('refusals over a real connection', () => {
  it('B4: sees two Authorization headers', async () => {
    const { port, store } = serve();
    const two = [`Authorization: Bearer ${ALICE}`, `Authorization: Bearer ${ALICE}`];
    const head = HEAD(port, ...two, 'Content-Length: 2');
    const answer = await raw(port, [head, '{}'], 'jsonrpc');
    expect(answer).toStartWith('HTTP/1.1 400 ');
    expect(answer.toLowerCase()).toContain('error="invalid_request"');
    expect(store.lookups).toBe(0);
  });

  it('B1: answers 401 before the body has come', async () => {
    const { port } = serve();
    const answer = await raw(port, [HEAD(port, 'Content-Length: 1000'), '{"json'], 'jsonrpc');
    expect(answer).toStartWith('HTTP/1.1 401 ');
  });

  it('answers a chunked body over the limit with 413 in JSON-RPC before it has ended', async () => {
    const { port } = serve({ bodyBytesMax: 1000 });
    const auth = `Authorization: Bearer ${ALICE}`;
    const head = HEAD(port, auth, 'Transfer-Encoding: chunked');
    const chunk = `200\r\n${'x'.repeat(512)}\r\n`;
    const answer = await raw(port, [head, chunk, chunk], 'jsonrpc');
    expect(answer).toStartWith('HTTP/1.1 413 ');
  });

  it('does not take the rest of a refused body for a request', async () => {
    const { port, alice, sessions } = serve({ bodyBytesMax: 100 });
    const auth = `Authorization: Bearer ${ALICE}`;
    const text = JSON.stringify(PING);
    const smuggled = `${HEAD(port, auth, `Content-Length: ${text.length}`)}${text}`;
    const body = `${' '.repeat(200)}${smuggled}`;
    const next = `GET /mcp HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
    for (const refused of [
      [HEAD(port, auth, `Content-Length: ${body.length}`), body, next],
      [HEAD(port, `Content-Length: ${body.length}`), body, next],
      [
        HEAD(port, auth, 'Transfer-Encoding: chunked'),
        `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
        next,
      ],
    ]) {
      const answer = await raw(port, refused, 'HTTP/1.1 401 Unauthorized\r\n');
      expect(answer).not.toContain('HTTP/1.1 200');
    }
    expect(alice.calls).toEqual([]);
    expect(sessions.found).toEqual([]);
  });

  it('serves the next request of a connection whose body was refused', async () => {
    const { post } = serve({ bodyBytesMax: 1000 });
    for (let n = 0; n < 5; n += 1) {
      const response = await post(undefined, { body: 'x'.repeat(1001) });
      expect(response.status).toBe(413);
      expect((await rpcErrorOf(response)).code).toBe(RPC_ERROR.invalidRequest);
      expect((await post(PING)).status).toBe(200);
    }
  });

  it('answers HEAD without a body by 401 and 405', async () => {
    const { post } = serve();
    expect((await post(undefined, { method: 'HEAD', token: null })).status).toBe(401);
    const response = await post(undefined, { method: 'HEAD' });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST, DELETE, OPTIONS');
  });

  it('ends a session whose client left before it was open', async () => {
    const { post, sessions, disconnected } = serve();
    const connection = new AbortController();
    const opening = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<undefined>();
    const ended = Promise.withResolvers<void>();
    const add = sessions.add.bind(sessions);
    sessions.add = (sessionId, owner) => {
      const session = add(sessionId, owner);
      session.onEnd = () => Promise.resolve(ended.resolve());
      return session;
    };
    sessions.opening = () => {
      opening.resolve();
      return goOn.promise;
    };
    const answer = post(INITIALIZE, { signal: connection.signal });
    await opening.promise;
    connection.abort();
    await answer.catch(() => undefined);
    await disconnected;
    goOn.resolve(undefined);
    await ended.promise;
  });
});
