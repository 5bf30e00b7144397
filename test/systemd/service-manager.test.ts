import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServiceManager } from '../../app/systemd/service-manager.ts';
import { createMemoryLog } from '../support/memory-log.ts';
import { listenNotify, type NotifySocket } from '../support/notify-socket.ts';

let directory: string;
let path: string;
let socket: NotifySocket;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-notify-'));
  path = join(directory, 'notify.sock');
  socket = listenNotify(path);
});

afterEach(() => {
  socket.close();
  rmSync(directory, { recursive: true });
});

const PID = 4711;

function manager(env: Readonly<Record<string, string>>) {
  const memory = createMemoryLog();
  return { ...memory, manager: createServiceManager({ env, pid: PID, log: memory.log }) };
}

describe('the service manager (sd_notify(3))', () => {
  it('hears everything in order, over a real socket', async () => {
    const told = manager({ NOTIFY_SOCKET: path }).manager;
    expect(told.present).toBe(true);
    told.extendTimeout(60_000);
    told.ready('12 sessions, für alle');
    told.alive();
    told.mainProcess(815);
    told.stopping();
    await socket.until('STOPPING=1');
    expect(socket.heard).toEqual([
      'EXTEND_TIMEOUT_USEC=60000000',
      ...['READY=1', 'STATUS=12 sessions, für alle'],
      ...['WATCHDOG=1', 'MAINPID=815'],
      ...['STOPPING=1', 'STATUS=Stopping.'],
    ]);
  });

  it('is told nothing but the text by a status with line ends', async () => {
    manager({ NOTIFY_SOCKET: path }).manager.status('a\nMAINPID=1\r\nb');
    await socket.until('STATUS=');
    expect(socket.heard).toEqual(['STATUS=a MAINPID=1 b']);
  });

  it('need not be there', () => {
    for (const env of [{}, { NOTIFY_SOCKET: '' }]) {
      const { manager: none, text } = manager(env as Record<string, string>);
      expect(none.present).toBe(false);
      none.ready('nobody hears it');
      expect(text()).toBe('');
    }
  });

  it('that cannot be reached is logged, and no failure of the broker', () => {
    const { manager: gone, of } = manager({ NOTIFY_SOCKET: join(directory, 'gone.sock') });
    gone.ready('x');
    expect(of('service_manager.unreachable')).toHaveLength(1);
  });

  it.each([
    [{ WATCHDOG_USEC: '30000000' }, 30_000],
    [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: String(PID) }, 30_000],
    [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' }, undefined],
    [{ WATCHDOG_USEC: '0' }, undefined],
    [{ WATCHDOG_USEC: 'soon' }, undefined],
    [{}, undefined],
  ])('looks for signs of life as %p says', (env, expected) => {
    expect(manager(env as Record<string, string>).manager.watchdogMs).toBe(expected);
  });
});
