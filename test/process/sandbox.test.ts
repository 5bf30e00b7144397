import { afterEach, expect, it } from 'bun:test';
import { dirname } from 'node:path';
import { type Stage, setStage } from '../support/broker-process.ts';
import { fixtureCommand } from '../support/fixture-supervisor.ts';
import { commandLine } from '../support/processes.ts';
import { RawClient } from '../support/raw-client.ts';
import { bwrap, describeWith, type Requirement, root } from '../support/requirements.ts';
import { accessTokenOf } from '../support/sign-in.ts';

/** Makes the kernel refuse namespaces to what follows, as hardened systems do. */
const WITHOUT_NAMESPACES = [
  ...['unshare', '--user', '--map-root-user', 'sh', '-c'],
  'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set -all ' +
    '--inh-caps -all --no-new-privs "$@"',
  'sh',
];

const refusing: Requirement = {
  name: bwrap.name,
  present: root.present && bwrap.present,
  sentence: root.present ? bwrap.sentence : root.sentence,
};

let stage: Stage;

afterEach(async () => {
  await stage.end();
});

async function setSandbox(mode: string): Promise<void> {
  const childCommand = fixtureCommand();
  const settings = {
    CHILD_SANDBOX: mode,
    CHILD_SANDBOX_PATHS: dirname(childCommand[1] ?? ''),
  };
  stage = await setStage({ childCommand, settings });
}

async function callOnce(): Promise<void> {
  const client = new RawClient(stage.mcpUrl, await accessTokenOf(stage.mcpUrl));
  expect((await client.initialize()).status).toBe(200);
  expect(await (await client.call('echo', { still: 'here' })).text()).toContain('here');
}

describeWith(bwrap, 'a broker with CHILD_SANDBOX', () => {
  it('auto: signs a person in and carries a call, its child in a sandbox', async () => {
    await setSandbox('auto');
    const broker = await stage.start();
    await callOnce();
    const [started] = await broker.logged('child.started');
    expect(commandLine(Number(started?.pid))).toStartWith('/usr/bin/bwrap --unshare-all ');
    expect(await broker.logged('child.sandbox')).toMatchObject([{ level: 'info', without: [] }]);
    expect(broker.log('child.sandbox_off')).toEqual([]);
  });
});

describeWith(refusing, 'a broker where the kernel refuses namespaces', () => {
  it('auto: serves without a sandbox, and says so as an error', async () => {
    await setSandbox('auto');
    const broker = await stage.start({ wrapper: WITHOUT_NAMESPACES });
    await callOnce();
    expect(await broker.logged('child.sandbox_off')).toMatchObject([
      { level: 'error', reason: expect.stringContaining('namespace') },
    ]);
  });

  it('bwrap: does not start, and says what is refused', async () => {
    await setSandbox('bwrap');
    const broker = stage.spawn({ wrapper: WITHOUT_NAMESPACES });
    expect((await broker.exited).code).toBe(1);
    expect(broker.log('process.not_started')).toMatchObject([
      { reason: expect.stringContaining('CHILD_SANDBOX is bwrap') },
    ]);
  });
});
