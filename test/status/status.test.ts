import { describe, expect, it } from 'bun:test';
import { status } from '../../app/status/status.ts';
import { FakeClock } from '../support/fake-clock.ts';

function setUp() {
  const clock = new FakeClock();
  const state = {
    writable: async () => true,
    forge: async (): Promise<'up' | 'away'> => 'up',
    blocked: false,
    stopping: false,
    storeProbes: 0,
    forgeProbes: 0,
  };
  const app = status({
    version: '1.2.3',
    git: 'abc',
    clock,
    store: {
      writable: () => {
        state.storeProbes += 1;
        return state.writable();
      },
    },
    probeForge: () => {
      state.forgeProbes += 1;
      return state.forge();
    },
    spawnsBlocked: () => state.blocked,
    stopping: () => state.stopping,
  });
  const ask = (path: string, method = 'GET') =>
    app.handle(new Request(`http://localhost${path}`, { method }));
  return { ask, state, clock };
}

describe('/readyz', () => {
  it('answers 503 and names every check that fails', async () => {
    const { ask, state } = setUp();
    state.writable = async () => false;
    state.forge = async () => 'away';
    state.blocked = true;
    state.stopping = true;
    const response = await ask('/readyz');
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('5');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.json()).toEqual({
      status: 'not_ready',
      reasons: [
        { check: 'store', reason: 'the store cannot be written' },
        { check: 'forge', reason: 'Forgejo does not answer' },
        { check: 'children', reason: 'the last children found Forgejo away' },
        { check: 'stopping', reason: 'the broker is stopping' },
      ],
    });
  });

  it('keeps the message of a probe that throws to itself', async () => {
    const { ask, state } = setUp();
    state.forge = () => Promise.reject(new Error('http://internal.example:3000 refused'));
    const response = await ask('/readyz');
    expect(response.status).toBe(503);
    expect(await response.text()).not.toContain('internal.example');
  });

  it('asks the store and Forgejo once for a crowd, and again when the answer is old', async () => {
    const { ask, state, clock } = setUp();
    const forge = Promise.withResolvers<'up' | 'away'>();
    state.forge = () => forge.promise;
    const crowd = Array.from({ length: 20 }, () => ask('/readyz'));
    clock.advance(60_000);
    const late = ask('/readyz');
    forge.resolve('up');
    for (const response of await Promise.all([...crowd, late])) expect(response.status).toBe(200);
    expect(state.forgeProbes).toBe(1);
    clock.advance(9_999);
    await ask('/readyz');
    expect(state.forgeProbes).toBe(1);
    clock.advance(1);
    await ask('/readyz');
    expect(state.forgeProbes).toBe(2);
  });

  it('asks the store again after a second', async () => {
    const { ask, state, clock } = setUp();
    await ask('/readyz');
    state.writable = async () => false;
    clock.advance(999);
    expect((await ask('/readyz')).status).toBe(200);
    clock.advance(1);
    expect((await ask('/readyz')).status).toBe(503);
    expect(state.storeProbes).toBe(2);
  });

  it('says at once that the stop began', async () => {
    const { ask, state } = setUp();
    const before = await ask('/readyz');
    expect([before.status, await before.json()]).toEqual([200, { status: 'ready' }]);
    state.stopping = true;
    expect((await ask('/readyz')).status).toBe(503);
  });
});

describe('/healthz', () => {
  it('tells version and revision, whatever is away', async () => {
    const { ask, state } = setUp();
    state.writable = async () => false;
    state.stopping = true;
    const response = await ask('/healthz');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: 'ok', version: '1.2.3', git: 'abc' });
    expect(state.storeProbes).toBe(0);
  });

  it.each(['/healthz', '/readyz'])(
    'answers another method than GET on %s with 405',
    async (path) => {
      const { ask } = setUp();
      for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
        const response = await ask(path, method);
        expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
      }
      expect((await ask(path, 'HEAD')).status).toBe(200);
    },
  );
});
