import { describe, expect, it } from 'bun:test';
import { connect } from 'node:net';
import { Elysia } from 'elysia';
import { systemClock } from '../../app/base/clock.ts';
import { drainBody } from '../../app/http/drain-body.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** A body that comes when it is asked for; `sent` says how many pieces were. */
function pieces(count: number, piece = 'x') {
  const state = { sent: 0 };
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (state.sent === count) controller.close();
      else {
        state.sent += 1;
        controller.enqueue(new TextEncoder().encode(piece));
      }
    },
  });
  return { state, body };
}

function post(body: ReadableStream<Uint8Array>): Request {
  return new Request('http://127.0.0.1/refused', { method: 'POST', body });
}

function refusing(clock = new FakeClock()) {
  const app = new Elysia()
    .use(drainBody({ clock }))
    .post('/refused', () => new Response('no', { status: 401 }), { parse: 'none' })
    .post('/read', async ({ request }) => new Response(await request.text()), { parse: 'none' });
  return { app, clock };
}

describe('a body that a refusal has left unread', () => {
  it('is taken in before the answer is sent', async () => {
    const { app } = refusing();
    const { state, body } = pieces(100);
    const response = await app.handle(post(body));
    expect(response.status).toBe(401);
    expect(state.sent).toBe(100);
  });

  it('is given up when it is larger than anything that is read', async () => {
    const { app } = refusing();
    const { state, body } = pieces(Number.POSITIVE_INFINITY, 'x'.repeat(1024 * 1024));
    expect((await app.handle(post(body))).status).toBe(401);
    expect(state.sent).toBeLessThan(20);
  });

  it('is not waited for when it says that it is larger', async () => {
    const { app } = refusing();
    const body = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => undefined) });
    const headers = { 'content-length': String(16 * 1024 * 1024 + 1) };
    const request = new Request('http://127.0.0.1/refused', { method: 'POST', body, headers });
    expect((await app.handle(request)).status).toBe(401);
  });

  it('is given up when it does not come', async () => {
    const { app, clock } = refusing();
    const body = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => undefined) });
    const answer = app.handle(post(body));
    while (clock.pending === 0) await Bun.sleep(0);
    clock.advance(2_000);
    expect((await answer).status).toBe(401);
  });

  it('leaves alone what was read, and what has none', async () => {
    const { app } = refusing();
    const read = new Request('http://127.0.0.1/read', { method: 'POST', body: 'all of it' });
    expect(await (await app.handle(read)).text()).toBe('all of it');
    expect((await app.handle(new Request('http://127.0.0.1/nothing'))).status).toBe(404);
    const empty = new Request('http://127.0.0.1/refused', { method: 'POST' });
    expect((await app.handle(empty)).status).toBe(401);
  });

  it('does not keep its connection from the next request', async () => {
    const app = new Elysia()
      .use(drainBody({ clock: systemClock }))
      .post('/refused', () => new Response('no', { status: 401 }), { parse: 'none' })
      .listen({ hostname: '127.0.0.1', port: 0 });
    const socket = connect(app.server?.port ?? 0, '127.0.0.1');
    let received = '';
    const answers = new Promise<void>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('close', () => reject(new Error(`closed behind: ${received}`)));
      socket.on('data', (data) => {
        received += data;
        if (received.split('HTTP/1.1 401').length === 3) resolve();
      });
    });
    const body = 'x'.repeat(100_000);
    const head = `POST /refused HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}\r\n\r\n`;
    socket.write(head);
    socket.write(body);
    socket.write(head);
    socket.write(body);
    await answers;
    socket.removeAllListeners('close');
    socket.destroy();
    await app.stop(true);
  });
});
