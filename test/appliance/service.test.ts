import { afterAll, beforeAll, expect, it } from 'bun:test';
import type { HttpFetch } from '../../app/demo/person.ts';
import { describeAppliance } from './harness/describe.ts';
import { holdMainThread } from './harness/held-thread.ts';
import { brokerLog, journalText, mainPid } from './harness/journal.ts';
import type { Machine } from './harness/machine.ts';
import { connected, installed, outsideFetch, whoami } from './harness/site.ts';
import { openWorkshop, type Workshop } from './harness/workshop.ts';

const EXPOSURE_MAX = 2.6;
const CONFIG = '/etc/fjmcp-broker/config.toml';

describeAppliance('the unit fjmcp-broker.service', () => {
  let workshop: Workshop;
  let machine: Machine;
  let outside: HttpFetch;

  beforeAll(async () => {
    workshop = await openWorkshop();
    machine = await installed(workshop, 'service');
    outside = await outsideFetch(machine, workshop);
  });
  afterAll(() => workshop.close());

  it('is rated 2.6 or better by systemd-analyze security', async () => {
    const report = await machine.must('systemd-analyze security --no-pager fjmcp-broker');
    const level = Number(report.match(/exposure level for \S+ ([\d.]+)/)?.[1]);
    console.log(`systemd-analyze security fjmcp-broker: ${level}`);
    expect(level).toBeGreaterThan(0);
    expect(level).toBeLessThanOrEqual(EXPOSURE_MAX);
  });

  it('says in its status how many are connected', async () => {
    const client = await connected(outside, 'alice');
    const status = () => machine.must('systemctl show -P StatusText fjmcp-broker');
    while (!/\b1 session/.test(await status())) await Bun.sleep(100);
    await client.close();
  });

  it('[CVE-2025-49596] lets Caddy reach the HTTP and the metrics socket, and not the control socket', async () => {
    const reach = (user: string, socket: string, path: string) =>
      machine.shell(
        `runuser -u ${user} -- curl -sS -o /dev/null -w '%{http_code}' --unix-socket ${socket} -H 'Host: mcp.example.test' http://localhost${path}`,
      );
    const edge = '/run/fjmcp-broker/edge';
    expect((await reach('caddy', `${edge}/http.sock`, '/healthz')).stdout).toBe('200');
    expect((await reach('caddy', `${edge}/metrics.sock`, '/metrics')).stdout).toBe('200');
    expect((await reach('caddy', '/run/fjmcp-broker/private/control.sock', '/')).code).not.toBe(0);
    for (const socket of ['edge/http.sock', 'edge/metrics.sock', 'private/control.sock']) {
      expect((await reach('nobody', `/run/fjmcp-broker/${socket}`, '/')).code).not.toBe(0);
    }
    // Nothing of the broker listens on the network.
    const listening = await machine.must('ss -Hltnp');
    expect(listening).not.toContain('fjmcp');
  });

  it('hides metrics, control and everything but its name from the outside', async () => {
    for (const path of ['/metrics', '/admin', '/debug']) {
      expect((await outside(`https://mcp.example.test${path}`)).status).toBe(404);
    }
    const other = machine.shell(
      'curl -sk -o /dev/null -w "%{http_code}" -H "Host: evil.example" https://mcp.example.test/healthz',
    );
    expect((await other).stdout).toMatch(/^(000|421)$/);
  });

  it('[GHSA-g53w-w6mj-hrpp] believes nothing about a client but what Caddy has seen', async () => {
    await outside('https://mcp.example.test/docs', {
      headers: {
        'x-forwarded-for': '203.0.113.9',
        'x-real-ip': '203.0.113.9',
        forwarded: 'for=203.0.113.9',
      },
    });
    const requests = await brokerLog(machine, 'http.request');
    expect(JSON.stringify(requests)).not.toContain('203.0.113.9');
    expect(requests.findLast(({ route }) => route === '/docs')).toMatchObject({
      address: workshop.network.address,
    });
  });

  it('reloads a marked setting, tells which ones need a restart, and keeps sessions', async () => {
    const client = await connected(outside, 'alice');
    const pid = await mainPid(machine, 'fjmcp-broker');
    await withSettings('log_level = "debug"\nmax_sessions = 7\n', async () => {
      await machine.must('systemctl reload fjmcp-broker');
      const told = JSON.stringify(await brokerLog(machine)).toLowerCase();
      expect(told).toContain('log_level');
      expect(told).toContain('max_sessions');
      expect(await mainPid(machine, 'fjmcp-broker')).toBe(pid);
      expect(await whoami(client)).toContain('alice');
      expect((await brokerLog(machine)).map(({ level }) => level)).toContain('debug');
    });
    await machine.must('systemctl reload fjmcp-broker');
    expect(await whoami(client)).toContain('alice');
    await client.close();
  });

  it('refuses a wrong setting at a reload, says so, and goes on', async () => {
    const client = await connected(outside, 'alice');
    const pid = await mainPid(machine, 'fjmcp-broker');
    await withSettings('log_level = "loud"\n', async () => {
      expect((await machine.shell('systemctl reload fjmcp-broker')).code).not.toBe(0);
    });
    expect(await mainPid(machine, 'fjmcp-broker')).toBe(pid);
    expect(await whoami(client)).toContain('alice');
    await client.close();
  });

  it('does not start again and again with a wrong configuration', async () => {
    await withSettings('access_token_ttl = "soon"\n', async () => {
      await machine.shell('systemctl restart fjmcp-broker');
      await machine.must('until systemctl is-failed -q fjmcp-broker; do sleep 0.1; done');
      const status = await machine.must('systemctl show -p ExecMainStatus,NRestarts fjmcp-broker');
      expect(status).toBe('NRestarts=0\nExecMainStatus=2\n');
    });
    await machine.must('systemctl reset-failed fjmcp-broker; systemctl start fjmcp-broker');
  });

  it('leaves no child behind when it is killed, and is back at once', async () => {
    const client = await connected(outside, 'alice');
    const children = "pgrep -f '[f]orgejo-mcp --transport'";
    expect((await machine.must(children)).trim()).not.toBe('');
    const pids = (await machine.must(children)).trim().split('\n');
    const pid = await mainPid(machine, 'fjmcp-broker');
    await machine.must(`kill -KILL ${pid}`);
    for (const child of pids) while (await isAlive(child)) await Bun.sleep(20);
    await untilAnother(pid);
    expect(await whoami(client)).toContain('alice');
    await client.close();
  });

  it('is started again by the watchdog when its event loop does not turn', async () => {
    await machine.must(
      [
        'mkdir -p /run/systemd/system/fjmcp-broker.service.d',
        'printf "[Service]\\nWatchdogSec=5s\\n" > /run/systemd/system/fjmcp-broker.service.d/watchdog.conf',
        'systemctl daemon-reload && systemctl restart fjmcp-broker',
      ].join('\n'),
    );
    const pid = await mainPid(machine, 'fjmcp-broker');
    const outerPid = machine.outerPid(pid);
    const { [outerPid]: loop, ...others } = await holdMainThread(outerPid);
    expect(loop).toBe('t');
    expect(Object.values(others).join('')).toMatch(/^[RSD]+$/);
    await untilAnother(pid);
    expect(await journalText(machine)).toContain('fjmcp-broker.service: Watchdog timeout');
    const client = await connected(outside, 'bob');
    expect(await whoami(client)).toContain('bob');
    await client.close();
    await machine.must(
      'rm -r /run/systemd/system/fjmcp-broker.service.d && systemctl daemon-reload && systemctl restart fjmcp-broker',
    );
  });

  /** Puts lines before those of the configuration while `body` runs. */
  async function withSettings(lines: string, body: () => Promise<void>): Promise<void> {
    await machine.must(`cp ${CONFIG} /srv/good; cat - /srv/good > ${CONFIG}`, { stdin: lines });
    try {
      await body();
    } finally {
      await machine.must(`cat /srv/good > ${CONFIG}`);
    }
  }

  /** Resolves when another process than `pid` is the unit's, and serves. */
  async function untilAnother(pid: number): Promise<void> {
    while ([0, pid].includes(await mainPid(machine, 'fjmcp-broker'))) await Bun.sleep(50);
    await machine.must('until systemctl is-active -q fjmcp-broker; do sleep 0.1; done');
  }

  async function isAlive(pid: string): Promise<boolean> {
    return (await machine.shell(`test -d /proc/${pid}`)).code === 0;
  }
});
