import { afterAll, beforeAll, expect, it } from 'bun:test';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { type CallToolResult, ErrorCode, ResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { type ClientMemory, DemoClient } from '../../app/demo/client.ts';
import { commandLine, untilGone } from '../support/processes.ts';
import { startSystem, type TestSystem } from '../support/system.ts';
import { callFor, eventsOf, newestChild, rawHeaders, textOf, whoIs } from './sdk-client.ts';

/** What a program is held to; the demo's child is no forgejo-mcp, and says so in numbers. */
export interface ProgramUnderTest {
  /** Path of an executable that takes forgejo-mcp's arguments. */
  readonly path: () => string;
  readonly toolsMin: number;
}

const RESOURCE_NOT_FOUND = -32002;
const VERSION_API = '/api/v1/version';
const SERVER_NAME = 'Forgejo MCP Server';
const CAPABILITIES = { logging: {}, resources: {}, tools: { listChanged: true } };
const VERSION_TOOL = 'get_forgejo_mcp_server_version';

/** The requirements that forgejo-mcp meets behind the broker; to be called in a `describe`. */
export function forgejoMcpSuite(program: ProgramUnderTest): void {
  let system: TestSystem;
  let alice: DemoClient;
  const client = (): Client => alice.client;

  beforeAll(async () => {
    const childCommand = [program.path(), '--transport', 'stdio', '--url', '{forgejo_url}'];
    system = await startSystem({ config: { childCommand } });
    alice = await system.connected();
  });
  afterAll(() => system.stop());

  it('introduces itself as forgejo-mcp does', () => {
    expect(client().getServerVersion()?.name).toBe(SERVER_NAME);
    expect(client().getServerVersion()?.version).not.toBe('');
    expect(client().getServerCapabilities()).toEqual(CAPABILITIES);
  });

  it('asks the forge for its version twice at its start, and for nothing else', async () => {
    const before = system.forge.count(VERSION_API, 'GET');
    const earlier = system.forge.requests.length;
    const other = await anotherSession(alice);
    const asked = system.forge.requests.slice(earlier).map(({ path }) => path);
    expect(asked).toEqual([VERSION_API, VERSION_API]);
    expect(system.forge.count(VERSION_API, 'GET')).toBe(before + 2);
    await other.close();
  });

  it.each([
    ['2025-03-26', '2025-03-26'],
    ['2025-06-18', '2025-06-18'],
    ['2025-11-25', '2025-11-25'],
    ['2099-01-01', '2025-11-25'],
  ])('T25: asked for %s it agrees on %s', async (asked, agreed) => {
    const { sessionId, answer } = await initialize(system.mcpUrl, alice.memory, asked);
    expect(answer).toMatchObject({
      jsonrpc: '2.0',
      id: 'the first',
      result: { protocolVersion: agreed, capabilities: CAPABILITIES },
    });
    const headers = rawHeaders(alice.memory, sessionId);
    expect((await fetch(system.mcpUrl, { method: 'DELETE', headers })).status).toBe(204);
  });

  it(`lists ${program.toolsMin} tools or more, each with a title and true hints`, async () => {
    const { tools } = await client().listTools();
    expect(tools.length).toBeGreaterThanOrEqual(program.toolsMin);
    expect(tools.map(({ name }) => name)).toEqual(
      expect.arrayContaining([VERSION_TOOL, 'get_my_user_info', 'list_my_repos', 'create_issue']),
    );
    expect(new Set(tools.map(({ name }) => name)).size).toBe(tools.length);
    for (const tool of tools) {
      expect(tool.inputSchema.type).toBe('object');
      expect(tool.title).toBeString();
      expect(tool.annotations).toMatchObject({ title: tool.title ?? '', openWorldHint: true });
    }
    const hintsOf = (wanted: string) => tools.find(({ name }) => name === wanted)?.annotations;
    expect(hintsOf('get_my_user_info')).toMatchObject({
      readOnlyHint: true,
      destructiveHint: false,
    });
    expect(hintsOf('create_issue')).toMatchObject({ readOnlyHint: false, destructiveHint: false });
  });

  it('tells its version without the forge', async () => {
    const before = system.forge.requests.length;
    const result = (await client().callTool({ name: VERSION_TOOL })) as CallToolResult;
    expect(JSON.parse(textOf(result)).Result).toStartWith('Forgejo MCP Server version: ');
    expect(system.forge.requests.length).toBe(before);
  });

  it('works for the person who has signed in, and for nobody else', async () => {
    const bob = system.client('Of Bob');
    await bob.authorize(system.person({ login: 'bob', password: 'workshop' }));
    await bob.connect();
    expect(await Promise.all([whoIs(client()), whoIs(bob.client)])).toEqual(['alice', 'bob']);

    const issue = { owner: 'bob', repo: 'diary', title: 'dear diary', body: 'secret' };
    expect(await callFor<object>(bob.client, 'create_issue', issue)).toMatchObject({
      title: 'dear diary',
    });
    const list = { owner: 'bob', repo: 'diary', state: 'open', page: 1, limit: 10 };
    expect(await callFor<object[]>(bob.client, 'list_repo_issues', list)).toHaveLength(1);
    await expect(callFor(client(), 'list_repo_issues', list)).rejects.toMatchObject({
      code: ErrorCode.InternalError,
    });
    await bob.close();
  });

  it('answers twenty calls at once, each with its own answer', async () => {
    const titles = Array.from({ length: 20 }, (_, n) => `issue number ${n}`);
    const answers = await Promise.all(
      titles.map((title) => {
        const issue = { owner: 'alice', repo: 'garden', title, body: '' };
        return callFor<{ title: string }>(client(), 'create_issue', issue);
      }),
    );
    expect(answers.map(({ title }) => title)).toEqual(titles);
  });

  it('refuses what it does not have with the codes of MCP', async () => {
    const sdk = client();
    await sdk.ping();
    await sdk.setLoggingLevel('warning');
    // One after another: a refusal that nobody awaits yet would count as unhandled.
    const refusals: [() => Promise<unknown>, number][] = [
      [() => sdk.callTool({ name: 'no_such_tool' }), ErrorCode.InvalidParams],
      [() => sdk.callTool({ name: 'create_issue', arguments: {} }), ErrorCode.InternalError],
      [() => sdk.readResource({ uri: 'nothing://here' }), RESOURCE_NOT_FOUND],
      [() => sdk.subscribeResource({ uri: 'nothing://here' }), ErrorCode.MethodNotFound],
      [() => sdk.listPrompts(), ErrorCode.MethodNotFound],
      [() => sdk.request({ method: 'server/discover' }, ResultSchema), ErrorCode.MethodNotFound],
    ];
    for (const [ask, code] of refusals) await expect(ask()).rejects.toMatchObject({ code });
  });

  it('P6 S11: runs alone, without a token in its arguments, and exits with 0 at the end', async () => {
    const other = await anotherSession(alice);
    const pid = newestChild(system);
    expect(commandLine(pid)).toContain(`--url ${system.forge.url}`);
    // Forgejo's tokens are JWTs.
    expect(commandLine(pid)).not.toMatch(/eyJ[\w-]{10,}\./);
    await other.close();
    await untilGone(pid);
    expect(eventsOf(system, 'child.exited').find((exit) => exit.pid === pid)).toMatchObject({
      code: 0,
      signal: null,
      reason: 'closed',
    });
    expect(await whoIs(client())).toBe('alice');
  });

  it('B7: leaves when the forge is away, and its client is told to come later', async () => {
    system.forge.faults.set({ kind: 'refuse' });
    try {
      await expect(anotherSession(alice)).rejects.toMatchObject({ code: 503 });
    } finally {
      system.forge.faults.clear();
    }
    const back = await anotherSession(alice);
    expect(await whoIs(back.client)).toBe('alice');
    await back.close();
  });
}

/** One more session of the same client, with a program of its own. */
async function anotherSession({ mcpUrl, memory }: DemoClient): Promise<DemoClient> {
  const client = new DemoClient(mcpUrl.href, memory);
  await client.connect();
  return client;
}

/** Opens a session by hand, since the SDK asks for the newest version only. */
async function initialize(mcpUrl: string, memory: ClientMemory, protocolVersion: string) {
  const { authorization, 'content-type': contentType } = rawHeaders(memory, '');
  const response = await fetch(mcpUrl, {
    method: 'POST',
    headers: { authorization, 'content-type': contentType },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 'the first',
      method: 'initialize',
      params: { protocolVersion, capabilities: {}, clientInfo: { name: 'by hand', version: '1' } },
    }),
  });
  const answer: unknown = await response.json();
  return { sessionId: response.headers.get('mcp-session-id') ?? '', answer };
}
