import { afterEach, describe, expect, it } from 'bun:test';
import { parentDeathPrefix } from '../../app/child/process-group.ts';
import { type BrokerProcess, type Stage, setStage } from '../support/broker-process.ts';
import { fixtureCommand } from '../support/fixture-supervisor.ts';
import { isAlive, untilGone } from '../support/processes.ts';
import { RawClient } from '../support/raw-client.ts';
import { describeWith, type Requirement } from '../support/requirements.ts';
import { accessTokenOf } from '../support/sign-in.ts';

const setpriv: Requirement = {
  name: 'setpriv',
  present: parentDeathPrefix() !== undefined,
  sentence: 'no setpriv with --pdeathsig here: install util-linux to test the death of the broker',
};

let stage: Stage;

afterEach(async () => {
  await stage.end();
});

/** A broker with two sessions of these children, and with their processes. */
async function brokerWithChildren(...flags: string[]) {
  stage = await setStage({ childCommand: fixtureCommand('--tell', ...flags) });
  const broker = await stage.start();
  const token = await accessTokenOf(stage.mcpUrl);
  const clients = [new RawClient(stage.mcpUrl, token), new RawClient(stage.mcpUrl, token)] as const;
  for (const client of clients) expect((await client.initialize()).status).toBe(200);
  const pids = (await broker.logged('child.started', 2)).map(({ pid }) => Number(pid));
  expect(pids.map(isAlive)).toEqual([true, true]);
  return { broker, clients, pids };
}

async function expectNothingLeft(broker: BrokerProcess, pids: readonly number[]): Promise<void> {
  broker.kill('SIGKILL');
  expect(await broker.exited).toEqual({ code: null, signal: 'SIGKILL' });
  await Promise.all(pids.map(untilGone));
}

describe('SIGKILL of the broker', () => {
  it('S11: leaves no child', async () => {
    const { broker, pids } = await brokerWithChildren();
    await expectNothingLeft(broker, pids);
  });
});

describeWith(setpriv, 'SIGKILL of the broker, where setpriv is', () => {
  it('S11: leaves no child, not even a busy one that ignores end of stdin and SIGTERM', async () => {
    const { broker, clients, pids } = await brokerWithChildren(
      '--ignore-stdin-end',
      '--ignore-sigterm',
    );
    const cut = clients[0].call('spin').catch(() => undefined);
    await broker.logged('child.stderr');
    await expectNothingLeft(broker, pids);
    await cut;
  });
});
