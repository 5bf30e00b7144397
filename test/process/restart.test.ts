import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import type { HttpFetch } from '../../app/demo/person.ts';
import { type BrokerProcess, type Stage, setStage } from '../support/broker-process.ts';
import { RawClient } from '../support/raw-client.ts';
import { alice, bob, newClient, tokenOf } from '../support/sign-in.ts';
import { DEMO_CHILD } from '../support/system.ts';

const COMMAND = [...DEMO_CHILD, '--url', '{forgejo_url}'];

let stage: Stage;
let broker: BrokerProcess;

beforeEach(async () => {
  stage = await setStage({ childCommand: COMMAND });
  broker = await stage.start();
});

afterEach(async () => {
  await stage.end();
});

async function restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  broker.kill(signal);
  await broker.exited;
  broker = await stage.start();
}

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  describe(`a broker that was started again after ${signal}`, () => {
    it('P7: keeps clients, grants, tokens, codes and sessions', async () => {
      const client = newClient(stage.mcpUrl);
      await client.authorize(alice());
      const raw = new RawClient(stage.mcpUrl, tokenOf(client));
      await raw.initialize();
      const earlier = raw.sessionId;
      const waiting = newClient(stage.mcpUrl);
      const url = await waiting.startAuthorization();
      const redirected = await bob().authorize(url, waiting.memory.redirectUrl);

      await restart(signal);

      expect(await (await raw.call('get_my_user_info')).text()).toContain('alice');
      expect((await raw.initialize()).status).toBe(200);
      expect(raw.sessionId).not.toBe(earlier);
      expect(await (await raw.call('get_my_user_info')).text()).toContain('alice');
      await client.refresh();
      expect((await new RawClient(stage.mcpUrl, tokenOf(client)).initialize()).status).toBe(200);

      await waiting.finishAuthorization(redirected);
      const bobs = new RawClient(stage.mcpUrl, tokenOf(waiting));
      await bobs.initialize();
      expect(await (await bobs.call('get_my_user_info')).text()).toContain('bob');
      const again = newClient(stage.mcpUrl);
      again.memory.information = client.memory.information;
      await again.authorize(alice());
      expect(tokenOf(again)).not.toBe('');
    });
  });
}

describe('a broker that is started again while a person signs in', () => {
  it('goes on where the person is', async () => {
    const restarted: string[] = [];
    const throughRestarts: HttpFetch = async (url, init) => {
      const { pathname } = new URL(url);
      const moment = `${init?.method ?? 'GET'} ${pathname}`;
      const isMoment = ['GET /user/login', 'GET /oauth/callback', 'POST /oauth/confirm'];
      if (isMoment.includes(moment) && !restarted.includes(moment)) {
        restarted.push(moment);
        await restart('SIGTERM');
      }
      return fetch(url, init);
    };
    const client = newClient(stage.mcpUrl);
    await client.authorize(alice({ fetch: throughRestarts }));
    expect(restarted).toHaveLength(3);
    expect(tokenOf(client)).not.toBe('');
  });
});
