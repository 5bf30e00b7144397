import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import { McpError } from '@modelcontextprotocol/sdk/types.js';
import { startSystem, type TestSystem } from '../support/system.ts';
import { callFor, connect, RefereeTransport, rawHeaders } from './sdk-client.ts';
import { SecondClient } from './second-client.ts';

const READ = 'forgejo:read';
const WRITE = 'forgejo:read forgejo:write';
const ISSUE = { owner: 'alice', repo: 'garden', title: 'A rabbit was late' };

let system: TestSystem;
beforeAll(async () => {
  system = await startSystem({ config: { defaultScope: READ } });
});
afterAll(() => system.stop());

describe('the second generation of the official client, refused for want of scope', () => {
  it('B3: steps up by itself through consent, and succeeds in the same session', async () => {
    const client = new SecondClient(system.mcpUrl);
    await client.connect(system.person());
    expect(client.memory.current?.scope).toBe(READ);
    expect(await client.toolNames()).not.toContain('create_issue');
    const session = client.sessionId;

    const made = await client.withPerson(system.person(), () => client.call('create_issue', ISSUE));
    expect(JSON.stringify(made.content)).toContain(ISSUE.title);
    expect(client.memory.current?.scope).toBe(WRITE);
    expect(client.memory.asked.map((url) => url.searchParams.get('scope')?.split(' '))).toEqual([
      [READ, 'offline_access'],
      [...WRITE.split(' '), 'offline_access'],
    ]);
    expect(client.sessionId).toBe(session);
    expect(await client.toolNames()).toContain('create_issue');
    await client.close();
  });

  it('B3: gets nowhere when the person allows no more than before, and is not asked for ever', async () => {
    const client = new SecondClient(system.mcpUrl);
    await client.connect(system.person());
    const stubborn = system.person({ choices: { scope: [READ] } });
    const call = client.withPerson(stubborn, () => client.call('create_issue', ISSUE));
    expect(await rejection(call)).toBeInstanceOf(Error);
    expect(client.memory.current?.scope).toBe(READ);
    expect(system.forge.count('/api/v1/repos/alice/garden/issues')).toBeLessThan(3);
    await client.close();
  });

  it('S12: keeps the limits of the person when it steps up', async () => {
    const client = new SecondClient(system.mcpUrl);
    const choices: Record<string, string[]> = { toolset: ['issues'], targets: ['alice/garden'] };
    const person = system.person({ choices });
    await client.connect(person);
    // In the same browser, and now the person presses the button and changes nothing.
    for (const name of Object.keys(choices)) delete choices[name];
    const made = await client.withPerson(person, () => client.call('create_issue', ISSUE));
    expect(JSON.stringify(made.content)).toContain(ISSUE.title);
    expect(client.memory.current?.scope).toBe(WRITE);
    const beyond = await rejection(client.call('create_issue', { ...ISSUE, repo: 'diary' }));
    expect(String(beyond)).toContain('may not touch alice/diary');
    await client.close();
  });
});

describe('the first generation of the official client, refused for want of scope', () => {
  it('B3: shows its person a message that says what to do', async () => {
    const client = await system.connected();
    const transport = new RefereeTransport(system.mcpUrl, client.memory);
    const sdk = await connect(transport);
    const error = await rejection(callFor(sdk, 'create_issue', ISSUE));
    expect(error).toBeInstanceOf(McpError);
    expect((error as McpError).message).toContain('this needs forgejo:write');
    expect((error as McpError).message).toContain('disconnect this server in your application');
    const statuses = () => transport.exchanges.map(({ status }) => status);
    expect(statuses().filter((status) => status === 403)).toHaveLength(1);

    // It has shown what it makes of a challenge, and is spared the next one.
    const tokens = client.memory.current;
    expect(await rejection(callFor(sdk, 'create_issue', ISSUE))).toBeInstanceOf(McpError);
    expect(statuses().filter((status) => status === 403)).toHaveLength(1);
    expect(client.memory.current).toEqual(tokens);
    await sdk.close();
    await client.close();
  });

  it('B3: is let in after it was connected again with more', async () => {
    const client = await system.connected();
    await rejection(callFor(client.client, 'create_issue', ISSUE));
    client.memory.current = undefined;
    await client.authorize(system.person({ choices: { scope: ['forgejo:write'] } }));
    expect(client.memory.current).toMatchObject({ scope: WRITE });
    const issue = await callFor<{ title: string }>(client.client, 'create_issue', ISSUE);
    expect(issue.title).toBe(ISSUE.title);
    await client.close();
  });

  it('B3: a notification that may not be is refused, also where a challenge would not help', async () => {
    const client = await system.connected();
    await rejection(callFor(client.client, 'create_issue', ISSUE));
    const before = system.forge.count('/api/v1/repos/alice/garden/issues');
    const answer = await fetch(system.mcpUrl, {
      method: 'POST',
      headers: rawHeaders(client.memory, client.sessionId ?? ''),
      body: JSON.stringify({
        jsonrpc: '2.0',
        method: 'tools/call',
        params: { name: 'create_issue', arguments: ISSUE },
      }),
    });
    expect(answer.status).toBe(400);
    expect(system.forge.count('/api/v1/repos/alice/garden/issues')).toBe(before);
    await client.close();
  });
});

/** What a promise rejects with; a failure when it does not. */
async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it was not rejected');
}
