import { describe, expect, it } from 'bun:test';
import { connect } from 'node:net';
import { type BodyFault, readBody } from '../../app/base/bounded-body.ts';
import type { Result } from '../../app/base/result.ts';

const LIMIT = 8;

function chunked(chunks: readonly string[], end: 'close' | 'error' | 'never' = 'close'): Request {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
      if (end === 'close') controller.close();
      if (end === 'error') controller.error(new Error('the sender went away'));
    },
  });
  return new Request('http://localhost/', { method: 'POST', body });
}

describe('a body with a bound', () => {
  it('refuses a declared length one beyond the limit', async () => {
    const request = new Request('http://localhost/', {
      method: 'POST',
      body: 'x',
      headers: { 'content-length': String(LIMIT + 1) },
    });
    expect(await readBody(request, LIMIT)).toEqual({ ok: false, error: 'too_large' });
  });

  it('refuses a body without a length at the first byte beyond the limit, before its end', async () => {
    expect(await readBody(chunked(['12345678', '9'], 'never'), LIMIT)).toEqual({
      ok: false,
      error: 'too_large',
    });
  });

  it('tells a sender that went away from a body that is too large', async () => {
    expect(await readBody(chunked(['12'], 'error'), LIMIT)).toEqual({
      ok: false,
      error: 'aborted',
    });
  });

  it('reads a body of exactly the limit, whatever its chunks split', async () => {
    const read = await readBody(chunked(['1234', '56', '78']), LIMIT);
    expect(read.ok && new TextDecoder().decode(read.value)).toBe('12345678');
  });

  it('reads no body as an empty one', async () => {
    const read = await readBody(new Request('http://localhost/', { method: 'POST' }), LIMIT);
    expect(read.ok && read.value.byteLength).toBe(0);
  });
});

describe('a body with a bound, over a connection', () => {
  /** Sends the text, and closes the connection while it is read; gives what was read of its body. */
  async function readOver(text: string, end: boolean): Promise<Result<Uint8Array, BodyFault>> {
    const read = Promise.withResolvers<Result<Uint8Array, BodyFault>>();
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      async fetch(request) {
        const reading = readBody(request, LIMIT);
        if (end) socket.destroy();
        read.resolve(await reading);
        return new Response();
      },
    });
    const socket = connect(server.port ?? 0, '127.0.0.1', () => socket.write(text));
    try {
      return await read.promise;
    } finally {
      socket.destroy();
      await server.stop(true);
    }
  }

  const head = 'POST / HTTP/1.1\r\nhost: localhost\r\n';

  it('tells of a sender that went away in the middle of what it had announced', async () => {
    const result = await readOver(`${head}content-length: 8\r\n\r\n1234`, true);
    expect(result).toEqual({ ok: false, error: 'aborted' });
  });

  it('takes no more than what was announced', async () => {
    const result = await readOver(`${head}content-length: 4\r\n\r\n123456789`, false);
    expect(result.ok && new TextDecoder().decode(result.value)).toBe('1234');
  });

  it('counts a chunked body while it comes', async () => {
    const chunked = `${head}transfer-encoding: chunked\r\n\r\n9\r\n123456789\r\n`;
    expect(await readOver(chunked, false)).toEqual({ ok: false, error: 'too_large' });
  });

  it('reads a body of exactly the limit, and refuses one byte more by its length', async () => {
    const exact = await readOver(`${head}content-length: 8\r\n\r\n12345678`, false);
    expect(exact.ok && new TextDecoder().decode(exact.value)).toBe('12345678');
    const beyond = await readOver(`${head}content-length: 9\r\n\r\n1`, false);
    expect(beyond).toEqual({ ok: false, error: 'too_large' });
  });
});
