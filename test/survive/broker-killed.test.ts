import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom } from '../../app/base/secret.ts';
import { ClientMemory, DemoClient } from '../../app/demo/client.ts';
import { type DemoForge, startDemoForge } from '../../app/demo/forge.ts';
import { Person } from '../../app/demo/person.ts';
import { callFor } from '../referee/sdk-client.ts';
import { DEMO_CHILD, freePort } from '../support/system.ts';

const MAIN = Bun.fileURLToPath(new URL('../../app/main.ts', import.meta.url));
const CLIENT = { clientId: 'fjmcp-test', clientSecret: 'secret-of-the-application' };
const SESSIONS = 20;

describe('a broker that is killed under load', () => {
  let directory: string;
  let forge: DemoForge;
  let origin: string;
  let broker: Bun.Subprocess<'ignore', 'ignore', 'pipe'>;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'fjmcp-killed-'));
    writeFileSync(join(directory, 'store.key'), systemRandom(32), { mode: 0o600 });
    origin = `http://127.0.0.1:${freePort()}`;
    forge = await startDemoForge({ ...CLIENT, redirectUris: [`${origin}/oauth/callback`] });
    broker = await start();
  });

  afterEach(async () => {
    broker.kill('SIGTERM');
    await broker.exited;
    await forge.stop();
    rmSync(directory, { recursive: true });
  });

  async function start() {
    const process_ = Bun.spawn([process.execPath, MAIN], {
      cwd: tmpdir(),
      env: {
        PATH: process.env.PATH ?? '/usr/bin:/bin',
        FJMCP_LISTEN: new URL(origin).host,
        FJMCP_PUBLIC_URL: origin,
        FJMCP_FORGEJO_URL: forge.url,
        FJMCP_FORGEJO_CLIENT_ID: CLIENT.clientId,
        FJMCP_FORGEJO_CLIENT_SECRET: CLIENT.clientSecret,
        FJMCP_STORE_PATH: join(directory, 'store.sqlite'),
        FJMCP_STORE_KEY_FILE: join(directory, 'store.key'),
        FJMCP_CHILD_COMMAND: [...DEMO_CHILD, '--url', '{forgejo_url}'].join(' '),
        FJMCP_MAX_SESSIONS_PER_USER: String(SESSIONS),
        FJMCP_SPAWN_CONCURRENCY: '20',
        FJMCP_CHILD_SANDBOX: 'none',
        // Everybody here comes from one address, and asks more often than any client.
        FJMCP_RATE_LIMITS: 'off',
      },
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'pipe',
    });
    const listening = Promise.withResolvers<void>();
    void (async () => {
      const decoder = new TextDecoder();
      let text = '';
      for await (const chunk of process_.stderr) {
        text += decoder.decode(chunk, { stream: true });
        if (text.includes('broker.listening')) listening.resolve();
        else if (text.includes('process.not_started')) listening.reject(new Error(text));
        text = text.slice(-1000);
      }
    })();
    await listening.promise;
    return process_;
  }

  it('P7: carries on 20 sessions under their ids, and runs no call twice', async () => {
    const memory = new ClientMemory('Killed under load');
    const first = new DemoClient(`${origin}/mcp`, memory);
    await first.authorize(new Person({ login: 'alice', password: 'wonderland' }));
    const clients = Array.from({ length: SESSIONS }, () => new DemoClient(`${origin}/mcp`, memory));
    for (const client of clients) await client.connect();
    const ids = clients.map(({ sessionId }) => sessionId);
    expect(new Set(ids).size).toBe(SESSIONS);

    let calls = 0;
    let running = true;
    const answered = new Set<string>();
    const call = async ({ client }: DemoClient): Promise<boolean> => {
      calls += 1;
      const title = `call ${calls}`;
      const args = { owner: 'alice', repo: 'garden', title, body: '' };
      try {
        await callFor(client, 'create_issue', args);
      } catch {
        return false;
      }
      answered.add(title);
      return true;
    };
    const load = clients.map(async (client) => {
      while (running) {
        // A call that is lost with the broker gets no answer at all: its client gives up on it.
        await Promise.race([call(client), Bun.sleep(200)]);
        await Bun.sleep(10);
      }
    });
    await Bun.sleep(300);
    broker.kill('SIGKILL');
    await broker.exited;
    running = false;
    await Promise.all(load);
    broker = await start();
    expect(await Promise.all(clients.map(call))).toEqual(clients.map(() => true));
    expect(clients.map(({ sessionId }) => sessionId)).toEqual(ids);
    const titles = forge.issueTitles('alice', 'garden');
    expect(new Set(titles).size).toBe(titles.length);
    for (const title of answered) expect(titles).toContain(title);
    await Promise.all(clients.map(({ client }) => client.close()));
  });
});
