import { afterAll, afterEach, beforeAll, describe, expect, it, setDefaultTimeout } from 'bun:test';
import { ElicitRequestSchema, type Progress } from '@modelcontextprotocol/sdk/types.js';
import { conformanceChild } from '../fixture/connect.ts';
import { type OfficialClient, officialClient } from '../support/official-client.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

/** A busy machine takes its time; nothing here waits for a duration. */
setDefaultTimeout(60_000);

const REQUEST_TIMEOUT_MS = 3_000;
const EVENT_STREAM = 'text/event-stream';

let system: TestSystem;
const open: OfficialClient[] = [];

beforeAll(async () => {
  system = await startSystem({
    config: { childCommand: conformanceChild(), requestTimeoutMs: REQUEST_TIMEOUT_MS },
  });
});

afterEach(() => Promise.all(open.splice(0).map((official) => official.close())));

afterAll(() => system.stop());

async function connect(
  ...how: Parameters<typeof officialClient> extends [unknown, ...infer R] ? R : never
) {
  const official = await officialClient(system, ...how);
  open.push(official);
  const call = async (name: string, args: Record<string, unknown> = {}): Promise<string> => {
    const { content } = await official.client.callTool({ name, arguments: args });
    return (content as { readonly text?: string }[]).map(({ text }) => text).join('\n');
  };
  return { ...official, call };
}

describe('the official client through the whole broker', () => {
  it('T17: stays quiet and usable after a JSON-RPC error on a stream, which it asks for again', async () => {
    const { client, asked, errors, until, call } = await connect();
    const error = await client
      .callTool({ name: 'slow', arguments: { ms: 600_000 } })
      .catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: -32001 });
    const again = await until(() => asked.find(({ lastEventId }) => lastEventId !== null));
    expect(again).toMatchObject({ method: 'GET', status: 204 });
    expect(await call('echo', { text: 'fine' })).toBe('fine');
    expect(errors).toEqual([]);
  });

  it('T12, T17: gets the rest of a call whose connection broke, each message once', async () => {
    const { client, cut, asked } = await connect();
    const seen: Progress[] = [];
    const result = await client.callTool(
      { name: 'progress', arguments: { steps: 20, intervalMs: 100 } },
      undefined,
      {
        onprogress: (progress) => {
          seen.push(progress);
          if (progress.progress === 3) cut();
        },
      },
    );
    expect(JSON.stringify(result.content)).toContain('20 steps');
    expect(seen.map(({ progress }) => progress)).toEqual([...Array(20).keys()].map((n) => n + 1));
    expect(asked.filter(({ lastEventId }) => lastEventId !== null).length).toBeGreaterThan(0);
  });

  it('T13: gets what was said while nobody listened', async () => {
    const { call, cut, notifications, asked, until } = await connect();
    await until(() => asked.some(({ method }) => method === 'GET'));
    cut();
    // Two at once leave the listening stream to a notification, which nobody reads now.
    await Promise.all([call('trigger_list_changed', { list: 'tools' }), call('slow', { ms: 300 })]);
    await until(() =>
      notifications.some(({ method }) => method === 'notifications/tools/list_changed'),
    );
    expect(notifications).toHaveLength(1);
  });

  it('P10: cancels a call in the child, and only there', async () => {
    const { client, call, errors } = await connect();
    const aborted = new AbortController();
    const slow = client
      .callTool({ name: 'slow', arguments: { ms: 600_000 } }, undefined, { signal: aborted.signal })
      .catch((cause: unknown) => String(cause));
    const other = call('slow', { ms: 300 });
    await call('echo', { text: 'the first has arrived' });
    aborted.abort('enough');
    expect(await slow).toContain('enough');
    expect(await other).toBe('slept 300 ms');
    // A question may overtake the work of a cancellation in the child.
    while ((await call('cancelled_calls')) !== '1') await Bun.sleep(5);
    expect(errors).toEqual([]);
  });

  it('P9: refuses for a client what it has not declared', async () => {
    const { call, errors } = await connect({});
    for (const [tool, args] of [
      ['ask_sampling', { prompt: 'x' }],
      ['ask_elicitation', { message: 'x' }],
      ['ask_roots', {}],
    ] as const) {
      expect(JSON.parse(await call(tool, args))).toMatchObject({ error: { code: -32601 } });
    }
    expect(errors).toEqual([]);
  });

  it('P8: carries many questions at once, each answer to its own', async () => {
    const { call } = await connect({ elicitation: {} }, (client) => {
      client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
        await Bun.sleep(Math.random() * 20);
        return { action: 'accept' as const, content: { name: params.message } };
      });
    });
    const answers = (await call('ask_elicitation', { message: 'question', times: 30 })).split('\n');
    expect(answers.map((text) => JSON.parse(text).result.content.name)).toEqual(
      [...Array(30).keys()].map((n) => (n === 0 ? 'question' : `question ${n}`)),
    );
  });

  it('T17: is told 400 for an event id that is none, and lives on', async () => {
    const { transport, call } = await connect();
    const error = await transport.resumeStream('nonsense').catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 400 });
    expect(await call('echo', { text: 'fine' })).toBe('fine');
  });

  it('T13: ends the streams that are open, each call with an answer, when the broker stops', async () => {
    const { asked, until, client } = await connect();
    await until(() => asked.some(({ method }) => method === 'GET'));
    const call = client
      .callTool({ name: 'slow', arguments: { ms: 600_000 } })
      .catch((cause: unknown) => cause);
    await until(() =>
      asked.some(({ method, contentType }) => method === 'POST' && contentType === EVENT_STREAM),
    );
    open.length = 0;
    await system.restart();
    expect(await call).toMatchObject({ code: -32000 });
    await client.close();
  });

  it('lets the child see what the client has declared, and nothing else', async () => {
    const { call } = await connect({ roots: {}, sampling: {}, experimental: { x: {} } });
    expect(JSON.parse(await call('inspect'))).toMatchObject({
      clientCapabilities: { roots: {}, sampling: {} },
      clientInfo: { name: 'official-client' },
    });
    expect(JSON.parse(await call('inspect')).clientCapabilities).not.toHaveProperty('experimental');
  });
});
