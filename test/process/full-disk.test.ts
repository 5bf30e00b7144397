import { afterEach, beforeEach, expect, it } from 'bun:test';
import type { DemoClient } from '../../app/demo/client.ts';
import type { HttpFetch } from '../../app/demo/person.ts';
import { type BrokerProcess, type Stage, setStage } from '../support/broker-process.ts';
import { expectNothingInternal, linksOf, pageText } from '../support/internals.ts';
import { isAlive } from '../support/processes.ts';
import { RawClient, rpcAnswer } from '../support/raw-client.ts';
import { describeWith, type Requirement } from '../support/requirements.ts';
import { alice, bob, newClient, tokenOf } from '../support/sign-in.ts';
import { DEMO_CHILD } from '../support/system.ts';
import {
  fileSizeLimit,
  mountNamespace,
  prlimit,
  rowCounts,
  smallFileSystem,
  type TightDisk,
} from '../support/tight-disk.ts';

const disks: [string, Requirement, TightDisk][] = [
  ['a disk on which no file can grow', prlimit, fileSizeLimit],
  ['a file system without room', mountNamespace, smallFileSystem],
];

let stage: Stage;
let broker: BrokerProcess;

for (const [name, requirement, disk] of disks) {
  describeWith(requirement, name, () => {
    const fill = () => disk.fill(stage, broker);
    const makeRoom = () => disk.makeRoom(stage, broker);
    const rows = () => rowCounts(disk.directory(stage, broker));

    beforeEach(async () => {
      stage = await setStage({
        childCommand: [...DEMO_CHILD, '--url', '{forgejo_url}'],
        forge: { rotation: true },
      });
      broker = await stage.start({ wrapper: disk.wrapper(stage) });
    });

    afterEach(async () => {
      await stage.end();
    });

    it('is 503 for all that must be kept, leaves nothing half written, and heals', async () => {
      const connected = newClient(stage.mcpUrl);
      await connected.authorize(alice());
      const raw = new RawClient(stage.mcpUrl, tokenOf(connected));
      await raw.initialize();
      expect((await raw.call('get_my_user_info')).status).toBe(200);
      const waiting = newClient(stage.mcpUrl);
      const url = await waiting.startAuthorization();
      const redirected = await bob().authorize(url, waiting.memory.redirectUrl);
      const before = rows();
      expect(before).toMatchObject({ grants: 2, authorization_codes: 2, sessions: 1 });

      fill();
      await expectReadiness(false);
      await expectUnavailable(await register());
      await expectUnavailable(await exchange(waiting, redirected));
      await expectUnavailable(await refresh(connected));
      await expectUnavailable(await revoke(connected));
      const page = await fetch(url, { redirect: 'manual' });
      expect(page.status).toBe(503);
      expect(linksOf(await pageText(page)).get('Try again')).toBe(url.href);
      await expectNotOpened(raw);
      // What needs no writing goes on.
      expect((await raw.call('get_my_user_info')).status).toBe(200);
      expect(rows()).toEqual(before);
      const failures = await broker.logged('store.failed', 6);
      expect(failures.every(({ kind }) => kind === disk.failure)).toBe(true);
      expect(broker.log('request.failed')).toEqual([]);

      makeRoom();
      await expectReadiness(true);
      expect((await register()).status).toBe(201);
      expect((await exchange(waiting, redirected)).status).toBe(200);
      expect((await refresh(connected)).status).toBe(200);
      expect((await fetch(url, { redirect: 'manual' })).status).toBe(200);
      expect((await new RawClient(stage.mcpUrl, raw.accessToken).initialize()).status).toBe(200);
      expect((await revoke(connected)).status).toBe(200);
      expect((await raw.call('get_my_user_info')).status).toBe(401);
    });

    it('shows a page to a person who comes back from the forge; loading it again works', async () => {
      const client = newClient(stage.mcpUrl);
      const url = await client.startAuthorization();
      let callback: URL | undefined;
      const person = alice({
        fetch: (to, init) => {
          const target = new URL(to);
          if (target.pathname === '/oauth/callback' && callback === undefined) {
            callback = target;
            fill();
          }
          return fetch(to, init);
        },
      });
      await expect(person.authorize(url, client.memory.redirectUrl)).rejects.toThrow(
        '"This server cannot work now" (503 at /oauth/callback)',
      );
      expect(rows()).toMatchObject({ accounts: 0, grants: 0, authorization_codes: 0 });

      makeRoom();
      const again = await person.authorize(callback ?? url, client.memory.redirectUrl);
      await client.finishAuthorization(again);
      expect((await new RawClient(stage.mcpUrl, tokenOf(client)).initialize()).status).toBe(200);
    });

    it('signs nobody out when it fills between the answer of the forge and the store', async () => {
      const first = newClient(stage.mcpUrl);
      await first.authorize(alice());
      const second = newClient(stage.mcpUrl);
      const url = await second.startAuthorization();
      const held = stage.forge.faults.set({ kind: 'hold' }, { on: '/login/oauth/access_token' });
      const pages: Response[] = [];
      const person = alice({ fetch: collecting(pages) });
      const signingIn = person.authorize(url, second.memory.redirectUrl);
      signingIn.catch(() => undefined);
      await held.reached;
      fill();
      held.release();
      await expect(signingIn).rejects.toThrow('"This server cannot work now"');
      const page = pages.at(-1);
      expect(await pageText(page ?? new Response())).toContain('nothing is half done');
      expect(rows()).toMatchObject({ grants: 1, authorization_codes: 1 });

      makeRoom();
      await second.authorize(alice());
      for (const client of [first, second]) {
        await client.refresh();
        const raw = new RawClient(stage.mcpUrl, tokenOf(client));
        expect((await raw.initialize()).status).toBe(200);
        expect(await (await raw.call('get_my_user_info')).text()).toContain('alice');
      }
      expect(broker.log('account.needs_sign_in')).toEqual([]);
    });

    it('does not keep the broker from an orderly end', async () => {
      const client = newClient(stage.mcpUrl);
      await client.authorize(alice());
      const raw = new RawClient(stage.mcpUrl, tokenOf(client));
      await raw.initialize();
      fill();
      // A last use is gathered, and cannot be written.
      expect((await raw.call('get_my_user_info')).status).toBe(200);
      broker.kill('SIGTERM');
      expect(await broker.exited).toEqual({ code: 0, signal: null });
      expect(broker.log('process.failed')).toEqual([]);
    });
  });
}

describeWith(prlimit, 'a start on a disk without room', () => {
  afterEach(async () => {
    await stage.end();
  });

  it('fails with a sentence, with a new store and with one whose broker was killed', async () => {
    stage = await setStage({ childCommand: [...DEMO_CHILD, '--url', '{forgejo_url}'] });
    const wrapper = ['prlimit', '--fsize=0', '--'];
    for (const state of ['new', 'killed']) {
      const process = stage.spawn({ wrapper });
      expect({ state, ...(await process.exited) }).toEqual({ state, code: 1, signal: null });
      const [refusal] = process.log('process.not_started');
      expect(String(refusal?.reason)).toMatch(/^[A-Z].*store.*[.]$/);
      expect(process.log('process.failed')).toEqual([]);
      broker = await stage.start();
      const client = newClient(stage.mcpUrl);
      await client.authorize(alice());
      await new RawClient(stage.mcpUrl, tokenOf(client)).initialize();
      broker.kill('SIGKILL');
      await broker.exited;
    }
  });
});

async function expectReadiness(ready: boolean): Promise<void> {
  // The word of the store holds for a second.
  let answer = await fetch(`${stage.origin}/readyz`);
  while ((answer.status === 200) !== ready) {
    await Bun.sleep(50);
    answer = await fetch(`${stage.origin}/readyz`);
  }
  const reasons = [{ check: 'store', reason: 'the store cannot be written' }];
  expect(await answer.json()).toEqual(
    ready ? { status: 'ready' } : { status: 'not_ready', reasons },
  );
  expect((await fetch(`${stage.origin}/healthz`)).status).toBe(200);
}

/** The RFC body of an endpoint for programs that cannot keep anything now. */
async function expectUnavailable(answer: Response): Promise<void> {
  expect(answer.status).toBe(503);
  expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  expect(JSON.parse(expectNothingInternal(await answer.text()))).toEqual({
    error: 'temporarily_unavailable',
    error_description: expect.any(String),
  });
}

async function expectNotOpened(owner: RawClient): Promise<void> {
  const raw = new RawClient(stage.mcpUrl, owner.accessToken);
  const answer = await raw.initialize();
  expect(answer.status).toBe(503);
  expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  expectNothingInternal(await answer.clone().text());
  expect(await rpcAnswer(answer)).toMatchObject({ id: 1, error: { code: -32603 } });
  const pid = Number((await broker.logged('child.started', 2)).at(-1)?.pid);
  expect(isAlive(pid)).toBe(false);
}

function register(): Promise<Response> {
  return fetch(`${stage.origin}/oauth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_name: 'late', redirect_uris: ['https://late.example/cb'] }),
  });
}

function post(path: string, client: DemoClient, fields: Record<string, string>) {
  const client_id = client.memory.information?.client_id ?? '';
  const body = new URLSearchParams({ client_id, ...fields });
  return fetch(`${stage.origin}${path}`, { method: 'POST', body });
}

function exchange(client: DemoClient, redirected: URL): Promise<Response> {
  return post('/oauth/token', client, {
    grant_type: 'authorization_code',
    code: redirected.searchParams.get('code') ?? '',
    redirect_uri: client.memory.redirectUrl,
    code_verifier: client.memory.codeVerifier(),
  });
}

function refresh(client: DemoClient): Promise<Response> {
  const refresh_token = client.memory.current?.refresh_token ?? '';
  return post('/oauth/token', client, { grant_type: 'refresh_token', refresh_token });
}

function revoke(client: DemoClient): Promise<Response> {
  return post('/oauth/revoke', client, { token: client.memory.current?.refresh_token ?? '' });
}

function collecting(pages: Response[]): HttpFetch {
  return async (url, init) => {
    const response = await fetch(url, init);
    pages.push(response.clone());
    return response;
  };
}
