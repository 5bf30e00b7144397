import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import { fixtureCommand } from '../support/fixture-supervisor.ts';
import { isAlive, untilGone } from '../support/processes.ts';
import { RawSession } from '../support/raw-session.ts';
import { accessTokenOf, alice, bob } from '../support/sign-in.ts';
import { SkippingClock } from '../support/skipping-clock.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

const MESSAGE_BYTES_MAX = 1024 * 1024;
/** Longer than any call takes that is answered, on any machine; it is skipped where it must pass. */
const REQUEST_TIMEOUT_MS = 50_000;

/** Short lines of one child that are read in a second; a few more are paid for by its calls. */
const UNASKED_LINES_PER_SECOND = 2048 + 10;
const STDERR_LINES_PER_SECOND = 8192 + 10;

let clock: SkippingClock;
let system: TestSystem;
let tokens: { readonly alice: string; readonly bob: string };

beforeAll(async () => {
  clock = new SkippingClock();
  system = await startSystem({
    clock,
    config: {
      childCommand: fixtureCommand(),
      maxMessageBytes: MESSAGE_BYTES_MAX,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
    },
    logLevel: 'warn',
  });
  tokens = {
    alice: await accessTokenOf(system.mcpUrl, alice()),
    bob: await accessTokenOf(system.mcpUrl, bob()),
  };
});

afterAll(() => system.stop());

interface Pair {
  /** The session whose child turns hostile. */
  readonly bad: RawSession;
  readonly badPid: number;
  readonly good: RawSession;
  readonly goodPid: number;
}

async function pair(): Promise<Pair> {
  const [bad, good] = await Promise.all([
    RawSession.open(system.mcpUrl, tokens.bob),
    RawSession.open(system.mcpUrl, tokens.alice),
  ]);
  const pid = async (session: RawSession) => (await session.tool<{ pid: number }>('self')).pid;
  return { bad, badPid: await pid(bad), good, goodPid: await pid(good) };
}

/** The other session answers every call, each with its own answer. */
async function goesOn(good: RawSession, calls = 200): Promise<void> {
  for (let n = 0; n < calls; n += 1) {
    expect(await good.tool<{ n: number }>('echo', { n })).toEqual({ n });
  }
}

/** Both sessions end as any other, and their processes are gone. */
async function ends({ bad, badPid, good, goodPid }: Pair): Promise<void> {
  await bad.end();
  expect(isAlive(goodPid)).toBe(true);
  expect(await good.end()).toBe(204);
  await Promise.all([untilGone(badPid), untilGone(goodPid)]);
}

async function counted(metric: string, labels: string): Promise<number> {
  const text = await system.broker.metrics.registry.getSingleMetricAsString(`fjmcp_${metric}`);
  const line = text.split('\n').find((entry) => entry.includes(labels));
  return Number(line?.split(' ').at(-1) ?? 0);
}

interface Flood {
  readonly to: 'stdout' | 'stderr';
  readonly text?: string;
  readonly endless?: true;
}

/** Lets it flood while the other session works, and gives how many lines a second were taken. */
async function floods(args: Flood, reasons: string[]): Promise<number> {
  const sessions = await pair();
  const dropped = async () => {
    const counts = reasons.map((r) => counted('child_lines_dropped_total', `reason="${r}"`));
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  };
  const limit = args.to === 'stdout' ? 'CHILD_STDOUT' : 'CHILD_STDERR';
  const before = await dropped();
  const startedAt = performance.now();
  const heldBack = counted('limits_reached_total', `limit="${limit}"`);
  await sessions.bad.flood(args);
  while ((await counted('limits_reached_total', `limit="${limit}"`)) === (await heldBack)) {
    await goesOn(sessions.good, 10);
  }
  await goesOn(sessions.good);
  expect(isAlive(sessions.badPid)).toBe(true);
  const lines = (await dropped()) - before;
  const seconds = (performance.now() - startedAt) / 1000;
  await ends(sessions);
  return lines / (seconds + 1);
}

describe('a hostile child harms only its own session', () => {
  it('when it floods stdout with what is no message', async () => {
    const perSecond = await floods({ to: 'stdout', text: 'y' }, ['not_json']);
    expect(perSecond).toBeLessThanOrEqual(UNASKED_LINES_PER_SECOND);
  });

  it('when it floods stdout with empty lines', async () => {
    await floods({ to: 'stdout', text: '' }, []);
  });

  it('when it floods stdout with messages that nobody asked for', async () => {
    const params = { level: 'info', data: 'x' };
    const text = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params });
    await floods({ to: 'stdout', text }, []);
  });

  it('when it floods stdout with answers to a request that nobody sent', async () => {
    const text = JSON.stringify({ jsonrpc: '2.0', id: 12_345_678, result: {} });
    const perSecond = await floods({ to: 'stdout', text }, ['nobody_waits']);
    expect(perSecond).toBeLessThanOrEqual(UNASKED_LINES_PER_SECOND);
  });

  it('when it floods stderr with short lines, or with one that has no end', async () => {
    const perSecond = await floods({ to: 'stderr', text: 'y' }, ['stderr_rate']);
    expect(perSecond).toBeLessThanOrEqual(STDERR_LINES_PER_SECOND);
    await floods({ to: 'stderr', endless: true }, []);
  });

  it('when it writes a line without an end: it is stopped at MAX_MESSAGE', async () => {
    const sessions = await pair();
    // Its own answers may be lost with it, or come too late: that harms nobody else.
    const lost = Promise.allSettled([
      sessions.bad.flood({ to: 'stdout', endless: true }),
      sessions.bad.tool('hang'),
    ]);
    await Promise.all([untilGone(sessions.badPid), goesOn(sessions.good)]);
    // One that came when the child was gone already hangs in the next one.
    clock.skip(REQUEST_TIMEOUT_MS);
    await lost;
    expect((await sessions.bad.send({ id: 1, method: 'ping' })).status).toBe(200);
    expect(await counted('child_exits_total', 'reason="line_too_long"')).toBe(1);
    await ends(sessions);
  });

  it('when it reads nothing: what waits for it is bounded, and calls get errors', async () => {
    const sessions = await pair();
    await sessions.bad.tool('deaf');
    // 8 MiB may wait, whatever the pipe holds beside it.
    const text = 'x'.repeat(1024 * 1024);
    const flood = Array.from({ length: 12 }, () => sessions.bad.tool('echo', { text }));
    const settled = Promise.allSettled(flood);
    await Promise.race(flood.map((call) => call.catch(() => undefined)));
    await goesOn(sessions.good);
    clock.skip(REQUEST_TIMEOUT_MS);
    const outcomes = await settled;
    const reasons = outcomes.map((o) => (o.status === 'rejected' ? String(o.reason) : 'answered'));
    expect(reasons.some((reason) => reason.includes('reads no more'))).toBe(true);
    expect(reasons.some((reason) => reason.includes('timed out'))).toBe(true);
    expect(reasons).not.toContain('answered');
    await ends(sessions);
  });

  it('when what it has started holds its pipes, and it is gone itself', async () => {
    const sessions = await pair();
    const args = { escapes: true, holdsPipes: true };
    const grandchild = await sessions.bad.tool<number>('grandchild', args);
    try {
      await Promise.all([
        expect(sessions.bad.tool('die')).rejects.toThrow('ended'),
        goesOn(sessions.good),
      ]);
      expect((await sessions.bad.send({ id: 1, method: 'ping' })).status).toBe(200);
      expect(isAlive(grandchild)).toBe(true);
      await ends(sessions);
    } finally {
      process.kill(grandchild, 'SIGKILL');
    }
  });

  it('when it ignores the end of its stdin and every signal but KILL', async () => {
    const sessions = await pair();
    await sessions.bad.tool('stubborn');
    await Promise.all([sessions.bad.end(), goesOn(sessions.good), untilGone(sessions.badPid)]);
    await ends(sessions);
  });

  it('when it forks a lot: all of it ends with it', async () => {
    const sessions = await pair();
    const forks = await sessions.bad.tool<number[]>('forks', { count: 50 });
    expect(forks.every(isAlive)).toBe(true);
    await goesOn(sessions.good);
    await sessions.bad.end();
    await Promise.all(forks.map(untilGone));
    await ends(sessions);
  });

  it('when it closes its stdout and lives on: it is stopped, and its calls get errors', async () => {
    const sessions = await pair();
    await Promise.all([
      expect(sessions.bad.tool('mute')).rejects.toThrow('ended'),
      goesOn(sessions.good),
    ]);
    await untilGone(sessions.badPid);
    expect(await counted('child_exits_total', 'reason="closed_its_stdout"')).toBe(1);
    await ends(sessions);
  });

  it('when it answers twice, and what nobody asked', async () => {
    const sessions = await pair();
    const known = await counted('child_lines_dropped_total', 'reason="nobody_waits"');
    // The ids that both sessions will use next, and others of every kind.
    const ids = [...Array.from({ length: 100 }, (_, n) => 1000 + n), 0, -1, 1.5, 'x', null, {}];
    await sessions.bad.tool('answers', { ids: [...ids, ...ids] });
    await sessions.bad.tool('answersTwice');
    await Promise.all([goesOn(sessions.bad), goesOn(sessions.good)]);
    expect(await counted('child_lines_dropped_total', 'reason="nobody_waits"')).toBeGreaterThan(
      known + 200,
    );
    await ends(sessions);
  });
});
