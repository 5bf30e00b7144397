import { afterEach, beforeEach, describe, expect, it, setDefaultTimeout } from 'bun:test';

import { join } from 'node:path';
import { type BrokerProcess, type Stage, setStage } from '../support/broker-process.ts';
import { fixtureCommand } from '../support/fixture-supervisor.ts';
import { listenNotify, type NotifySocket } from '../support/notify-socket.ts';
import { ownCommand } from '../support/own-command.ts';
import { isAlive, untilGone } from '../support/processes.ts';
import { RawSession } from '../support/raw-session.ts';
import { accessTokenOf } from '../support/sign-in.ts';
import { SocketProxy } from '../support/socket-proxy.ts';

// Real processes: on a busy machine each of many takes its time.
setDefaultTimeout(60_000);

let stage: Stage;
let broker: BrokerProcess;
let proxy: SocketProxy;
let notify: NotifySocket;

const socketPath = () => join(stage.directory, 'edge', 'http.sock');

beforeEach(async () => {
  stage = await setStage({ childCommand: fixtureCommand() });
  // People reach the public address; behind it is the broker's socket, as behind a web server.
  const { hostname, port } = new URL(stage.origin);
  proxy = new SocketProxy({ hostname, port: Number(port) }, socketPath());
  const notifyPath = join(stage.directory, 'notify.sock');
  notify = listenNotify(notifyPath);
  broker = await stage.start({
    settings: { LISTEN: `unix:${socketPath()}` },
    wrapper: ['/usr/bin/env', `NOTIFY_SOCKET=${notifyPath}`],
  });
  await notify.until('READY=1');
});

afterEach(async () => {
  for (const { pid } of broker.log('handover.started')) {
    if (isAlive(Number(pid))) process.kill(Number(pid), 'SIGKILL');
  }
  await proxy.close();
  notify.close();
  await stage.end();
});

const reload = (...words: string[]) =>
  ownCommand('reload', '--control-socket', `${stage.storePath}.control`, ...words);

describe('a hand-over', () => {
  it('makes another process the broker, and every session goes on', async () => {
    const session = await RawSession.open(stage.mcpUrl, await accessTokenOf(stage.mcpUrl));
    const before = await session.tool<{ pid: number }>('self');
    const { code, stdout, stderr } = await reload('--hand-over');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [started] = await broker.logged('handover.started');
    expect(stdout).toBe(`handed over to version 0.1.0, process ${started?.pid}\n`);
    expect(await notify.until('MAINPID=')).toBe(`MAINPID=${started?.pid}`);
    await notify.until('READY=1', 2);
    const after = await session.tool<{ pid: number }>('self');
    expect(after.pid).not.toBe(before.pid);
    await untilGone(broker.pid);
    expect(isAlive(before.pid)).toBe(false);
    await session.tool('self');
  });
});
