import { describe, expect, it } from 'bun:test';
import { parentDeathPrefix } from '../../app/child/process-group.ts';
import { isAlive, untilGone } from '../support/processes.ts';
import { describeWith, type Requirement } from '../support/requirements.ts';

const SUPERVISOR_PROCESS = new URL('../support/supervisor-process.ts', import.meta.url).pathname;

const setpriv: Requirement = {
  name: 'setpriv',
  present: parentDeathPrefix() !== undefined,
  sentence: 'no setpriv with --pdeathsig here: install util-linux to test the death of the broker',
};

/** Kills a process that has two children, without a warning, and waits for their end. */
async function killWithChildren(...flags: string[]): Promise<void> {
  const broker = Bun.spawn([process.execPath, SUPERVISOR_PROCESS, ...flags], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    const { value } = await broker.stdout.getReader().read();
    const children = JSON.parse(new TextDecoder().decode(value)) as number[];
    expect(children.map(isAlive)).toEqual([true, true]);
    broker.kill('SIGKILL');
    await Promise.all(children.map(untilGone));
  } finally {
    broker.kill('SIGKILL');
  }
}

describe('a broker that is killed', () => {
  it('S11: leaves no child that reads its stdin', async () => {
    await killWithChildren();
  });
});

describeWith(setpriv, 'a broker that is killed, where setpriv is', () => {
  it('S11: leaves no child, not even one that ignores end of stdin and SIGTERM', async () => {
    await killWithChildren('--ignore-stdin-end', '--ignore-sigterm');
  });

  it('S11: leaves no child that never reads', async () => {
    await killWithChildren('--ignore-stdin-end');
  });
});
