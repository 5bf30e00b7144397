import { afterAll, beforeAll, expect, it } from 'bun:test';
import { readFileSync } from 'node:fs';
import { type FakeMachine, fakeMachine, giveDebianCaddyfile, INSTALLER } from './machine.ts';
import { type FakeReleases, fakeReleases } from './release.ts';
import { describeUnderShells } from './shells.ts';

const SCRIPT = readFileSync(INSTALLER, 'utf8');

describeUnderShells('an installer whose download was cut', (shell) => {
  let releases: FakeReleases;
  let machine: FakeMachine;
  beforeAll(() => {
    releases = fakeReleases(['1.0.0']);
    machine = fakeMachine(shell);
    giveDebianCaddyfile(machine);
  });
  afterAll(async () => {
    await machine.close();
    releases.close();
  });

  const expectNothing = async (length: number, before: object) => {
    await machine.run(['--offline', releases.folder('1.0.0')], {}, SCRIPT.slice(0, length));
    expect({ length, tree: machine.tree() }).toEqual({ length, tree: { ...before } });
    expect(machine.calls()).toEqual([]);
  };

  it('does nothing, wherever between two kilobytes it was', async () => {
    const before = machine.tree();
    for (let length = 0; length < SCRIPT.length; length += 1024) {
      await expectNothing(length, before);
    }
  });

  it('does nothing when only the end of the last line is missing', async () => {
    const before = machine.tree();
    const lastLine = SCRIPT.trimEnd().lastIndexOf('\n');
    for (let length = lastLine; length < SCRIPT.trimEnd().length; length += 1) {
      await expectNothing(length, before);
    }
  });
});
