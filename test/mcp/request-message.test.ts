import { describe, expect, it } from 'bun:test';
import { BODY_TIMEOUT_MS } from '../../app/mcp/request-message.ts';
import { PING, RPC_ERROR, request, resourceUnderTest, rpcErrorOf } from './harness.ts';

const SESSION = { session: 's-alice' };

function chunked(...parts: (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const part of parts) {
        controller.enqueue(typeof part === 'string' ? encoder.encode(part) : part);
      }
      controller.close();
    },
  });
}

/** A ping of exactly `bytes` bytes. */
function pingOf(bytes: number): string {
  const empty = JSON.stringify({ ...PING, params: { pad: '' } });
  return JSON.stringify({ ...PING, params: { pad: 'x'.repeat(bytes - empty.length) } });
}

describe('content type of a POST', () => {
  const refused = [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json-seq',
    'application/json; charset=utf-16',
    'text/json, application/json',
    '',
  ];
  for (const type of refused) {
    it(`answers 415 to "${type}" and reads nothing`, async () => {
      const { send, alice } = resourceUnderTest();
      const response = await send(PING, { ...SESSION, headers: { 'content-type': type } });
      expect(response.status).toBe(415);
      expect((await rpcErrorOf(response)).code).toBe(RPC_ERROR.invalidRequest);
      expect(alice.calls).toEqual([]);
    });
  }

  it('answers 415 to a POST without a content type', async () => {
    const { plugin } = resourceUnderTest();
    const typed = request(PING, SESSION);
    const headers = new Headers(typed.headers);
    headers.delete('content-type');
    const body = new TextEncoder().encode(JSON.stringify(PING));
    const bare = new Request(typed.url, { method: 'POST', headers, body });
    expect((await plugin.handle(bare)).status).toBe(415);
  });

  it('answers 415 to a compressed body', async () => {
    const { send } = resourceUnderTest();
    const body = Bun.gzipSync(Buffer.from(JSON.stringify(PING)));
    const headers = { 'content-encoding': 'gzip' };
    expect((await send(PING, { ...SESSION, headers, body })).status).toBe(415);
  });

  for (const type of [
    'application/json',
    'application/json; charset=utf-8',
    'Application/JSON;charset="UTF-8"',
  ]) {
    it(`takes "${type}"`, async () => {
      const { send } = resourceUnderTest();
      const response = await send(PING, { ...SESSION, headers: { 'content-type': type } });
      expect(response.status).toBe(200);
    });
  }
});

describe('size and time of a body', () => {
  it('takes a body at the limit and answers 413 to one byte more', async () => {
    const { send, alice, metrics } = resourceUnderTest({ bodyBytesMax: 1000 });
    expect((await send(undefined, { ...SESSION, body: pingOf(1000) })).status).toBe(200);
    const response = await send(undefined, { ...SESSION, body: pingOf(1001) });
    expect(response.status).toBe(413);
    expect(await rpcErrorOf(response)).toMatchObject({ id: null, code: RPC_ERROR.invalidRequest });
    expect(alice.calls.length).toBe(1);
    const { values } = await metrics.limitsReached.get();
    expect(values).toMatchObject([{ labels: { limit: 'MAX_BODY' }, value: 1 }]);
  });

  it('counts a body that declares no length while it comes', async () => {
    const { send } = resourceUnderTest({ bodyBytesMax: 1000 });
    const text = pingOf(1001);
    const over = chunked(text.slice(0, 500), text.slice(500));
    expect((await send(undefined, { ...SESSION, body: over })).status).toBe(413);
    const exact = pingOf(1000);
    const at = chunked(exact.slice(0, 500), exact.slice(500));
    expect((await send(undefined, { ...SESSION, body: at })).status).toBe(200);
  });

  it('refuses a body that declares too much before reading it', async () => {
    const { send } = resourceUnderTest({ bodyBytesMax: 1000 });
    const never = new ReadableStream<Uint8Array>();
    const headers = { 'content-length': '1001' };
    expect((await send(undefined, { ...SESSION, headers, body: never })).status).toBe(413);
  });

  it('answers 408 to a body that does not arrive in time', async () => {
    const { send, clock } = resourceUnderTest();
    const asked = Promise.withResolvers<void>();
    const dripping = new ReadableStream<Uint8Array>(
      { pull: () => asked.resolve() },
      { highWaterMark: 0 },
    );
    const answer = send(undefined, { ...SESSION, body: dripping });
    await asked.promise;
    clock.advance(BODY_TIMEOUT_MS - 1);
    expect(await Promise.race([answer.then(() => 'answered'), Bun.sleep(0).then(() => '')])).toBe(
      '',
    );
    clock.advance(1);
    expect((await answer).status).toBe(408);
  });
});

describe('JSON-RPC of a body (JSON-RPC 2.0)', () => {
  const notJson = ['', '{', 'null,', '{"jsonrpc":"2.0","id":1,"method":"ping"} {}', "{'a':1}"];
  for (const body of notJson) {
    it(`T29: answers 400 and -32700 with id null to ${JSON.stringify(body)}`, async () => {
      const { send } = resourceUnderTest();
      const response = await send(undefined, { ...SESSION, body: body === '' ? chunked() : body });
      expect(response.status).toBe(400);
      expect(await rpcErrorOf(response)).toMatchObject({ id: null, code: RPC_ERROR.parseError });
    });
  }

  it('T29: answers 400 and -32700 to bytes that are not UTF-8', async () => {
    const { send, alice } = resourceUnderTest();
    const bytes = Buffer.from(JSON.stringify({ ...PING, params: { text: '@' } }));
    bytes[bytes.indexOf('@')] = 0xff;
    const response = await send(undefined, { ...SESSION, body: bytes });
    expect(response.status).toBe(400);
    expect((await rpcErrorOf(response)).code).toBe(RPC_ERROR.parseError);
    expect(alice.calls).toEqual([]);
  });

  it('T29: keeps a character whole that arrives in two chunks', async () => {
    const { send, alice } = resourceUnderTest();
    const bytes = Buffer.from(JSON.stringify({ ...PING, params: { text: 'ä' } }));
    const cut = bytes.indexOf(0xc3) + 1;
    const body = chunked(bytes.subarray(0, cut), bytes.subarray(cut));
    expect((await send(undefined, { ...SESSION, body })).status).toBe(200);
    expect(alice.calls[0]?.text).toContain('ä');
  });

  it('T29: survives a body that is nested as deep as its size allows', async () => {
    const { send } = resourceUnderTest();
    const response = await send(undefined, { ...SESSION, body: '['.repeat(60_000) });
    expect(response.status).toBe(400);
  });

  const invalid = [
    { body: '1', id: null },
    { body: 'null', id: null },
    { body: '"ping"', id: null },
    { body: '{}', id: null },
    { body: '{"id":5,"method":"ping"}', id: 5 },
    { body: '{"jsonrpc":"1.0","id":5,"method":"ping"}', id: 5 },
    { body: '{"jsonrpc":"2.0","id":null,"method":"ping"}', id: null },
    { body: '{"jsonrpc":"2.0","id":1.5,"method":"ping"}', id: null },
    { body: '{"jsonrpc":"2.0","id":{},"method":"ping"}', id: null },
    { body: '{"jsonrpc":"2.0","id":"a","method":7}', id: 'a' },
    { body: '{"jsonrpc":"2.0","id":"a","method":"ping","params":"x"}', id: 'a' },
    { body: '{"jsonrpc":"2.0","id":"a"}', id: 'a' },
    { body: '{"jsonrpc":"2.0","id":"a","result":{},"error":{}}', id: 'a' },
  ];
  for (const { body, id } of invalid) {
    it(`T29: answers 400 and -32600 with the id, if it has a good one, to ${body}`, async () => {
      const { send } = resourceUnderTest();
      const response = await send(undefined, { ...SESSION, body });
      expect(response.status).toBe(400);
      expect(await rpcErrorOf(response)).toMatchObject({ id, code: RPC_ERROR.invalidRequest });
    });
  }

  it('T4: answers 400 and -32600 to an array, an empty one too', async () => {
    const { send, alice } = resourceUnderTest();
    for (const batch of [[PING, PING], [PING], []]) {
      const response = await send(batch, SESSION);
      expect(response.status).toBe(400);
      expect((await rpcErrorOf(response)).code).toBe(RPC_ERROR.invalidRequest);
    }
    expect(alice.calls).toEqual([]);
  });

  const ambiguous = [
    '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
    '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
    '{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"params":{}}',
    '{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"ping"}',
    '{"jsonrpc":"2.0","id":1,"method":"ping","\\u0069d":2}',
    '{"jsonrpc":"2.0","id":1,"method":"ping","ID":2}',
    '{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}',
    '{"jsonrpc":"2.0","id":1,"method":"ping","param\u017f":{}}',
    '{"jsonrpc":"2.0","id":1,"method":"ping","RESULT":{}}',
  ];
  for (const body of ambiguous) {
    it(`refuses a message that two readers may take differently: ${body}`, async () => {
      const { send, alice } = resourceUnderTest();
      const response = await send(undefined, { ...SESSION, body });
      expect(response.status).toBe(400);
      expect(await rpcErrorOf(response)).toMatchObject({
        id: null,
        code: RPC_ERROR.invalidRequest,
      });
      expect(alice.calls).toEqual([]);
    });
  }

  it('passes members on that are not of JSON-RPC, and repeats below the top level', async () => {
    const { send, alice } = resourceUnderTest();
    const body =
      '{"jsonrpc":"2.0","id":1,"method":"ping","x":1,"x":2,"params":{"id":1,"id":2,"Method":"m"}}';
    expect((await send(undefined, { ...SESSION, body })).status).toBe(200);
    expect(alice.calls[0]?.text).toBe(body);
  });
});
