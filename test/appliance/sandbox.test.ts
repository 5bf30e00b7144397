import { afterAll, beforeAll, expect, it } from 'bun:test';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DemoClient } from '../../app/demo/client.ts';
import type { HttpFetch } from '../../app/demo/person.ts';
import { must } from './harness/command.ts';
import { describeAppliance } from './harness/describe.ts';
import { brokerLog, mainPid } from './harness/journal.ts';
import type { Machine } from './harness/machine.ts';
import { connected, installByPipe, outsideFetch, publish } from './harness/site.ts';
import { openWorkshop, type Workshop } from './harness/workshop.ts';

const HOSTILE = fileURLToPath(new URL('fixture/hostile-child.ts', import.meta.url));
const OVERRIDE = '/run/systemd/system/fjmcp-broker.service.d';

const FILES = [
  ...['/var/lib/fjmcp-broker/store.db', '/etc/fjmcp-broker/config.toml'],
  ...['/etc/fjmcp-broker/credentials/store-key', '/run/credentials/fjmcp-broker.service/store-key'],
  ...['/opt/fjmcp-broker/current/fjmcp-broker', '/etc/passwd', '/etc/caddy/Caddyfile'],
];
const DIRECTORIES = ['/var/lib/fjmcp-broker', '/etc/fjmcp-broker', '/run', '/home', '/root'];
const SOCKETS = [
  ...['/run/fjmcp-broker/private/control.sock', '/run/fjmcp-broker/edge/metrics.sock'],
  ...['/run/fjmcp-broker/edge/http.sock', '/run/caddy/admin.sock', '/run/systemd/notify'],
  ...['/run/dbus/system_bus_socket', '/run/systemd/journal/socket'],
];

describeAppliance('a hostile child in the appliance', () => {
  let workshop: Workshop;
  let machine: Machine;
  let outside: HttpFetch;

  beforeAll(async () => {
    workshop = await openWorkshop();
    machine = await workshop.machine('sandbox');
    publish(workshop, 'current');
    const program = join(machine.root, 'srv/hostile');
    await must([process.execPath, 'build', '--compile', HOSTILE, '--outfile', program]);
    const flags = '--forgejo-mcp /srv/hostile';
    const { code, stderr } = await installByPipe(machine, workshop, 'current', { flags });
    if (code !== 0) throw new Error(stderr);
    outside = await outsideFetch(machine, workshop);
  });
  afterAll(() => workshop.close());

  it('is in a sandbox that keeps every promise, in the hardened unit too', async () => {
    expect(await brokerLog(machine, 'child.sandbox')).toMatchObject([{ without: [] }]);
  });

  it('[CVE-2026-61560] gets nothing of other children, the store, the keys, the settings, the sockets', async () => {
    const [alice, bob] = [await connected(outside, 'alice'), await connected(outside, 'bob')];
    const findings = await attack(alice);
    expect(findings.tokens).toBe('0');
    // Process 1 of its own namespace, which waits for it.
    expect(findings.processes).toBe('bwrap');
    const got = Object.entries(findings).filter(
      ([name, result]) =>
        /^(read|list|reach|signal|environment|memory)/.test(name) && !isRefused(result),
    );
    expect(got.map(([name]) => name)).toEqual([]);
    await Promise.all([alice.close(), bob.close()]);
  });

  it('S11: is held by the second lock where there are no user namespaces, and that is told', async () => {
    const lines = ['[Service]', 'RestrictNamespaces=', 'RestrictNamespaces=yes'].join('\\n');
    await machine.must(
      `mkdir -p ${OVERRIDE}; printf '${lines}\\n' > ${OVERRIDE}/none.conf; systemctl daemon-reload; systemctl restart fjmcp-broker`,
    );
    expect(await brokerLog(machine, 'child.sandbox_off')).toMatchObject([{ level: 'error' }]);
    const metrics = await machine.must(
      'curl -sS --unix-socket /run/fjmcp-broker/edge/metrics.sock http://localhost/metrics',
    );
    expect(metrics).toMatch(/^fjmcp_child_sandbox 0$/m);
    expect((await machine.shell('fjmcp-broker doctor')).stdout).toMatch(/without a sandbox/);
    const [alice, bob] = [await connected(outside, 'alice'), await connected(outside, 'bob')];
    const findings = await attack(alice);
    expect(findings.tokens).toBe('0');
    const others = await childPids();
    expect(others.length).toBeGreaterThan(1);
    for (const pid of others.filter((one) => String(one) !== findings.pid)) {
      expect(findings[`environment of ${pid}`]).toMatch(/^refused/);
      expect(findings[`memory of ${pid}`]).toMatch(/^refused/);
    }
    for (const secret of FILES.filter((path) => path.includes('/credentials/store-key'))) {
      expect(findings[`read ${secret}`]).toMatch(/^refused/);
    }
    await Promise.all([alice.close(), bob.close()]);
    await machine.must(
      `rm -r ${OVERRIDE}; systemctl daemon-reload; systemctl restart fjmcp-broker`,
    );
    const healthy = await machine.must(
      'curl -sS --unix-socket /run/fjmcp-broker/edge/metrics.sock http://localhost/metrics',
    );
    expect(healthy).toMatch(/^fjmcp_child_sandbox 1$/m);
  });

  /** What the hostile program got; the pids are those of the machine. */
  async function attack(session: DemoClient): Promise<Record<string, string>> {
    const processes = [await mainPid(machine, 'fjmcp-broker'), ...(await childPids())];
    const { content } = await session.client.callTool({
      name: 'get_my_user_info',
      arguments: { files: FILES, directories: DIRECTORIES, sockets: SOCKETS, processes },
    });
    const [{ text = '{}' } = {}] = content as { text?: string }[];
    return JSON.parse(text) as Record<string, string>;
  }

  async function childPids(): Promise<number[]> {
    const { stdout } = await machine.shell("pgrep -x -u fjmcp-broker 'forgejo-mcp'");
    return stdout.trim().split('\n').filter(Boolean).map(Number);
  }
});

function isRefused(result: string): boolean {
  return /^refused: (ENOENT|EACCES|EPERM|ESRCH|ECONNREFUSED)$/.test(result);
}
