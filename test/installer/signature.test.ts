import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'bun:test';
import { appendFileSync, cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Requirement } from '../support/requirements.ts';
import { type FakeMachine, fakeMachine, giveDebianCaddyfile } from './machine.ts';
import { type FakeReleases, fakeReleases } from './release.ts';
import { describeInstaller, SH } from './shells.ts';

const minisign: Requirement = {
  name: 'minisign',
  present: Bun.which('minisign') !== null && Bun.which('curl') !== null,
  sentence: 'no minisign here: install the Debian package minisign to test signed releases',
};

describeInstaller(minisign, 'the signature of a release', () => {
  let releases: FakeReleases;
  let machine: FakeMachine;
  let folder: string;
  let key: string;
  beforeAll(() => {
    releases = fakeReleases(['1.0.0']);
  });
  afterAll(() => releases.close());
  beforeEach(() => {
    machine = fakeMachine(SH);
    giveDebianCaddyfile(machine);
    folder = join(machine.state, 'release');
    cpSync(releases.folder('1.0.0'), folder, { recursive: true });
    key = sign(machine, folder, 'ours');
  });
  afterEach(() => machine.close());

  const insist = () => ['--offline', folder, '--minisign-key', key, '--require-signature'];

  it('is enough when it is right', async () => {
    const { code, err } = await machine.run(insist());
    expect({ code, err }).toEqual({ code: 0, err: '' });
  });

  it('may come with its key in a file', async () => {
    const { code } = await machine.run([
      '--offline',
      folder,
      '--minisign-key',
      join(machine.state, 'ours.pub'),
    ]);
    expect(code).toBe(0);
  });

  const expectRefusal = async (code: number, words: string, argv: readonly string[]) => {
    const before = machine.tree();
    const run = await machine.run(argv);
    expect({ code: run.code, err: run.err }).toEqual({ code, err: expect.stringContaining(words) });
    expect(machine.tree()).toEqual(before);
  };

  it('6: stops checksums that were changed', async () => {
    appendFileSync(join(folder, 'SHA256SUMS'), `${'0'.repeat(64)}  other\n`);
    await expectRefusal(6, 'signature of SHA256SUMS is wrong', [
      '--offline',
      folder,
      '--minisign-key',
      key,
    ]);
  });

  it('6: stops checksums that somebody else signed', async () => {
    sign(machine, folder, 'theirs');
    await expectRefusal(6, 'signature of SHA256SUMS is wrong', insist());
  });

  it('6: stops a release without one when it is insisted on, and warns otherwise', async () => {
    rmSync(join(folder, 'SHA256SUMS.minisig'));
    await expectRefusal(6, '--require-signature', insist());
    const { code, err } = await machine.run(['--offline', folder, '--minisign-key', key]);
    expect(code).toBe(0);
    expect(err).toContain('no signature');
  });

  it('2: cannot be insisted on without a key', async () => {
    await expectRefusal(2, 'needs --minisign-key', ['--offline', folder, '--require-signature']);
  });

  it('is insisted on in later runs too', async () => {
    expect((await machine.run(insist())).code).toBe(0);
    rmSync(join(folder, 'SHA256SUMS.minisig'));
    const { code } = await machine.run(['--upgrade', '--offline', folder]);
    expect(code).toBe(6);
  });
});

/** Signs the checksums with a new key; gives the public one as the line that a flag takes. */
function sign(machine: FakeMachine, folder: string, name: string): string {
  const [secret, open] = [join(machine.state, `${name}.key`), join(machine.state, `${name}.pub`)];
  must(['minisign', '-G', '-W', '-f', '-s', secret, '-p', open]);
  must(['minisign', '-S', '-s', secret, '-m', join(folder, 'SHA256SUMS')]);
  return readFileSync(open, 'utf8').trim().split('\n').at(-1) ?? '';
}

function must(argv: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(argv, { stdin: 'ignore' });
  if (exitCode !== 0) throw new Error(stderr.toString());
}
