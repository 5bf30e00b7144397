import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  type Progress,
} from '@modelcontextprotocol/sdk/types.js';
import { type OfficialClient, officialClient } from '../support/official-client.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

const EVERYTHING = new URL(
  '../../node_modules/@modelcontextprotocol/server-everything/dist/index.js',
  import.meta.url,
).pathname;

let system: TestSystem;
let official: OfficialClient;
let roots = [{ uri: 'file:///work', name: 'Work' }];

beforeAll(async () => {
  system = await startSystem({ config: { childCommand: [process.execPath, EVERYTHING, 'stdio'] } });
  official = await connect();
});

afterAll(async () => {
  await official.close();
  await system.stop();
});

function connect(): Promise<OfficialClient> {
  const capabilities = {
    sampling: {},
    roots: { listChanged: true },
    elicitation: { form: {}, url: {} },
  };
  return officialClient(system, capabilities, (client) => {
    client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => ({
      model: 'a-model',
      role: 'assistant' as const,
      content: { type: 'text' as const, text: `${params.messages.length} message` },
    }));
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots }));
    client.setRequestHandler(ElicitRequestSchema, ({ params }) =>
      params.mode === 'url'
        ? { action: 'accept' as const }
        : { action: 'accept' as const, content: { name: 'Ada Lovelace' } },
    );
  });
}

async function callText(name: string, args: Record<string, unknown> = {}): Promise<string> {
  const result = await official.client.callTool({ name, arguments: args });
  return JSON.stringify(result.content);
}

describe('a reference server as the child of the official client', () => {
  it('lists and calls tools, prompts and resources', async () => {
    const { client } = official;
    const tools = (await client.listTools()).tools.map(({ name }) => name);
    expect(tools).toContain('trigger-sampling-request');
    expect(await callText('echo', { message: 'žluť 🐎' })).toContain('žluť 🐎');
    expect((await client.listPrompts()).prompts.length).toBeGreaterThan(0);
    expect((await client.listResources()).resources.length).toBeGreaterThan(0);
    const uri = 'demo://resource/dynamic/text/7';
    expect((await client.readResource({ uri })).contents[0]?.uri).toBe(uri);
    await client.ping();
  });

  it('T11: tells of progress on the stream of its call', async () => {
    const seen: Progress[] = [];
    const result = await official.client.callTool(
      { name: 'trigger-long-running-operation', arguments: { duration: 0.2, steps: 4 } },
      undefined,
      { onprogress: (progress) => seen.push(progress) },
    );
    expect(seen.map(({ progress }) => progress)).toEqual([1, 2, 3, 4]);
    expect(JSON.stringify(result.content)).toContain('completed');
  });

  it('asks the client for a completion', async () => {
    expect(await callText('trigger-sampling-request', { prompt: 'hello' })).toContain('1 message');
  });

  it('asks the person, by a form and by a link', async () => {
    expect(await callText('trigger-elicitation-request')).toContain('Ada Lovelace');
    const url = 'https://forge.example/step';
    expect(await callText('trigger-url-elicitation', { url })).toContain('accept');
  });

  it('reads the roots, and reads them again when they change', async () => {
    expect(await callText('get-roots-list')).toContain('file:///work');
    roots = [{ uri: 'file:///elsewhere', name: 'Elsewhere' }];
    await official.client.sendRootsListChanged();
    // The child answers from what it knows, and asks for what is new meanwhile.
    while (!(await callText('get-roots-list')).includes('file:///elsewhere')) await Bun.sleep(5);
  });

  it('T15: logs on the listening stream what belongs to no call', async () => {
    await official.client.setLoggingLevel('debug');
    await callText('toggle-simulated-logging');
    const log = await official.until(() =>
      official.notifications.find(({ params }) => /-?level/.test(String(params?.data))),
    );
    expect(log.method).toBe('notifications/message');
    await callText('toggle-simulated-logging');
  });

  it('tells of updates of resources that the client has subscribed to', async () => {
    const uri = 'demo://resource/dynamic/text/1';
    await official.client.subscribeResource({ uri });
    await callText('toggle-subscriber-updates');
    const update = await official.until(() =>
      official.notifications.find(({ method }) => method === 'notifications/resources/updated'),
    );
    expect(update.params).toMatchObject({ uri });
    await callText('toggle-subscriber-updates');
    await official.client.unsubscribeResource({ uri });
  });

  it('P10: lets the client cancel a call, and lives on in peace', async () => {
    const aborted = new AbortController();
    const call = official.client.callTool(
      { name: 'trigger-long-running-operation', arguments: { duration: 30, steps: 30 } },
      undefined,
      { signal: aborted.signal, onprogress: () => aborted.abort('changed my mind') },
    );
    expect(await call.catch((error: unknown) => String(error))).toContain('changed my mind');
    expect(await callText('echo', { message: 'still here' })).toContain('still here');
  });

  it('stays quiet and usable after JSON-RPC errors', async () => {
    const { client } = official;
    const errors = await Promise.all([
      client.callTool({ name: 'no-such-tool', arguments: {} }).then(JSON.stringify, String),
      client.readResource({ uri: 'demo://nowhere' }).then(JSON.stringify, String),
      client.getPrompt({ name: 'no-such-prompt' }).then(JSON.stringify, String),
    ]);
    for (const error of errors) expect(error).toContain('-3260');
    expect(await callText('echo', { message: 'fine' })).toContain('fine');
    expect(official.errors).toEqual([]);
  });
});
