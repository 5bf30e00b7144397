import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Elysia } from 'elysia';
import type { ListenAddress } from '../../app/base/listen-address.ts';
import { type HttpListener, listenHttp } from '../../app/http/listener.ts';

let directory: string;
let open: HttpListener[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-listener-'));
  open = [];
});

afterEach(async () => {
  await Promise.all(open.map((listener) => listener.close()));
  rmSync(directory, { recursive: true });
});

async function listen(name: string, address: ListenAddress, succeeds = false) {
  const app = new Elysia({ serve: { reusePort: false, development: false } }).get('/', () => name);
  const listener = await listenHttp(app, address, succeeds);
  open.push(listener);
  return listener;
}

const socket = (): ListenAddress => ({ kind: 'unix', path: join(directory, 'http.sock') });
const ask = async () => {
  const unix = join(directory, 'http.sock');
  return (await fetch('http://localhost/', { unix, keepalive: false })).text();
};

describe('a listener on a port', () => {
  it('tells the port that the system chose, and why it cannot listen', async () => {
    const first = await listen('a', { kind: 'tcp', hostname: '127.0.0.1', port: 0 });
    expect(first.address).toBe(`127.0.0.1:${first.port}`);
    const taken: ListenAddress = { kind: 'tcp', hostname: '127.0.0.1', port: first.port ?? 0 };
    await expect(listen('b', taken)).rejects.toMatchObject({ reason: 'EADDRINUSE' });
  });
});

describe('a listener on a unix socket', () => {
  it('may be reached by its group, and takes its name away at the end', async () => {
    const listener = await listen('a', socket());
    expect(listener.address).toBe(`unix:${directory}/http.sock`);
    expect(listener.port).toBeUndefined();
    expect(statSync(join(directory, 'http.sock')).mode & 0o777).toBe(0o660);
    expect(await ask()).toBe('a');
    await listener.drain();
    expect(existsSync(join(directory, 'http.sock'))).toBe(false);
  });

  it('says why it cannot listen, and leaves what is there', async () => {
    await listen('a', socket());
    await expect(listen('b', socket())).rejects.toMatchObject({
      reason: 'another broker answers there',
    });
    expect(await ask()).toBe('a');
    writeFileSync(join(directory, 'file'), '');
    const file: ListenAddress = { kind: 'unix', path: join(directory, 'file') };
    await expect(listen('b', file)).rejects.toMatchObject({
      reason: 'something that is no socket is there',
    });
  });

  it('succeeds another one when it is told to, which then leaves without a trace', async () => {
    const first = await listen('first', socket());
    const second = await listen('second', socket(), true);
    expect(await ask()).toBe('first');
    second.publish();
    expect(await ask()).toBe('second');
    await first.drain();
    await first.close();
    expect(await ask()).toBe('second');
  });
});
