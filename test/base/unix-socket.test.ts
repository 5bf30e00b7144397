import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { probeSocket } from '../../app/base/probe-socket.ts';
import {
  bindPrivately,
  SOCKET_PATH_BYTES_MAX,
  type SocketPlace,
  stageSocket,
} from '../../app/base/unix-socket.ts';

let directory: string;
let servers: Server[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-socket-'));
  servers = [];
});

afterEach(() => {
  for (const server of servers) server.close();
  rmSync(directory, { recursive: true });
});

const place = (more: Partial<SocketPlace> = {}): SocketPlace => ({
  path: join(directory, 'x.sock'),
  mode: 0o660,
  directoryMode: 0o750,
  succeeds: false,
  ...more,
});

/** Binds a server that says its name to whoever connects. */
async function bind(path: string, name: string): Promise<void> {
  const server = createServer((socket) => socket.end(name));
  servers.push(server);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.once('listening', resolve);
  bindPrivately(() => server.listen(path));
  await promise;
}

async function whoAnswers(path: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  await Bun.connect({
    unix: path,
    socket: { data: (_, bytes) => resolve(bytes.toString()) },
  });
  return promise;
}

/** Binds a socket in another process and kills that. */
async function leaveBehind(path: string): Promise<void> {
  const listen = `Bun.listen({ unix: process.argv[1], socket: { data() {} } }); console.log('up')`;
  const other = Bun.spawn([process.execPath, '-e', listen, path], { stdout: 'pipe' });
  await other.stdout.getReader().read();
  other.kill('SIGKILL');
  await other.exited;
}

const modeOf = (path: string) => statSync(path).mode & 0o777;

describe('the place of a unix socket', () => {
  it('is refused where something else than a socket is, which stays as it is', async () => {
    const { path } = place();
    writeFileSync(path, 'a letter');
    await expect(stageSocket(place())).rejects.toThrow('something that is no socket is there');
    expect(await Bun.file(path).text()).toBe('a letter');
  });

  it('is refused where another broker answers', async () => {
    await bind(place().path, 'other');
    await expect(stageSocket(place())).rejects.toThrow('another broker answers there');
    expect(await whoAnswers(place().path)).toBe('other');
  });

  it('is refused in a directory that others may write to', async () => {
    chmodSync(directory, 0o770);
    await expect(stageSocket(place())).rejects.toThrow(`chmod go-w ${directory}`);
  });

  it('has a path of so many bytes at most that the name beside it fits too', async () => {
    const longest = join(directory, 'x'.repeat(SOCKET_PATH_BYTES_MAX - directory.length - 1));
    const staged = await stageSocket(place({ path: longest }));
    await bind(staged.bindPath, 'long');
    staged.publish();
    expect(await whoAnswers(longest)).toBe('long');
    await expect(stageSocket(place({ path: `${longest}x` }))).rejects.toThrow('at most 102 bytes');
  });

  it('gets its directory when there is none, for its owner and its group', async () => {
    const path = join(directory, 'edge', 'x.sock');
    await stageSocket(place({ path }));
    expect(modeOf(join(directory, 'edge'))).toBe(0o750);
  });
});

describe('a staged socket', () => {
  it('takes the place of one that a killed process has left, even beside it', async () => {
    const { path } = place();
    for (const dead of [path, `${path}.next`]) {
      await leaveBehind(dead);
      expect(await probeSocket(dead)).toBe('dead');
    }
    const staged = await stageSocket(place());
    await bind(staged.bindPath, 'new');
    staged.publish();
    expect(await whoAnswers(path)).toBe('new');
  });

  it('is nobody else’s until it is public, and then has its mode', async () => {
    const staged = await stageSocket(place());
    await bind(staged.bindPath, 'new');
    expect(modeOf(staged.bindPath)).toBe(0o600);
    staged.publish();
    expect(modeOf(place().path)).toBe(0o660);
    expect(existsSync(staged.bindPath)).toBe(false);
  });

  it('succeeds one that answers, in one step', async () => {
    const first = await stageSocket(place());
    await bind(first.bindPath, 'first');
    first.publish();
    const second = await stageSocket(place({ succeeds: true }));
    await bind(second.bindPath, 'second');
    expect(await whoAnswers(place().path)).toBe('first');
    second.publish();
    expect(await whoAnswers(place().path)).toBe('second');
    // The first one leaves, and takes nothing along that is not its own.
    first.remove();
    expect(await whoAnswers(place().path)).toBe('second');
    second.remove();
    expect(existsSync(place().path)).toBe(false);
  });

  it('that never became public leaves the one before as it was', async () => {
    const first = await stageSocket(place());
    await bind(first.bindPath, 'first');
    first.publish();
    const second = await stageSocket(place({ succeeds: true }));
    await bind(second.bindPath, 'second');
    second.remove();
    expect(existsSync(second.bindPath)).toBe(false);
    expect(await whoAnswers(place().path)).toBe('first');
  });
});
