import { afterAll, beforeAll, expect, it } from 'bun:test';
import { describeAppliance } from './harness/describe.ts';
import type { Machine } from './harness/machine.ts';
import { openWorkshop, type Workshop } from './harness/workshop.ts';

const START_OF_PROCESS_1 = "cut -d' ' -f22 /proc/1/stat";

describeAppliance('a machine of the suite', () => {
  let workshop: Workshop;
  let machine: Machine;

  beforeAll(async () => {
    workshop = await openWorkshop();
    machine = await workshop.machine('harness');
  });
  afterAll(() => workshop.close());

  it('runs a systemd of its own', async () => {
    expect(await machine.must('ps -p 1 -o comm=')).toBe('systemd\n');
    expect(await machine.must('systemctl is-system-running')).toBe('running\n');
  });

  it('has nothing that a fresh Debian 12 has not', async () => {
    expect(await machine.must('. /etc/os-release; echo $ID $VERSION_ID')).toBe('debian 12\n');
    const { stdout } = await machine.shell('command -v bun node caddy bwrap fjmcp-broker');
    expect(stdout).toBe('');
  });

  it('can tell all processes of its control groups', async () => {
    expect(await machine.must('systemctl status dbus')).not.toContain('Failed to dump');
  });

  it('reaches the downloads with a chain that its system trusts', async () => {
    await Bun.write(`${workshop.downloads}/hello.txt`, 'hello\n');
    const { internet } = workshop;
    expect(await machine.must(`curl -fsS ${internet.downloads}/hello.txt`)).toBe('hello\n');
    expect(await machine.must(`curl -fsS ${internet.forge}/api/v1/version`)).toContain('version');
  });

  it('reaches nothing else', async () => {
    const { code } = await machine.shell('curl -sS --max-time 5 https://192.0.2.1/');
    expect(code).not.toBe(0);
  });

  it('installs Debian packages', async () => {
    await machine.must('apt-get update -qq && apt-get install -qq -y --no-install-recommends jq');
    expect(await machine.must('echo 1 | jq .')).toBe('1\n');
  });

  it('comes back after a reboot with what was written', async () => {
    await machine.must('echo kept > /srv/file');
    const before = await machine.must(START_OF_PROCESS_1);
    await machine.reboot();
    expect(await machine.must('cat /srv/file')).toBe('kept\n');
    expect(await machine.must(START_OF_PROCESS_1)).not.toBe(before);
    expect(await machine.must(`curl -fsS ${workshop.internet.downloads}/hello.txt`)).toBe(
      'hello\n',
    );
  });

  it('has no terminal to ask on', async () => {
    const { code } = await machine.shell('exec 3</dev/tty');
    expect(code).not.toBe(0);
  });
});
