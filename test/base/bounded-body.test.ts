import { describe, expect, it } from 'bun:test';
import { readBody } from '../../app/base/bounded-body.ts';

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
