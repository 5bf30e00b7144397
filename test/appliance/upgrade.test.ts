import { afterAll, beforeAll, expect, it } from 'bun:test';
import type { HttpFetch } from '../../app/demo/person.ts';
import type { Outcome } from './harness/command.ts';
import { describeAppliance } from './harness/describe.ts';
import { brokerLog, mainPid } from './harness/journal.ts';
import { type Load, type LoadReport, startLoad } from './harness/load.ts';
import type { Machine } from './harness/machine.ts';
import { type Release, VERSIONS } from './harness/releases.ts';
import { installByPipe, installed, ORIGIN, outsideFetch, publish } from './harness/site.ts';
import { openWorkshop, type Workshop } from './harness/workshop.ts';

const CLIENTS = 20;
/** What the installer ends with when the new version was not healthy and the old one is back. */
const NOT_HEALTHY = 10;

describeAppliance('another version under the load of 20 clients through Caddy', () => {
  let workshop: Workshop;
  let machine: Machine;
  let outside: HttpFetch;
  let load: Load;

  beforeAll(async () => {
    workshop = await openWorkshop();
    machine = await installed(workshop, 'upgrade');
    publish(workshop, 'next', 'crashing', 'silent');
    outside = await outsideFetch(machine, workshop);
    // Ten closed loops of one person are more than anybody does by hand.
    await machine.must(
      'sed -i "1i rate_limits = [\\"account_mcp=off\\"]" /etc/fjmcp-broker/config.toml && systemctl restart fjmcp-broker',
    );
    load = await startLoad(outside, CLIENTS);
  });
  afterAll(() => workshop.close());

  it('answers every call with its result while it is upgraded', async () => {
    const before = await mainPid(machine, 'fjmcp-broker');
    const report = await load.around(async () => {
      const { code, stdout, stderr } = await upgradeTo('next');
      if (code !== 0) throw new Error(`${code}\n${stdout}\n${stderr}\n${await lastWords()}`);
    });
    print('upgrade', report);
    expect(report.lost.slice(0, 3)).toEqual([]);
    expect(report.refused).toBe(0);
    expect(report.answered).toBe(report.calls);
    expect(await version()).toBe(VERSIONS.next);
    expect(await mainPid(machine, 'fjmcp-broker')).not.toBe(before);
    await expectSameSessions();
  });

  it('loses no call over a plain restart', async () => {
    const report = await load.around(async () => {
      await machine.must('systemctl restart fjmcp-broker');
    });
    print('restart', report);
    expect(report.lost.slice(0, 3)).toEqual([]);
    await expectSameSessions();
  });

  for (const release of ['crashing', 'silent'] as const) {
    it(`goes back by itself from a version that is ${release}`, async () => {
      const before = await mainPid(machine, 'fjmcp-broker');
      const report = await load.around(async () => {
        const { code, stderr } = await upgradeTo(release);
        expect({ code, stderr }).toEqual({ code: NOT_HEALTHY, stderr: expect.anything() });
        expect(stderr).toContain(VERSIONS.next);
      });
      print(`upgrade to a version that is ${release}`, report);
      expect(report.lost.slice(0, 3)).toEqual([]);
      expect(report.refused).toBe(0);
      expect(await version()).toBe(VERSIONS.next);
      expect(await machine.must('readlink /opt/fjmcp-broker/current')).toBe(`${VERSIONS.next}\n`);
      expect(await mainPid(machine, 'fjmcp-broker')).toBe(before);
      await expectSameSessions();
    });
  }

  it('goes back to the version before when it is told to', async () => {
    const report = await load.around(async () => {
      const { code, stdout, stderr } = await installByPipe(machine, workshop, 'next', {
        env: {},
        flags: '--rollback --yes',
      });
      if (code !== 0) throw new Error(`${code}\n${stdout}\n${stderr}\n${await lastWords()}`);
    });
    print('rollback', report);
    expect(report.lost.slice(0, 3)).toEqual([]);
    expect(report.refused).toBe(0);
    expect(await version()).toBe(VERSIONS.current);
    await expectSameSessions();
  });

  it('leaves no process of an older version behind', async () => {
    const running = await machine.must(
      'systemctl show -P MainPID fjmcp-broker; pgrep -f "[f]jmcp-broker serve"',
    );
    const [main, ...all] = running.trim().split('\n');
    expect(all).toEqual([main ?? '']);
    await load.close();
  });

  function upgradeTo(release: Release): Promise<Outcome> {
    return installByPipe(machine, workshop, release, {
      env: { FJMCP_INSTALL_BASE_URL: `${workshop.internet.downloads}/${release}` },
      flags: '--upgrade --yes',
    });
  }

  async function version(): Promise<unknown> {
    const health = await outside(`${ORIGIN}/healthz`);
    return ((await health.json()) as { version?: unknown }).version;
  }

  async function expectSameSessions(): Promise<void> {
    expect(await load.sessionsAnswer()).toBe(CLIENTS);
    expect(await brokerLog(machine, 'session.opened')).toHaveLength(CLIENTS);
  }

  async function lastWords(): Promise<string> {
    const lines = await machine.must('journalctl -u fjmcp-broker -o cat --no-pager | tail -20');
    return lines
      .split('\n')
      .filter((line) => !line.includes('http.request'))
      .join('\n');
  }
});

function print(
  what: string,
  { calls, answered, refused, lost, p99Ms, longestMs }: LoadReport,
): void {
  console.log(
    `${what}: ${calls} calls of ${CLIENTS} clients, ${answered} answered, ${refused} refused for a moment, ${lost.length} lost; p99 ${p99Ms} ms, longest ${longestMs} ms`,
  );
}
