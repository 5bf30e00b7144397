import { afterAll, beforeAll, expect, it } from 'bun:test';
import type { DemoClient } from '../../app/demo/client.ts';
import { describeAppliance } from './harness/describe.ts';
import { brokerLog } from './harness/journal.ts';
import type { Machine } from './harness/machine.ts';
import { connected, installed, outsideFetch } from './harness/site.ts';
import { openWorkshop, type Workshop } from './harness/workshop.ts';

const CREDENTIALS = '/etc/fjmcp-broker/credentials';
const STATE = '/var/lib/fjmcp-broker';
const LOGIN = 'alice\nwonderland\n';

describeAppliance("the operator's commands on an installed machine", () => {
  let workshop: Workshop;
  let machine: Machine;
  let client: DemoClient;

  beforeAll(async () => {
    workshop = await openWorkshop();
    machine = await installed(workshop, 'operations');
    client = await connected(await outsideFetch(machine, workshop), 'alice');
  });
  afterAll(() => workshop.close());

  const toolsListed = async () => (await client.client.listTools()).tools.length;
  const backups = async () =>
    (await machine.must(`cd ${STATE}/backups; stat -c '%n %a %U' *`)).trim().split('\n');
  const findings = async (options = {}) => {
    const { code, stdout, stderr } = await machine.shell('fjmcp-broker doctor --json --login -', {
      stdin: LOGIN,
      ...options,
    });
    expect(stderr).toBe('');
    return { code, all: JSON.parse(stdout).findings as { check: string; status: string }[] };
  };

  it('back the store up by the timer’s unit, for the broker’s user alone', async () => {
    const backup = expect.stringMatching(/^store-\d{8}T\d{6}\.\d{3}Z\.db 600 fjmcp-broker$/);
    // The installer has made one already.
    expect(await backups()).toEqual([backup]);
    await machine.must('systemctl start fjmcp-broker-backup.service');
    expect(await backups()).toEqual([backup, backup]);
    await machine.must('fjmcp-broker backup');
    expect(await backups()).toEqual([backup, backup, backup]);
  });

  it('need no flag, and are for root or the broker’s user', async () => {
    expect(await machine.must('fjmcp-broker sessions')).toContain('alice');
    const stranger = await machine.shell('runuser -u nobody -- fjmcp-broker sessions');
    expect([stranger.code === 0, stranger.stdout]).toEqual([false, '']);
    expect(stranger.stderr).toStartWith('fjmcp-broker sessions: ');
  });

  it('rotate the key while people work, and the next start has it', async () => {
    const before = await machine.must(`sha256sum ${CREDENTIALS}/store-key | cut -c1-64`);
    expect(await machine.must('fjmcp-broker rotate-key')).toContain('sealed with the new key');
    expect(await toolsListed()).toBeGreaterThan(0);
    expect(await machine.must(`sha256sum ${CREDENTIALS}/store-previous-key | cut -c1-64`)).toBe(
      before,
    );
    expect(await machine.must(`cd ${CREDENTIALS}; stat -c '%n %a %U' *`)).toBe(
      'forgejo_client_secret 600 root\nstore-key 600 root\nstore-previous-key 600 root\n',
    );
    expect((await brokerLog(machine, 'key.adopted')).length).toBe(1);
    await machine.must('systemctl reload fjmcp-broker');
    await machine.must('systemctl restart fjmcp-broker');
    expect(await toolsListed()).toBeGreaterThan(0);
    await client.refresh();
    const { code, all } = await findings();
    expect(all.filter(({ status }) => status === 'fault')).toEqual([]);
    expect(code).toBe(0);
  });

  it('do without the previous key when it is forgotten', async () => {
    await machine.must(`: > ${CREDENTIALS}/store-previous-key; systemctl restart fjmcp-broker`);
    expect(await toolsListed()).toBeGreaterThan(0);
    await machine.must('fjmcp-broker backup');
  });

  it('restore a backup on a stopped broker, and sessions go on', async () => {
    const last = `$(ls ${STATE}/backups/*.db | tail -n 1)`;
    const running = await machine.shell(`fjmcp-broker restore ${last}`);
    expect(running.code).toBe(1);
    expect(running.stderr).toContain('Another broker runs on the store');
    const restored = await machine.must(
      `systemctl stop fjmcp-broker; fjmcp-broker restore ${last}; systemctl start fjmcp-broker`,
    );
    expect(restored).toStartWith('restored: 1 account, ');
    expect(await machine.must(`cd ${STATE}; stat -c '%a %U' store.db`)).toBe('600 fjmcp-broker\n');
    expect(await toolsListed()).toBeGreaterThan(0);
  });

  it('refuse a backup of a key that was forgotten, and change nothing', async () => {
    const first = `$(ls ${STATE}/backups/*.db | head -n 1)`;
    await machine.must('systemctl stop fjmcp-broker');
    const before = await machine.must(`sha256sum ${STATE}/store.db`);
    const { code, stderr } = await machine.shell(`fjmcp-broker restore ${first}`);
    expect(code).toBe(1);
    expect(stderr).toContain('sealed with another key');
    expect(await machine.must(`sha256sum ${STATE}/store.db`)).toBe(before);
    await machine.must('systemctl start fjmcp-broker');
    expect(await toolsListed()).toBeGreaterThan(0);
  });

  it('tell what is wrong when something is: the broker is stopped', async () => {
    await machine.must('systemctl stop fjmcp-broker');
    const { code, all } = await findings();
    expect(code).toBe(1);
    const faults = all.filter(({ status }) => status === 'fault').map(({ check }) => check);
    expect(faults).toContain('broker');
    expect(faults).toContain('reach');
    await machine.must('systemctl start fjmcp-broker');
  });
});
