import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type BearerProxy, startBearerProxy } from './bearer-proxy.ts';

/** A server that says nothing by itself: the test reads and writes its connections. */
let upstream: Server;
let proxy: BearerProxy;
let arrived: Promise<Socket>;

beforeEach(async () => {
  upstream = createServer();
  arrived = once(upstream, 'connection').then(([socket]) => socket as Socket);
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const address = upstream.address();
  const port = typeof address === 'object' ? address?.port : 0;
  proxy = await startBearerProxy(new URL(`http://127.0.0.1:${port}/mcp?x=1`), 'secret');
});

afterEach(() => {
  proxy.stop();
  upstream.close();
});

function connectToProxy(): Socket {
  return connect({ host: '127.0.0.1', port: Number(new URL(proxy.url).port) });
}

/** Reads until the text ends with `end`. */
async function readTo(socket: Socket, end: string): Promise<string> {
  let text = '';
  while (!text.endsWith(end)) {
    const [chunk] = await once(socket, 'data');
    text += chunk;
  }
  return text;
}

describe('proxy that adds the bearer', () => {
  it('refuses a body whose length it cannot know', async () => {
    const client = connectToProxy();
    client.write('POST /mcp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
    expect(await readTo(client, '\r\n\r\n')).toStartWith('HTTP/1.1 411 ');
    client.destroy();
  });

  it('leaves a credential alone that is there already', async () => {
    const client = connectToProxy();
    client.write('GET /mcp HTTP/1.1\r\nAuthorization: Bearer own\r\n\r\n');
    expect(await readTo(await arrived, '\r\n\r\n')).toBe(
      'GET /mcp HTTP/1.1\r\nAuthorization: Bearer own\r\n\r\n',
    );
    client.destroy();
  });

  it('adds one line to each request of a connection and nothing else', async () => {
    expect(proxy.url).toMatch(/^http:\/\/localhost:\d+\/mcp\?x=1$/);
    const client = connectToProxy();
    const body = '{"a":"\r\n\r\nPOST / HTTP/1.1\r\n"}';
    const request = `POST /mcp HTTP/1.1\r\nHost: evil.example\r\norigin: http://evil.example\r\nContent-Length: ${body.length}\r\n\r\n`;
    const expected = request.replace('Host', 'authorization: Bearer secret\r\nHost');
    client.write(request + body + request.slice(0, 20));
    const socket = await arrived;
    expect(await readTo(socket, body)).toBe(expected + body);
    client.write(request.slice(20) + body);
    expect(await readTo(socket, body)).toBe(expected + body);
    client.destroy();
  });

  it('passes each part of an answer at once, before the next is there', async () => {
    const client = connectToProxy();
    client.write('GET /mcp HTTP/1.1\r\n\r\n');
    const socket = await arrived;
    await readTo(socket, '\r\n\r\n');
    for (const part of ['HTTP/1.1 200 OK\r\n\r\n', ': ping\n\n', 'data: 1\n\n']) {
      socket.write(part);
      expect(await readTo(client, part)).toBe(part);
    }
    client.destroy();
  });

  it('ends the other side when one goes away', async () => {
    const client = connectToProxy();
    client.write('GET /mcp HTTP/1.1\r\n\r\n');
    const socket = await arrived;
    socket.resume();
    client.destroy();
    await once(socket, 'close');
    const second = connectToProxy();
    const [other] = (await once(upstream, 'connection')) as [Socket];
    second.resume();
    other.destroy();
    await once(second, 'close');
  });
});
