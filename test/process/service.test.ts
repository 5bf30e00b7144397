import { afterEach, describe, expect, it } from 'bun:test';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Stage, setStage } from '../support/broker-process.ts';
import { fixtureCommand } from '../support/fixture-supervisor.ts';
import { listenNotify, type NotifySocket } from '../support/notify-socket.ts';

let stage: Stage;
let notify: NotifySocket;

async function begin(childCommand: readonly string[], env: Readonly<Record<string, string>> = {}) {
  stage = await setStage({ childCommand });
  const path = join(stage.directory, 'notify.sock');
  notify = listenNotify(path);
  const words = Object.entries({ NOTIFY_SOCKET: path, ...env }).map(([key, value]) => {
    return `${key}=${value}`;
  });
  return stage.spawn({ wrapper: ['/usr/bin/env', ...words] });
}

afterEach(async () => {
  notify.close();
  await stage.end();
});

describe('a broker that a service manager has started', () => {
  it('is ready when it listens and a program has answered, and tells its stop', async () => {
    const broker = await begin(fixtureCommand());
    await notify.until('READY=1');
    expect(await broker.logged('broker.listening')).toHaveLength(1);
    expect(await broker.logged('broker.ready')).toMatchObject([{ trial: 'answered' }]);
    expect(notify.heard).toContain('STATUS=0 sessions in memory, 0 programs, 0 calls under way.');
    broker.kill('SIGTERM');
    await notify.until('STOPPING=1');
    expect((await broker.exited).code).toBe(0);
  });

  it('gets more time for each step of a migration, before it begins', async () => {
    await begin(fixtureCommand());
    await notify.until('READY=1');
    expect(notify.heard[0]).toBe('EXTEND_TIMEOUT_USEC=600000000');
  });

  it('gives signs of life when the manager wants them', async () => {
    const broker = await begin(fixtureCommand(), { WATCHDOG_USEC: '300000' });
    await notify.until('WATCHDOG=1', 3);
    broker.kill('SIGTERM');
    await broker.exited;
  });

  it('is not ready while no program can be run, and becomes it when one can', async () => {
    const script = join(mkdtempSync(join(tmpdir(), 'fjmcp-program-')), 'program');
    writeFileSync(script, 'exit 127');
    const broker = await begin(['/bin/sh', script]);
    const status = await notify.until('STATUS=Not ready');
    expect(status).toContain('exit code 127');
    expect(notify.heard).not.toContain('READY=1');
    writeFileSync(script, `exec ${fixtureCommand().join(' ')}`);
    await notify.until('READY=1');
    await broker.logged('broker.not_ready');
    rmSync(dirname(script), { recursive: true });
  });

  it('is ready all the same while Forgejo is away, and says so', async () => {
    stage = await setStage({ childCommand: ['/bin/sh', '-c', 'exit 1'] });
    const path = join(stage.directory, 'notify.sock');
    notify = listenNotify(path);
    await stage.forge.stop();
    stage.spawn({ wrapper: ['/usr/bin/env', `NOTIFY_SOCKET=${path}`] });
    await notify.until('READY=1');
    expect(notify.heard.join('\n')).toContain('STATUS=Degraded: Forgejo does not answer.');
  });
});

describe('a broker on a unix socket', () => {
  it('answers there, for its owner and its group', async () => {
    stage = await setStage({ childCommand: fixtureCommand() });
    notify = listenNotify(join(stage.directory, 'notify.sock'));
    const path = join(stage.directory, 'edge', 'http.sock');
    const broker = await stage.start({ settings: { LISTEN: `unix:${path}` } });
    expect(statSync(path).mode & 0o777).toBe(0o660);
    const host = new URL(stage.origin).host;
    const ask = () => fetch('http://localhost/healthz', { unix: path, headers: { host } });
    expect((await ask()).status).toBe(200);
    // What a killed one leaves is no hindrance.
    broker.kill('SIGKILL');
    await broker.exited;
    await stage.start({ settings: { LISTEN: `unix:${path}` } });
    expect((await ask()).status).toBe(200);
  });
});
