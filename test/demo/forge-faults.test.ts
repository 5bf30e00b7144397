import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { type DemoForge, startDemoForge } from '../../app/demo/forge.ts';
import { FakeClock } from '../support/fake-clock.ts';

const VERSION = '/api/v1/version';

let forge: DemoForge;
let clock: FakeClock;

beforeEach(async () => {
  clock = new FakeClock();
  forge = await startDemoForge({
    clientId: 'a-client',
    clientSecret: 'gto_a-secret',
    redirectUris: [],
    clock,
  });
});
afterEach(() => forge.stop());

function ask(path = VERSION): Promise<Response> {
  return fetch(forge.url + path, { redirect: 'manual' });
}

describe('faults of the demo forge', () => {
  it('refuses connections, and listens at the same address afterwards', async () => {
    forge.faults.set({ kind: 'refuse' });
    await expect(ask()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    forge.faults.clear();
    expect((await ask()).status).toBe(200);
  });

  it('cuts an answer', async () => {
    forge.faults.set({ kind: 'cut' });
    await expect(ask().then((answer) => answer.text())).rejects.toMatchObject({
      code: 'ECONNRESET',
    });
  });

  it('holds an answer until it is released', async () => {
    const held = forge.faults.set({ kind: 'hold' });
    let answered = false;
    const answer = ask().then((response) => {
      answered = true;
      return response.status;
    });
    await held.reached;
    expect(answered).toBe(false);
    held.release();
    expect(await answer).toBe(200);
    expect((await ask()).status).toBe(200);
  });

  it('is slow by its clock', async () => {
    const slow = forge.faults.set({ kind: 'slow', delayMs: 5000 });
    const answer = ask();
    await slow.reached;
    clock.advance(5000);
    expect((await answer).status).toBe(200);
  });

  it('shows pages and statuses in place of Forgejo', async () => {
    forge.faults.set({ kind: 'html' }, { times: 1 });
    forge.faults.set({ kind: 'status', status: 429 }, { times: 1 });
    forge.faults.set({ kind: 'redirect', location: 'http://127.0.0.1:1/' }, { times: 1 });
    const page = await ask();
    expect([page.status, page.headers.get('content-type')]).toEqual([
      200,
      'text/html; charset=utf-8',
    ]);
    expect((await ask()).status).toBe(429);
    expect((await ask()).headers.get('location')).toBe('http://127.0.0.1:1/');
    expect((await ask()).headers.get('content-type')).toStartWith('application/json');
  });

  it('strikes only where and as often as it was told', async () => {
    const fault = forge.faults.set({ kind: 'status', status: 500 }, { on: VERSION, times: 2 });
    expect((await ask('/')).status).toBe(200);
    expect([(await ask()).status, (await ask()).status, (await ask()).status]).toEqual([
      500, 500, 200,
    ]);
    expect(fault.struck).toBe(2);
  });

  it('changes an answer', async () => {
    const edit = (body: Record<string, unknown>) => ({ ...body, more: true });
    forge.faults.set({ kind: 'edit', edit });
    expect(await (await ask()).json()).toEqual({ version: '7.0.8', more: true });
  });

  it('stops with an answer still held', async () => {
    const held = forge.faults.set({ kind: 'hold' });
    const answer = ask().catch(() => undefined);
    await held.reached;
    await forge.stop();
    await answer;
  });
});
