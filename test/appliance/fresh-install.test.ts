import { afterAll, beforeAll, expect, it } from 'bun:test';
import type { HttpFetch } from '../../app/demo/person.ts';
import { createWiretap, type Wiretap } from '../support/wiretap.ts';
import type { Outcome } from './harness/command.ts';
import { describeAppliance } from './harness/describe.ts';
import { brokerLog, journalText, mainPid } from './harness/journal.ts';
import type { Machine } from './harness/machine.ts';
import { VERSIONS } from './harness/releases.ts';
import {
  installByPipe,
  MCP_URL,
  ORIGIN,
  outsideClient,
  outsideFetch,
  publish,
} from './harness/site.ts';
import { difference, treeOf } from './harness/tree.ts';
import { openWorkshop, type Workshop } from './harness/workshop.ts';

/** What Debian's own tools leave behind when a package or a user has come and gone. */
const OF_DEBIAN = ['etc/passwd-', 'etc/group-', 'etc/shadow-', 'etc/gshadow-', 'var/lib/dpkg'];

describeAppliance('the one command on a fresh Debian 12', () => {
  let workshop: Workshop;
  let machine: Machine;
  let installed: Outcome;
  let outside: HttpFetch;
  let wiretap: Wiretap;
  let connection: ReturnType<typeof outsideClient>;
  let fresh: string[];

  beforeAll(async () => {
    workshop = await openWorkshop();
    machine = await workshop.machine('fresh');
    publish(workshop, 'current', 'forgejo-mcp');
    fresh = await treeOf(machine, { times: false, without: OF_DEBIAN });
    installed = await installByPipe(machine, workshop, 'current');
    if (installed.code !== 0) throw new Error(`${installed.stdout}\n${installed.stderr}`);
    outside = await outsideFetch(machine, workshop);
    wiretap = createWiretap(outside);
  });
  afterAll(() => workshop.close());

  it('ends with the address to give to Claude', () => {
    expect(installed.stderr).not.toContain('doctor has findings');
    expect(installed.stdout.trimEnd().split('\n').at(-1)?.trim()).toBe(MCP_URL);
  });

  it('leaves both units active', async () => {
    expect(await machine.must('systemctl is-active fjmcp-broker caddy')).toBe('active\nactive\n');
    const { stdout } = await machine.shell('systemctl --failed --no-legend --plain');
    expect(stdout).toBe('');
  });

  it('serves https on the public name with a chain that only its authority signs', async () => {
    const health = await outside(`${ORIGIN}/healthz`);
    expect(await health.json()).toMatchObject({ status: 'ok', version: VERSIONS.current });
    const { fetch: plain } = globalThis;
    await expect(plain(`${ORIGIN}/healthz`)).rejects.toThrow(/certificate|issuer/i);
    const redirect = await plain(`http://mcp.example.test/x?y`, { redirect: 'manual' });
    expect([redirect.status, redirect.headers.get('location')]).toEqual([308, `${ORIGIN}/x?y`]);
  });

  it('signs a person in and answers a tool call of the official client from outside', async () => {
    connection = outsideClient(wiretap.fetch);
    await connection.client.authorize(connection.person());
    await connection.client.connect();
    expect(await whoami()).toContain('alice');
  });

  it('has a doctor that finds nothing, with a sign-in of its own', async () => {
    const login = 'alice\nwonderland\n';
    const { code, stdout, stderr } = await machine.shell('fjmcp-broker doctor --json --login -', {
      stdin: login,
    });
    const { findings } = JSON.parse(stdout) as { findings: { check: string; status: string }[] };
    const faults = findings.filter(({ status }) => status === 'fault');
    expect({ faults, code, stderr }).toEqual({ faults: [], code: 0, stderr: '' });
    expect(findings).toContainEqual(expect.objectContaining({ check: 'sign-in', status: 'fine' }));
  });

  it('tells all of it in the journal, and no secret', async () => {
    const events = (await brokerLog(machine)).map(({ event }) => event);
    for (const event of ['broker.listening', 'session.opened', 'http.request']) {
      expect(events).toContain(event);
    }
    const secrets = await workshop.secrets(machine, wiretap);
    expect(secrets.names.length).toBeGreaterThan(8);
    expect(secrets.in(await journalText(machine))).toEqual([]);
    expect(secrets.in(`${installed.stdout}\n${installed.stderr}`)).toEqual([]);
  });

  it('keeps secrets in files of root alone, and none in the units or on command lines', async () => {
    const modes = await machine.must('cd /etc/fjmcp-broker/credentials; stat -c "%n %a %U" . *');
    expect(modes).toBe('. 700 root\nforgejo_client_secret 600 root\nstore-key 600 root\n');
    const secrets = await workshop.secrets(machine, wiretap);
    const units = await machine.must('systemctl show fjmcp-broker caddy; cat /proc/[0-9]*/cmdline');
    expect(secrets.in(units)).toEqual([]);
    const readable = await machine.must(
      'find / -xdev -type f -perm -004 ! -path "/proc/*" ! -path "/sys/*" -size -1M -newer /etc/hostname -print0 | xargs -0r cat',
    );
    expect(secrets.in(readable)).toEqual([]);
  });

  it('changes nothing and restarts nothing when it is run again', async () => {
    const places = ['etc', 'opt', 'usr/local', 'var/lib/caddy'];
    const before = await treeOf(machine, { of: places });
    const pids = await Promise.all([mainPid(machine, 'fjmcp-broker'), mainPid(machine, 'caddy')]);
    const again = await installByPipe(machine, workshop, 'current');
    expect(again.code).toBe(0);
    expect(again.stdout).toContain('nothing has been changed');
    expect(difference(before, await treeOf(machine, { of: places }))).toEqual([]);
    const now = await Promise.all([mainPid(machine, 'fjmcp-broker'), mainPid(machine, 'caddy')]);
    expect(now).toEqual(pids);
    expect(await whoami()).toContain('alice');
  });

  it('comes back by itself after a reboot, and sessions go on', async () => {
    const session = connection.client.sessionId;
    const opened = await brokerLog(machine, 'session.opened');
    await machine.reboot();
    await machine.must('systemctl is-active fjmcp-broker caddy fjmcp-broker-backup.timer');
    expect(await whoami()).toContain('alice');
    expect(connection.client.sessionId).toBe(session);
    expect(await brokerLog(machine, 'session.opened')).toEqual(opened);
  });

  it('goes without its data when it is uninstalled, and with them when it is purged', async () => {
    const uninstall = async (flags: string) => {
      const { downloads } = workshop.internet;
      await machine.must(`curl -fsSL ${downloads}/current/install.sh | sh -s -- --yes ${flags}`);
    };
    await uninstall('--uninstall');
    const data = await machine.must('ls /var/lib/fjmcp-broker /etc/fjmcp-broker');
    for (const kept of ['store.db', 'config.toml', 'credentials']) expect(data).toContain(kept);
    const gone =
      'ls -d /opt/fjmcp-broker /etc/systemd/system/fjmcp* /run/fjmcp-broker /usr/local/bin/*';
    expect((await machine.shell(gone)).stdout).toBe('');
    await expect(outside(`${ORIGIN}/healthz`)).rejects.toThrow();

    await uninstall('--uninstall --purge');
    const after = await treeOf(machine, { times: false, without: OF_DEBIAN });
    expect(difference(fresh, after)).toEqual([]);
  });

  async function whoami(): Promise<string> {
    const called = connection.client.client.callTool({ name: 'get_my_user_info', arguments: {} });
    return JSON.stringify((await called).content);
  }
});
