import { afterEach, describe, expect, it } from 'bun:test';

const CHILD = new URL('../../app/demo/child.ts', import.meta.url).pathname;

interface Call {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | null;
  readonly userAgent: string | null;
  readonly body: string;
}

/** A forge that notes what it is asked and answers with `answer`. */
function forge(answer: (call: Call) => Response | Promise<Response>) {
  const calls: Call[] = [];
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const call = {
        method: request.method,
        path: pathname + search,
        authorization: request.headers.get('authorization'),
        userAgent: request.headers.get('user-agent'),
        body: await request.text(),
      };
      calls.push(call);
      return answer(call);
    },
  });
  cleanUp.push(() => server.stop(true));
  return { url: `http://127.0.0.1:${server.port}`, calls, stop: () => server.stop(true) };
}

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const clean of cleanUp.splice(0)) await clean();
});

function start(url: string, args = ['--transport', 'stdio', '--url', url]) {
  const subprocess = Bun.spawn([process.execPath, CHILD, ...args], {
    env: { FORGEJO_ACCESS_TOKEN: 'the-token', FORGEJO_URL: url, FORGEJO_USER_AGENT: 'agent/1' },
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  cleanUp.push(() => subprocess.kill());
  const lines = lineIterator(subprocess.stdout);
  return {
    subprocess,
    send: (message: unknown) =>
      void subprocess.stdin.write(
        `${typeof message === 'string' ? message : JSON.stringify(message)}\n`,
      ),
    next: async () => JSON.parse((await lines.next()).value as string),
  };
}

async function* lineIterator(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

const ask = (method: string, params?: object, id: number | string = 1) => ({
  jsonrpc: '2.0',
  id,
  method,
  params,
});

const version = () => Response.json({ version: '7.0.8' });

describe('the demo child at its start', () => {
  it('exits without a word on stdout when the forge is away, with colours on stderr', async () => {
    const { url, stop } = forge(version);
    await stop();
    const { subprocess } = start(url);
    expect(await new Response(subprocess.stdout).text()).toBe('');
    expect(await new Response(subprocess.stderr).text()).toContain('\x1b[31m');
    expect(await subprocess.exited).toBe(1);
  });

  it('asks the forge for its version twice before it answers', async () => {
    const { url, calls } = forge(version);
    const { send, next } = start(url);
    send(ask('ping'));
    expect(await next()).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
    expect(calls.map((call) => `${call.method} ${call.path}`)).toEqual([
      'GET /api/v1/version',
      'GET /api/v1/version',
    ]);
  });

  it('takes the forge from the environment where no argument names it', async () => {
    const { url, calls } = forge(version);
    const { send, next } = start(url, ['--transport', 'stdio']);
    send(ask('ping'));
    await next();
    expect(calls).toHaveLength(2);
  });

  it('exits with 0 at the end of stdin', async () => {
    const { url } = forge(version);
    const { subprocess, send, next } = start(url);
    send(ask('ping'));
    await next();
    subprocess.stdin.end();
    expect(await subprocess.exited).toBe(0);
  });
});

describe("the demo child's protocol", () => {
  it('negotiates the versions that forgejo-mcp knows, a second time too', async () => {
    const { send, next } = start(forge(version).url);
    const outcomes = [
      ['2024-11-05', '2024-11-05'],
      ['2025-03-26', '2025-03-26'],
      ['2025-06-18', '2025-06-18'],
      ['2025-11-25', '2025-11-25'],
      ['2026-07-28', '2025-11-25'],
    ];
    for (const [asked, answered] of outcomes) {
      send(ask('initialize', { protocolVersion: asked }));
      expect((await next()).result).toMatchObject({
        protocolVersion: answered,
        capabilities: { logging: {}, resources: {}, tools: { listChanged: true } },
        serverInfo: { name: 'Forgejo MCP Server' },
      });
    }
  });

  it('answers what it does not have with the codes of forgejo-mcp', async () => {
    const { send, next } = start(forge(version).url);
    const outcomes = [
      ['server/discover', {}, -32601],
      ['prompts/list', {}, -32601],
      ['resources/subscribe', { uri: 'x:y' }, -32601],
      ['resources/read', { uri: 'x:y' }, -32002],
      ['tools/call', { name: 'no_such_tool' }, -32602],
      ['tools/call', { name: 'constructor' }, -32602],
    ] as const;
    for (const [method, params, code] of outcomes) {
      send(ask(method, params));
      expect(await next()).toMatchObject({ id: 1, error: { code } });
    }
  });

  it('answers garbage and arrays with -32700 and the id null, and no notification', async () => {
    const { send, next } = start(forge(version).url);
    for (const line of ['garbage', [ask('ping')]]) {
      send(line);
      expect(await next()).toMatchObject({ id: null, error: { code: -32700 } });
    }
    send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    send(ask('ping', undefined, 'after'));
    expect((await next()).id).toBe('after');
  });

  it('lists five tools that all look destructive', async () => {
    const { send, next } = start(forge(version).url);
    send(ask('tools/list'));
    const { tools } = (await next()).result;
    expect(tools.map((tool: { name: string }) => tool.name)).toEqual([
      'get_forgejo_mcp_server_version',
      'get_my_user_info',
      'list_my_repos',
      'list_repo_issues',
      'create_issue',
    ]);
    for (const tool of tools) {
      expect(tool.annotations).toEqual({
        readOnlyHint: false,
        destructiveHint: true,
        idempotentHint: false,
        openWorldHint: true,
      });
    }
  });
});

describe("the demo child's tools", () => {
  const call = (name: string, args: object = {}, id: number | string = 1) =>
    ask('tools/call', { name, arguments: args }, id);

  it('ask the forge as the person whose token it has', async () => {
    const { url, calls } = forge(({ path }) => Response.json({ path }));
    const { send, next } = start(url);
    const repo = { owner: 'ann', repo: 'a/b' };
    const outcomes = [
      ['get_my_user_info', {}, 'GET /api/v1/user'],
      ['list_my_repos', { page: 2, limit: 5 }, 'GET /api/v1/user/repos?page=2&limit=5'],
      [
        'list_repo_issues',
        { ...repo, state: 'open' },
        'GET /api/v1/repos/ann/a%2Fb/issues?state=open',
      ],
      ['create_issue', { ...repo, title: 't', body: 'ž' }, 'POST /api/v1/repos/ann/a%2Fb/issues'],
    ] as const;
    for (const [name, args, expected] of outcomes) {
      send(call(name, args));
      const { result } = await next();
      const last = calls.at(-1);
      expect(`${last?.method} ${last?.path}`).toBe(expected);
      expect(last).toMatchObject({ authorization: 'token the-token', userAgent: 'agent/1' });
      expect(JSON.parse(result.content[0].text).Result.path).toStartWith('/api/v1/');
    }
    expect(JSON.parse(calls.at(-1)?.body ?? '')).toEqual({ title: 't', body: 'ž' });
  });

  it('tell of a refusal and of missing arguments in a JSON-RPC error', async () => {
    const { send, next } = start(
      forge(({ path }) =>
        path.endsWith('version') ? version() : new Response('', { status: 401 }),
      ).url,
    );
    send(call('get_my_user_info'));
    expect((await next()).error).toEqual({
      code: -32603,
      message: 'the forge answered 401 to GET /user',
    });
    send(call('create_issue', { owner: 'ann' }));
    expect((await next()).error).toEqual({
      code: -32603,
      message: 'missing arguments: repo, title',
    });
  });

  it('answer out of order, the version without the forge', async () => {
    const gate = Promise.withResolvers<void>();
    const { url } = forge(async ({ path }) => {
      if (path.endsWith('/user')) await gate.promise;
      return version();
    });
    const { send, next } = start(url);
    send(call('get_my_user_info', {}, 'slow'));
    send(call('get_forgejo_mcp_server_version', {}, 'quick'));
    expect((await next()).id).toBe('quick');
    gate.resolve();
    expect((await next()).id).toBe('slow');
  });
});
