import { afterAll, beforeAll, describe, expect, it, setDefaultTimeout } from 'bun:test';
import { Secret } from '../../app/base/secret.ts';
import type { Child } from '../../app/child/supervisor.ts';
import { type BrokerProcess, type Stage, setStage } from '../support/broker-process.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { fixtureSupervisor } from '../support/fixture-supervisor.ts';
import { lightChild } from '../support/light-child.ts';
import { childrenOf, descriptorCount, zombieCount } from '../support/processes.ts';
import { RawSession } from '../support/raw-session.ts';
import { accessTokenOf } from '../support/sign-in.ts';

setDefaultTimeout(300_000);

const CYCLES = 1_000;
const SESSIONS = 500;
const AT_ONCE = 20;
const SETTLE_MS = 300;

/** Runs `job` `count` times, `AT_ONCE` at a time. */
async function times(count: number, job: () => Promise<void>): Promise<void> {
  let left = count;
  const worker = async () => {
    for (; left > 0; ) {
      left -= 1;
      await job();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** What a process holds; what it has just let go may take a moment to be gone. */
const holdings = (pid: number) => ({
  descriptors: descriptorCount(pid),
  children: childrenOf(pid).length,
  zombies: zombieCount(pid),
});

/** The holdings once nothing of what was let go is still on its way. */
async function settled(pid: number): Promise<ReturnType<typeof holdings>> {
  for (let last = holdings(pid); ; ) {
    await Bun.sleep(SETTLE_MS);
    const now = holdings(pid);
    if (Bun.deepEquals(now, last)) return now;
    last = now;
  }
}

/**
 * Resolves when it holds no more than before; the test's own time limit is the bound. It may hold
 * less: a connection that another suite, or the client, had kept open is closed some day.
 */
async function untilBack(pid: number, before: ReturnType<typeof holdings>): Promise<void> {
  const isBack = ({ descriptors, children, zombies }: typeof before) =>
    descriptors <= before.descriptors && children <= before.children && zombies <= before.zombies;
  while (!isBack(holdings(pid))) await Bun.sleep(20);
}

describe('children that come and go', () => {
  it(`leave descriptors, children and zombies as before over ${CYCLES} starts and stops`, async () => {
    // Each child has the time that it takes to leave by itself: no step of its stop is due.
    const clock = new FakeClock();
    const { supervisor } = fixtureSupervisor([], { command: lightChild().command, clock });
    const cycle = async () => {
      const answered = Promise.withResolvers<void>();
      const spawned = supervisor.spawn({
        token: new Secret('a-token'),
        label: 'cycle',
        onLine: () => answered.resolve(),
      });
      if (!spawned.ok) throw new Error(spawned.error.detail);
      const child: Child = spawned.value;
      child.send('{"jsonrpc":"2.0","id":1,"method":"ping"}');
      await answered.promise;
      expect(await child.stop('cycle')).toEqual({ code: 0, signal: null, reason: 'cycle' });
    };
    await times(AT_ONCE, cycle);
    const before = await settled(process.pid);
    await times(CYCLES, cycle);
    expect(supervisor.running).toBe(0);
    await untilBack(process.pid, before);
  });
});

describe('sessions that come and go', () => {
  let stage: Stage;
  let broker: BrokerProcess;

  beforeAll(async () => {
    stage = await setStage({
      childCommand: lightChild().command,
      settings: { LOG_LEVEL: 'info', MAX_SESSIONS: '50', MAX_SESSIONS_PER_USER: '50' },
    });
    broker = await stage.start();
  });

  afterAll(() => stage.end());

  it(`leave descriptors, children and zombies as before over ${SESSIONS} of them`, async () => {
    const token = await accessTokenOf(stage.mcpUrl);
    const cycle = async () => {
      const session = await RawSession.open(stage.mcpUrl, token);
      expect((await session.send({ id: 1, method: 'ping' })).status).toBe(200);
      expect(await session.end()).toBe(204);
    };
    // As many connections as the client keeps open stay.
    await times(3 * AT_ONCE, cycle);
    const before = await settled(broker.pid);
    expect(before).toMatchObject({ children: 0, zombies: 0 });
    await times(SESSIONS, cycle);
    await untilBack(broker.pid, before);
  });
});
