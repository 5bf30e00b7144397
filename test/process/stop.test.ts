import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BrokerProcess,
  type Stage,
  type StageOptions,
  setStage,
} from '../support/broker-process.ts';
import { fixtureCommand } from '../support/fixture-supervisor.ts';
import { isAlive, untilGone } from '../support/processes.ts';
import { RawClient, rpcAnswer } from '../support/raw-client.ts';
import { accessTokenOf, alice, newClient } from '../support/sign-in.ts';

/** What the requirement names: from the signal to the end of the process. */
const STOP_MS = 2000;

/**
 * What a busy machine may add to it: the stop of busy children takes 1.4 s by its plan, and 1.7 s
 * where five others want the same processor. That the plan keeps to STOP_GRACE is the registry's test.
 */
const BUSY_MS = 1000;

const BROKER_STOPPING = { code: -32000, message: 'the broker is stopping' };
const STREAM = 'application/json, text/event-stream';

let stage: Stage;
let broker: BrokerProcess;
let token: string;

async function begin(options: StageOptions): Promise<void> {
  stage = await setStage(options);
  broker = await stage.start();
  token = await accessTokenOf(stage.mcpUrl);
}

afterEach(async () => {
  await stage.end();
});

async function session(): Promise<RawClient> {
  const client = new RawClient(stage.mcpUrl, token);
  expect((await client.initialize()).status).toBe(200);
  return client;
}

const children = (): number[] => broker.log('child.started').map(({ pid }) => Number(pid));

/** Resolves when children have begun to work on so many calls. */
async function called(count: number): Promise<void> {
  for (let lines = 1; ; lines += 1) {
    const written = await broker.logged('child.stderr', lines);
    if (written.filter(({ line }) => String(line).startsWith('called ')).length >= count) return;
  }
}

/** Sends the signal, and asserts that the broker ends as it should in the time that it has. */
async function expectOrderlyEnd(signal: 'SIGTERM' | 'SIGINT', meanwhile: () => Promise<void>) {
  const signalledAt = performance.now();
  broker.kill(signal);
  await broker.logged('process.stopping');
  await meanwhile();
  expect(await broker.exited).toEqual({ code: 0, signal: null });
  expect(performance.now() - signalledAt).toBeLessThan(STOP_MS + BUSY_MS);
  expect(children().filter(isAlive)).toEqual([]);
  expect(broker.log('process.failed')).toEqual([]);
  expect(broker.log('process.stopped')).toHaveLength(1);
}

describe('the end of a broker with busy children', () => {
  beforeEach(async () => {
    const stubborn = fixtureCommand('--tell', '--ignore-stdin-end', '--ignore-sigterm');
    await begin({ childCommand: stubborn });
  });

  it('gives every call and stream an answer or a JSON-RPC error, and is no later', async () => {
    const [client, busy] = await Promise.all([session(), session()]);
    const path = join(stage.directory, 'answer-now');
    const answered = client.call('wait_for_file', { path });
    const hanging = client.call('hang');
    const spinning = busy.call('spin');
    // These have become streams when their headers are here.
    const answeredStream = await client.call('wait_for_file', { path }, STREAM);
    const hangingStream = await client.call('hang', {}, STREAM);
    expect(hangingStream.headers.get('content-type')).toStartWith('text/event-stream');
    await called(5);

    await expectOrderlyEnd('SIGTERM', async () => {
      writeFileSync(path, '');
      await expect(fetch(`${stage.origin}/healthz`)).rejects.toThrow();
      const done = { result: { structuredContent: null } };
      expect(await rpcAnswer(await answered)).toMatchObject(done);
      expect(await rpcAnswer(answeredStream)).toMatchObject(done);
      expect((await rpcAnswer(await hanging)).error).toEqual(BROKER_STOPPING);
      expect((await rpcAnswer(hangingStream)).error).toEqual(BROKER_STOPPING);
      expect((await rpcAnswer(await spinning)).error).toEqual(BROKER_STOPPING);
    });
    expect(children()).toHaveLength(2);
  });

  it('is the same by SIGINT', async () => {
    const client = await session();
    const hanging = client.call('hang');
    await called(1);
    await expectOrderlyEnd('SIGINT', async () => {
      expect((await rpcAnswer(await hanging)).error).toEqual(BROKER_STOPPING);
    });
  });

  it('comes at once, with 1, by a second signal', async () => {
    const client = await session();
    const cut = client.call('hang').then(
      () => 'answered',
      () => 'cut',
    );
    await called(1);
    broker.kill('SIGTERM');
    await broker.logged('process.stopping');
    broker.kill('SIGTERM');
    expect(await broker.exited).toEqual({ code: 1, signal: null });
    expect(await cut).toBe('cut');
    await Promise.all(children().map(untilGone));
  });
});

describe('the end of a broker that opens a session', () => {
  const opening = async (reached: () => Promise<unknown>) => {
    const client = new RawClient(stage.mcpUrl, token);
    const initialize = client.initialize();
    await reached();
    await expectOrderlyEnd('SIGTERM', async () => {
      const answer = await initialize;
      expect(answer.status).toBe(503);
      expect(answer.headers.get('retry-after')).toBe('5');
      expect((await rpcAnswer(answer)).error?.message).toStartWith('the broker is stopping');
    });
  };

  it('answers a client whose program does not answer', async () => {
    await begin({ childCommand: fixtureCommand('--hang-on-initialize') });
    await opening(() => broker.logged('child.started'));
  });

  it('answers a client whose token the forge is slow to renew', async () => {
    const accessTtlS = 600;
    await begin({ childCommand: fixtureCommand(), forge: { accessTtlS } });
    const held = stage.forge.faults.set({ kind: 'hold' }, { on: '/login/oauth/access_token' });
    await opening(() => held.reached);
  });

  it('answers a client whose program left while the forge is slow', async () => {
    await begin({ childCommand: fixtureCommand('--exit-at-start') });
    const held = stage.forge.faults.set({ kind: 'hold' }, { on: '/api/v1/user' });
    await opening(() => held.reached);
  });
});

describe('the end of a broker without work', () => {
  it('takes its idle children along', async () => {
    await begin({ childCommand: fixtureCommand() });
    await session();
    await expectOrderlyEnd('SIGTERM', async () => undefined);
    expect(children()).toHaveLength(1);
  });

  it('waits for a sign-in that is coming back from the forge', async () => {
    await begin({ childCommand: fixtureCommand() });
    const held = stage.forge.faults.set({ kind: 'hold' }, { on: '/login/oauth/access_token' });
    const client = newClient(stage.mcpUrl);
    const url = await client.startAuthorization();
    const person = alice().authorize(url, client.memory.redirectUrl);
    await held.reached;
    await expectOrderlyEnd('SIGTERM', async () => {
      const leave = setTimeout(() => held.release(), 400);
      try {
        // The next page, which asks for the account, could not be answered any more.
        await expect(person).rejects.toThrow();
      } finally {
        clearTimeout(leave);
      }
    });
    expect(broker.log('account.signed_in')).toHaveLength(2);
    expect(broker.log('http.request').at(-1)).toMatchObject({
      route: '/oauth/callback',
      status: 200,
    });
  });
});

describe('a broker whose log nobody reads any more', () => {
  it('goes on, and ends as it should', async () => {
    await begin({ childCommand: fixtureCommand('--tell') });
    const client = await session();
    await broker.stopReading();
    for (let calls = 0; calls < 5; calls += 1) {
      expect((await client.call('echo')).status).toBe(200);
    }
    broker.kill('SIGTERM');
    expect(await broker.exited).toEqual({ code: 0, signal: null });
  });
});
