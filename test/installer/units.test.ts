import { describe, expect, it } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describeWith, type Requirement } from '../support/requirements.ts';

const UNITS = fileURLToPath(new URL('../../systemd', import.meta.url));
const EXPOSURE_MAX = 26;

const broker = readFileSync(`${UNITS}/fjmcp-broker.service`, 'utf8');
const settings = (name: string) =>
  [...broker.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) => value ?? '');

const systemdAnalyze: Requirement = {
  name: 'systemd-analyze',
  present: Bun.which('systemd-analyze') !== null,
  sentence: 'no systemd-analyze here: install the Debian package systemd to rate the units',
};

describeWith(systemdAnalyze, 'the units', () => {
  for (const unit of readdirSync(UNITS).filter((name) => name.endsWith('.service'))) {
    it(`${unit} is rated 2.6 or better by systemd-analyze security`, () => {
      const flags = ['--offline=true', '--no-pager', `--threshold=${EXPOSURE_MAX}`];
      const argv = ['systemd-analyze', 'security', ...flags, `${UNITS}/${unit}`];
      const { exitCode, stdout, stderr } = Bun.spawnSync(argv);
      const last = stdout.toString().trim().split('\n').at(-1);
      expect({ exitCode, last, stderr: stderr.toString() }).toMatchObject({ exitCode: 0 });
    });
  }
});

describe('fjmcp-broker.service', () => {
  it('gives secrets as credentials, and none in the environment or on the command line', () => {
    const credentials = settings('LoadCredential');
    for (const name of ['store-key', 'forgejo_client_secret']) {
      expect(credentials).toContain(`${name}:/etc/fjmcp-broker/credentials/${name}`);
    }
    expect(settings('Environment').join()).not.toMatch(/SECRET|KEY|TOKEN|FJMCP_/);
    expect(settings('EnvironmentFile')).toEqual([]);
  });

  it('has nothing that would break the sandbox of children or slow the runtime down', () => {
    expect(settings('ProcSubset')).toEqual([]);
    expect(settings('MemoryDenyWriteExecute')).toEqual([]);
    expect(settings('RestrictNamespaces')).toEqual(['user mnt pid ipc uts cgroup net']);
    expect(settings('SystemCallFilter').join(' ')).toContain('@mount');
  });

  it('bounds what a session may cost, and lets one go without the others', () => {
    for (const bound of [
      'TasksMax',
      'MemoryHigh',
      'LimitNOFILE',
      'TimeoutStopSec',
      'WatchdogSec',
    ]) {
      expect({ bound, given: settings(bound).length }).toEqual({ bound, given: 1 });
    }
    expect(settings('OOMPolicy')).toEqual(['continue']);
    expect(settings('LimitCORE')).toEqual(['0']);
  });

  it('is not started again over a wrong configuration', () => {
    expect(settings('RestartPreventExitStatus')).toEqual(['2']);
  });
});
