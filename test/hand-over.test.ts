import { describe, expect, it } from 'bun:test';
import { silentLog } from '../app/base/log.ts';
import { createHandOver } from '../app/hand-over.ts';
import { FakeClock } from './support/fake-clock.ts';

const STORE = '/var/lib/broker/store.db';
const PID = 4711;
const KEYS = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];

function setUp(options: { readonly refusal?: string; readonly failure?: Error } = {}) {
  const clock = new FakeClock();
  const exited = Promise.withResolvers<string>();
  const told: string[] = [];
  const state = { idle: true, isPublic: true, keys: [] as readonly Uint8Array[] };
  const handOver = createHandOver({
    ...{ clock, log: silentLog, storePath: STORE, storeKeys: () => KEYS },
    refusal: options.refusal,
    isPublic: () => state.isPublic,
    onLost: () => told.push('lost'),
    duties: {
      begin: () => told.push('begin'),
      release: async () => {
        told.push('release');
        return state.idle;
      },
    },
    starter: {
      programChanged: () => true,
      start(keys) {
        if (options.failure !== undefined) throw options.failure;
        state.keys = keys;
        return { pid: PID, exited: exited.promise, kill: () => exited.resolve('SIGKILL') };
      },
      handedOver: (pid) => told.push(`main ${pid}`),
    },
  });
  const ask = { action: 'hand_over', pid: PID, programVersion: '9' } as const;
  return {
    ...{ clock, exited, told, state, handOver },
    release: (more: object = {}) =>
      handOver.step({ ...ask, step: 'release', storePath: STORE, ...more }),
    done: (more: object = {}) => handOver.step({ ...ask, step: 'done', ...more }),
  };
}

const refused = { ok: false, error: { kind: 'refused' } };

describe('a hand-over', () => {
  it('gives the duties first, and names the new main process before it is over', async () => {
    const { handOver, told, release, done, state } = setUp();
    const outcome = handOver.begin();
    expect(await release()).toEqual({ ok: true, value: { kind: 'released' } });
    expect(handOver.done).toBe(false);
    const handedOver = { kind: 'handed_over', pid: PID, programVersion: '9' };
    expect(await done()).toMatchObject({ ok: true, value: handedOver });
    expect(await outcome).toMatchObject({ ok: true, value: handedOver });
    expect(told).toEqual(['release', `main ${PID}`]);
    expect(handOver.done).toBe(true);
    expect(state.keys).toEqual(KEYS);
  });

  it('is nobody’s but the successor’s, step by step', async () => {
    const { handOver, told, release, done } = setUp();
    expect(await release()).toMatchObject(refused);
    void handOver.begin();
    expect(await done()).toMatchObject(refused);
    expect(await release({ pid: 1 })).toMatchObject(refused);
    expect(await release({ storePath: '/elsewhere' })).toMatchObject(refused);
    expect(told).toEqual([]);
    expect(await release()).toMatchObject({ ok: true });
    expect(await release()).toMatchObject(refused);
    expect(await done({ pid: 1 })).toMatchObject(refused);
    expect(await done()).toMatchObject({ ok: true });
    expect(await done()).toMatchObject(refused);
  });

  it('is put off while a token call does not end', async () => {
    const { handOver, release, state, exited } = setUp();
    const outcome = handOver.begin();
    state.idle = false;
    expect(await release()).toMatchObject({ ok: false, error: { kind: 'busy' } });
    exited.resolve('exit code 1');
    expect(await outcome).toMatchObject({ ok: false });
    expect(handOver.done).toBe(false);
  });

  it('fails after a minute without a sign, and the successor is ended', async () => {
    const { handOver, clock, exited, told } = setUp();
    const outcome = handOver.begin();
    clock.advance(60_000);
    expect(await outcome).toMatchObject({
      ok: false,
      error: [expect.stringContaining('it was not ready in time')],
    });
    expect(await exited.promise).toBe('SIGKILL');
    expect(told).toEqual([]);
  });

  it('takes the duties back from a successor that dies, or is silent for ten seconds', async () => {
    for (const end of ['dies', 'is silent']) {
      const { handOver, clock, exited, told, release, done } = setUp();
      const outcome = handOver.begin();
      await release();
      if (end === 'dies') exited.resolve('SIGSEGV');
      else clock.advance(10_000);
      expect(await outcome).toMatchObject({ ok: false });
      expect(told).toEqual(['release', 'begin']);
      expect(await done()).toMatchObject(refused);
    }
  });

  it('is the end of a broker whose sockets a dead successor has taken', async () => {
    const { handOver, exited, told, release, state } = setUp();
    const outcome = handOver.begin();
    await release();
    state.isPublic = false;
    exited.resolve('SIGKILL');
    await outcome;
    expect(told).toContain('lost');
  });

  it('may be tried again after a failure', async () => {
    const { handOver, exited, release } = setUp();
    const first = handOver.begin();
    exited.resolve('exit code 1');
    expect(await first).toMatchObject({ ok: false });
    void handOver.begin();
    expect(await release()).toMatchObject({ ok: true });
  });

  it('is refused, or fails at once, with a sentence', async () => {
    const tcp = await setUp({ refusal: 'A port cannot be handed over.' }).handOver.begin();
    expect(tcp).toMatchObject({ ok: false, error: ['A port cannot be handed over.'] });
    const failure = Object.assign(new Error('no such file'), { code: 'ENOENT' });
    const none = await setUp({ failure }).handOver.begin();
    expect(none).toMatchObject({
      ok: false,
      error: ['The new program cannot be started (ENOENT).'],
    });
  });

  it('ends with the broker that began it', async () => {
    const { handOver, exited } = setUp();
    const outcome = handOver.begin();
    handOver.cancel();
    expect(await exited.promise).toBe('SIGKILL');
    expect(await outcome).toMatchObject({ ok: false });
  });
});
