import { afterEach, beforeEach, describe, expect, it, setDefaultTimeout } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../app/base/clock.ts';
import { openControlLine } from '../../app/control/ask.ts';
import { fixtureCommand } from '../support/fixture-supervisor.ts';
import { type HandOverStage, setHandOverStage } from '../support/hand-over-stage.ts';
import { KeptConnection } from '../support/kept-connection.ts';
import { ownCommand } from '../support/own-command.ts';
import { isAlive, untilGone } from '../support/processes.ts';
import { RawClient, rpcAnswer } from '../support/raw-client.ts';
import { RawSession } from '../support/raw-session.ts';
import { accessTokenOf, alice, newClient } from '../support/sign-in.ts';
import { SteadyCallers } from '../support/steady-callers.ts';
import { freePort } from '../support/system.ts';

// Real processes: on a busy machine each of many takes its time.
setDefaultTimeout(120_000);

const STREAM = 'application/json, text/event-stream';

const METRICS_TOKEN = 'a-token-of-a-test-with-enough-letters';

let on: HandOverStage;
let token: string;

beforeEach(async () => {
  on = await setHandOverStage(fixtureCommand('--tell'), () => ({
    settings: { MAX_SESSIONS_PER_USER: '50', RATE_LIMITS: 'off' },
  }));
  token = await accessTokenOf(on.stage.mcpUrl);
});

afterEach(() => on.end());

const session = () => RawSession.open(on.stage.mcpUrl, token);
const events = (event: string) => on.broker.log(event);

/** Hands over and gives the process of the successor. */
async function handOver(): Promise<number> {
  const before = on.successors.length;
  const { code, stderr } = await on.reload('--hand-over');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return on.successor(before + 1);
}

describe('a hand-over', () => {
  it('makes another process the broker, tells so, and the old one leaves', async () => {
    const open = await session();
    const before = await open.tool<{ pid: number }>('self');
    const { stdout } = await on.reload('--hand-over');
    const successor = await on.successor(1);
    expect(stdout).toBe(`handed over to version 0.1.0, process ${successor}\n`);
    expect(await on.notify.until('MAINPID=')).toBe(`MAINPID=${successor}`);
    await on.notify.until('READY=1', 2);
    expect((await open.tool<{ pid: number }>('self')).pid).not.toBe(before.pid);
    await untilGone(on.broker.pid);
    expect(isAlive(before.pid)).toBe(false);
    expect(await open.tool<object>('echo', { a: 1 })).toEqual({ a: 1 });
    expect(events('session.opened')).toHaveLength(1);
    // The one that left has told the manager nothing of a stop of the service.
    expect(on.notify.heard).not.toContain('STOPPING=1');
  });

  it('loses no call of twenty busy clients, three times in a row', async () => {
    const callers = await SteadyCallers.open(on.stage.mcpUrl, token, 20);
    callers.start();
    await callers.answers(200);
    for (const _ of [1, 2, 3]) {
      await handOver();
      await callers.answers(200);
    }
    const { answered, others } = await callers.stop();
    expect(others).toEqual([]);
    expect(on.proxy.faults).toEqual([]);
    expect(answered).toBeGreaterThanOrEqual(800);
    expect(events('session.opened')).toHaveLength(20);
    expect(new Set([on.broker.pid, ...on.successors]).size).toBe(4);
    for (const pid of [on.broker.pid, ...on.successors.slice(0, -1)]) await untilGone(pid);
  });

  it('lets calls that are under way end where they began, as JSON and as streams', async () => {
    const client = new RawClient(on.stage.mcpUrl, token);
    await client.initialize();
    const path = join(on.stage.directory, 'answer-now');
    const stream = await client.call('wait_for_file', { path }, STREAM);
    const json = client.call('wait_for_file', { path });
    const lines = await on.broker.logged('child.stderr', 2);
    const successor = await handOver();
    // New ones are the successor's.
    const now = await rpcAnswer(await client.call('self'));
    expect(now.result?.structuredContent).not.toMatchObject({ pid: lines[0]?.pid });
    expect(isAlive(on.broker.pid)).toBe(true);
    writeFileSync(path, '');
    expect((await rpcAnswer(stream)).result).toBeDefined();
    expect((await rpcAnswer(await json)).result).toBeDefined();
    await untilGone(on.broker.pid);
    expect(isAlive(successor)).toBe(true);
  });

  it('ends listening streams, and the client goes on with the successor', async () => {
    const open = await session();
    const ending = new AbortController();
    const first = await open.listen(ending.signal);
    await handOver();
    // Ended, not broken off: the client comes back by itself.
    expect(await first.text()).toContain(': open');
    await untilGone(on.broker.pid);
    const second = await open.listen(ending.signal);
    expect(second.status).toBe(200);
    ending.abort();
  });

  it('ends what is under way when the successor is told to end its grant', async () => {
    const client = new RawClient(on.stage.mcpUrl, token);
    await client.initialize();
    const hanging = client.call('hang');
    await on.broker.logged('child.stderr');
    await handOver();
    const control = ['--control-socket', `${on.stage.storePath}.control`];
    expect((await ownCommand('revoke', '--login', 'alice', ...control)).code).toBe(0);
    expect((await rpcAnswer(await hanging)).error).toBeDefined();
    await untilGone(on.broker.pid);
  });

  it('gives the store keys along, also one that was rotated since the start', async () => {
    const files = ['--store-key-file', join(on.stage.directory, 'store.key')];
    const { code } = await ownCommand(
      ...['rotate-key', '--control-socket', `${on.stage.storePath}.control`, ...files],
      ...['--store-previous-key-file', join(on.stage.directory, 'previous.key')],
    );
    expect(code).toBe(0);
    // As with a credential of systemd, which is not renewed: this file is as it was at the start.
    writeFileSync(join(on.stage.directory, 'store.key'), on.stage.storeKey);
    await handOver();
    const open = await session();
    expect(await open.tool<object>('echo', { a: 1 })).toEqual({ a: 1 });
  });

  it('takes settings that need a restart', async () => {
    const child = `child_command = ${JSON.stringify(fixtureCommand('--tell'))}\n`;
    writeFileSync(join(on.stage.directory, 'config.toml'), `${child}max_body = "2KiB"\n`);
    const open = await session();
    await open.tool('echo', { text: 'x'.repeat(4096) });
    await handOver();
    const response = await open.send({ id: 9, method: 'tools/list', params: 'x'.repeat(4096) });
    expect(response.status).toBe(413);
  });

  it('lets a person sign in during it, and refresh tokens after it', async () => {
    const client = newClient(on.stage.mcpUrl);
    const [handed] = await Promise.all([handOver(), client.authorize(alice())]);
    expect(isAlive(handed)).toBe(true);
    await client.connect();
    expect(on.proxy.faults).toEqual([]);
  });

  it('tells who kept a connection open to make the next one', async () => {
    const kept = await KeptConnection.open(on.socketPath, new URL(on.stage.origin).host);
    expect(await kept.get('/healthz')).not.toContain('Connection: close');
    const line = openControlLine(`${on.stage.storePath}.control`, systemClock, 60_000);
    expect(await line.ask({ action: 'reload', handOver: true })).toMatchObject({ ok: true });
    line.close();
    expect(await kept.get('/healthz')).toContain('Connection: close');
    await kept.ended;
  });
});

describe('the metrics of a successor', () => {
  it.each(['unix', 'tcp'] as const)(
    'are where those of the broker before were: %s',
    async (kind) => {
      await on.end();
      let path = '';
      const port = freePort();
      on = await setHandOverStage(fixtureCommand(), ({ directory }) => {
        path = join(directory, 'metrics.sock');
        return {
          settings: { METRICS_LISTEN: kind === 'unix' ? `unix:${path}` : `127.0.0.1:${port}` },
          wrapper: ['/usr/bin/env', `FJMCP_METRICS_TOKEN=${METRICS_TOKEN}`],
        };
      });
      const ask = () =>
        fetch(`http://127.0.0.1:${port}/metrics`, {
          ...(kind === 'unix' && { unix: path }),
          headers: { authorization: `Bearer ${METRICS_TOKEN}` },
        });
      expect((await ask()).status).toBe(200);
      await handOver();
      await untilGone(on.broker.pid);
      await on.broker.logged('metrics.listening', 2);
      expect((await ask()).status).toBe(200);
    },
  );
});

describe('the signs of life', () => {
  it('go on from the successor, for whom the variable that names the first is not meant', async () => {
    await on.end();
    on = await setHandOverStage(fixtureCommand(), () => ({
      wrapper: ['/bin/sh', '-c', 'WATCHDOG_USEC=600000 WATCHDOG_PID=$$ exec "$0" "$@"'],
    }));
    await handOver();
    await untilGone(on.broker.pid);
    const beats = on.notify.heard.filter((text) => text === 'WATCHDOG=1').length;
    await on.notify.until('WATCHDOG=1', beats + 3);
  });
});
