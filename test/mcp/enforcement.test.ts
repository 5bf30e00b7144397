import { describe, expect, it } from 'bun:test';
import type { Permission } from '../../app/tools/permission.ts';
import { SCOPES, scopeText } from '../../app/tools/scopes.ts';
import { FORGEJO_MCP_TOOLS } from '../fixture/forgejo-mcp-tools.ts';
import { plainArguments } from '../fixture/plain-arguments.ts';
import { reviewedCatalogue } from '../support/catalogue.ts';
import { settled } from '../support/session-registry.ts';
import { answerOf, enforced, messagesOf } from './enforced.ts';
import { ALICE, ORIGIN, tokenNamed } from './harness.ts';

const OTHER_TOKEN = tokenNamed('other');

type Enforced = Awaited<ReturnType<typeof enforced>>;

async function listed(system: Enforced): Promise<readonly string[]> {
  const { result } = await answerOf(await system.ask('tools/list'));
  return (result as { readonly tools: readonly { readonly name: string }[] }).tools.map(
    ({ name }) => name,
  );
}

/** Whether the child saw the call; what is not refused must reach it, and nothing else may. */
async function reaches(system: Enforced, name: string, args: object): Promise<boolean> {
  system.seen();
  const response = await system.call(name, args);
  const answer = await answerOf(response);
  const seen = system.seen().includes('tools/call');
  expect(seen).toBe(response.status === 200 && answer.error === undefined);
  return seen;
}

const CHOICES: readonly Partial<Permission>[] = [
  ...SCOPES.map((scope) => ({ scope })),
  { toolsets: ['issues', 'wiki'] },
  { scope: 'forgejo:write', toolsets: ['organizations'] },
  { targets: ['plain', 'plain/*'] },
  { scope: 'forgejo:read', targets: ['plain/*'] },
];

describe('every tool', () => {
  for (const permission of CHOICES) {
    it(`is listed if, and only if, it can be called, with ${JSON.stringify(permission)}`, async () => {
      const system = await enforced();
      system.allow(permission);
      const shown = await listed(system);
      expect(shown.length).toBeGreaterThan(0);
      expect(shown).toEqual(shown.toSorted());
      for (const { name, required } of FORGEJO_MCP_TOOLS) {
        const args = plainArguments(required, { owner: 'plain', organization: 'plain' });
        const called = await reaches(system, name, args);
        expect({ name, called }).toEqual({ name, called: shown.includes(name) });
      }
    });
  }
});

describe('a scope that is too small (RFC 6750 section 3.1)', () => {
  it('B3: is 403 with all that is needed at once, and where to get it', async () => {
    const system = await enforced();
    system.allow({ scope: 'forgejo:read' });
    const response = await system.call('delete_org', { org: 'acme' });
    expect(response.status).toBe(403);
    const challenge = response.headers.get('www-authenticate');
    expect(challenge).toContain('Bearer error="insufficient_scope"');
    expect(challenge).toContain(`scope="${scopeText('forgejo:delete')}"`);
    expect(challenge).toContain(
      `resource_metadata="${ORIGIN}/.well-known/oauth-protected-resource/mcp"`,
    );
    const { id, error } = await answerOf(response);
    expect(id).toBe(1);
    expect((error as { message: string }).message).toStartWith(
      'this needs forgejo:delete; the connection has forgejo:read; ',
    );
  });

  it('B3: asks for no more than is needed', async () => {
    const system = await enforced();
    system.allow({ scope: 'forgejo:read' });
    const response = await system.call('create_issue', { owner: 'a', repo: 'b', title: 't' });
    expect(response.headers.get('www-authenticate')).toContain(
      'scope="forgejo:read forgejo:write"',
    );
  });

  it('B3: is that of the token when that is the smaller one', async () => {
    const system = await enforced();
    system.allow({}, 'forgejo:read');
    expect((await system.call('delete_org', { org: 'a' })).status).toBe(403);
  });

  it('B3: is 403 for a token that allows nothing here', async () => {
    const system = await enforced();
    system.store.put(ALICE, { scope: 'offline_access' });
    const response = await system.call('get_org', { org: 'a' });
    expect(response.status).toBe(403);
    expect(response.headers.get('www-authenticate')).toContain('insufficient_scope');
  });

  it('B3: of a batch is that of its most demanding call, and nothing of it is done', async () => {
    const system = await enforced({ version: '2025-03-26' });
    system.allow({ scope: 'forgejo:read' });
    const call = (id: number, name: string, args: object) => ({
      ...{ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } },
    });
    system.seen();
    const response = await system.send([
      call(1, 'get_org', { org: 'a' }),
      call(2, 'delete_org', { org: 'a' }),
      call(3, 'create_org', { name: 'a' }),
    ]);
    expect(response.status).toBe(403);
    expect(response.headers.get('www-authenticate')).toContain(scopeText('forgejo:delete'));
    expect((await answerOf(response)).id).toBeNull();
    expect(system.seen()).toEqual([]);
  });

  it('is no challenge when the administrator allows nobody more', async () => {
    const system = await enforced();
    system.operator.maxScope = 'forgejo:read';
    const response = await system.call('delete_org', { org: 'acme' });
    expect(response.status).toBe(200);
    expect((await answerOf(response)).error).toMatchObject({
      message: 'this needs forgejo:delete, and the administrator allows no more than forgejo:read',
    });
  });
});

describe('what no scope helps with', () => {
  it('S9: is a JSON-RPC error under the id of the call, and starts no child', async () => {
    const system = await enforced();
    system.allow({ targets: ['acme/*'] });
    system.endChild();
    system.seen();
    const started = system.children();
    const response = await system.call('list_repo_issues', { owner: 'other', repo: 'secret' });
    expect(response.status).toBe(200);
    const { id, error } = await answerOf(response);
    expect(id).toBe(1);
    expect((error as { message: string }).message).toStartWith(
      'this connection may not touch other/secret; ',
    );
    expect(system.children()).toBe(started);
  });

  it('of a batch is told of that call, and the others are done', async () => {
    const system = await enforced({ version: '2025-03-26' });
    system.allow({ targets: ['acme/*'] });
    const read = (id: number, owner: string) => ({
      ...{ jsonrpc: '2.0', id, method: 'tools/call' },
      params: { name: 'list_repo_issues', arguments: { owner, repo: 'site' } },
    });
    system.seen();
    const response = await system.send([read(1, 'acme'), read(2, 'other'), read(3, 'ACME')]);
    const answers = (await response.json()) as { id: number; error?: unknown }[];
    const refused = answers.filter(({ error }) => error !== undefined).map(({ id }) => id);
    expect(refused).toEqual([2]);
    expect(answers.map(({ id }) => id).toSorted()).toEqual([1, 2, 3]);
    expect(system.seen()).toEqual(['tools/call', 'tools/call']);
  });

  it('[CVE-2026-61560] is a file of the machine, whatever the scope', async () => {
    const system = await enforced();
    const args = { owner: 'a', repo: 'b', index: 1, file_path: '/proc/self/environ' };
    expect(await reaches(system, 'create_issue_attachment', args)).toBe(false);
    const shown = (await answerOf(await system.ask('tools/list'))).result as {
      readonly tools: readonly { readonly name: string; readonly inputSchema: unknown }[];
    };
    const offering = shown.tools.filter((tool) => JSON.stringify(tool).includes('"file_path"'));
    expect(offering.map(({ name }) => name)).toEqual(['get_pull_request_diff']);
  });

  it('[GHSA-4rm9-rfp2-j39q] is a call with two readings, in text that nobody parsed twice', async () => {
    const system = await enforced();
    system.allow({ targets: ['acme/*'] });
    const right = '"params":{"name":"get_org_label","arguments":{"owner":"acme"}}';
    const shapes = [
      `{"jsonrpc":"2.0","id":1,"method":"tools/call",${right},${right}}`,
      `{"jsonrpc":"2.0","id":1,"method":"tools/call",${right},"Params":{}}`,
      `{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call",${right}}`,
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_branches",' +
        '"arguments":{"owner":"acme","repo":"a","owner":"other"}}}',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_branches",' +
        '"arguments":{"owner":"acme","repo":"a"},"Arguments":{"owner":"other","repo":"a"}}}',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["list_branches"]}',
    ];
    for (const shape of shapes) {
      system.seen();
      const answer = await answerOf(await system.send(shape));
      expect(answer.error).toBeDefined();
      expect(system.seen()).toEqual([]);
    }
  });

  it('[GHSA-4rm9-rfp2-j39q] are resources and prompts, for whoever has chosen', async () => {
    const system = await enforced();
    system.allow({ targets: ['acme/*'] });
    system.seen();
    for (const [method, member] of [
      ['resources/list', 'resources'],
      ['resources/templates/list', 'resourceTemplates'],
      ['prompts/list', 'prompts'],
    ] as const) {
      expect((await answerOf(await system.ask(method))).result).toEqual({ [member]: [] });
    }
    const uri = 'forgejo://acme/site';
    for (const method of ['resources/read', 'resources/subscribe', 'prompts/get']) {
      expect((await answerOf(await system.ask(method, { uri, name: 'x' }))).error).toBeDefined();
    }
    expect(system.seen()).toEqual([]);
    system.allow({ scope: 'forgejo:read' });
    expect((await answerOf(await system.ask('resources/read', { uri }))).result).toBeDefined();
  });

  it('is a call without an id too, which has no answer of its own', async () => {
    const system = await enforced();
    system.allow({ targets: ['acme/*'] });
    system.seen();
    const params = { name: 'list_branches', arguments: { owner: 'other', repo: 'x' } };
    const response = await system.send({ jsonrpc: '2.0', method: 'tools/call', params });
    expect(response.status).toBe(400);
    expect(system.seen()).toEqual([]);
  });
});

describe('[GHSA-mvgg-jvj2-4frq] a session', () => {
  it('is judged at every call, whatever held when it was opened', async () => {
    const system = await enforced();
    expect(await reaches(system, 'delete_org', { org: 'a' })).toBe(true);
    system.allow({ scope: 'forgejo:read' });
    expect(await reaches(system, 'delete_org', { org: 'a' })).toBe(false);
    system.allow({});
    expect(await reaches(system, 'delete_org', { org: 'a' })).toBe(true);
    system.operator.maxScope = 'forgejo:write';
    expect(await reaches(system, 'delete_org', { org: 'a' })).toBe(false);
    expect(await listed(system)).not.toContain('delete_org');
  });

  it('allows each token what that one holds, also when both use it at the same time', async () => {
    const system = await enforced();
    system.store.put(OTHER_TOKEN, { grantId: 'grant-2', scope: 'forgejo:read' });
    for (let time = 0; time < 3; time += 1) {
      const [wide, narrow] = await Promise.all([
        system.call('delete_org', { org: 'a' }),
        system.call('delete_org', { org: 'a' }, { token: OTHER_TOKEN }),
      ]);
      expect([wide.status, narrow.status]).toEqual([200, 403]);
    }
  });

  it('refuses everything under a grant whose permission cannot be read', async () => {
    const system = await enforced();
    system.store.put(ALICE, { permission: '{"scope":"forgejo:everything"}' });
    system.seen();
    expect((await system.ask('tools/list')).status).toBe(500);
    expect(system.seen()).toEqual([]);
  });

  it('keeps all of a grant from before, cut by the ceiling', async () => {
    const system = await enforced();
    system.store.put(ALICE, { permission: null });
    expect(await listed(system)).toHaveLength(reviewedCatalogue().names.length);
    system.operator.maxScope = 'forgejo:read';
    expect(await reaches(system, 'create_org', { name: 'a' })).toBe(false);
  });
});

describe('[GHSA-mvgg-jvj2-4frq] a call that has to wait for its child', () => {
  /** Begins a call, and lets its child start when `meanwhile` is done. */
  async function waits(meanwhile: (system: Enforced) => void, batch = false) {
    const system = await enforced(batch ? { version: '2025-03-26' } : {});
    system.endChild();
    await settled();
    system.seen();
    const { promise, resolve } = Promise.withResolvers<void>();
    system.forge.gate = promise;
    const params = { name: 'delete_org', arguments: { org: 'a' } };
    const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params };
    const pending = system.send(batch ? [call, { ...call, id: 2, method: 'tools/list' }] : call);
    await settled();
    meanwhile(system);
    resolve();
    const response = await pending;
    return { response, seen: system.seen() };
  }

  it('reaches it when nothing has changed', async () => {
    const { response, seen } = await waits(() => undefined);
    expect(response.status).toBe(200);
    expect(seen).toContain('tools/call');
  });

  it('is judged again by a permission that became less', async () => {
    for (const batch of [false, true]) {
      const { response, seen } = await waits((system) => {
        system.allow({ scope: 'forgejo:read' });
      }, batch);
      expect(response.status).toBe(403);
      expect(seen).toContain('initialize');
      expect(seen).not.toContain('tools/call');
    }
  });

  it('is refused when its grant has ended', async () => {
    const { response, seen } = await waits((system) => {
      system.store.put(ALICE, { grantEnded: true });
    });
    expect(response.status).toBe(401);
    expect(seen).not.toContain('tools/call');
  });
});

describe('what a session has been told to remember', () => {
  const SUBSCRIBE = 'resources/subscribe';

  it('[GHSA-mvgg-jvj2-4frq] is judged anew when the next child is told of it', async () => {
    const system = await enforced();
    await system.ask('logging/setLevel', { level: 'warning' });
    await system.ask(SUBSCRIBE, { uri: 'forgejo://a' });
    const told = async () => {
      system.seen();
      system.endChild();
      await settled();
      await listed(system);
      return system.seen();
    };
    expect(await told()).toContain(SUBSCRIBE);
    system.allow({ targets: ['acme/*'] });
    const narrowed = await told();
    expect(narrowed).toContain('logging/setLevel');
    expect(narrowed).not.toContain(SUBSCRIBE);
    // Another grant of the same client may have it again.
    system.allow({});
    expect(await told()).toContain(SUBSCRIBE);
  });
});

describe('a permission that was lowered', () => {
  const CHANGED = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };

  async function listening(system: Enforced) {
    const response = await system.send(undefined, { method: 'GET' });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    return async () => {
      let text = '';
      while (messagesOf(text).length === 0) {
        const read = await reader?.read();
        if (read?.value === undefined) return undefined;
        text += read.value;
      }
      return messagesOf(text)[0];
    };
  }

  it('is told by list-changed to whoever listens, and the next list is smaller', async () => {
    const system = await enforced();
    const before = await listed(system);
    const hears = await listening(system);
    system.allow({ scope: 'forgejo:read' });
    const refused = await system.call('delete_org', { org: 'a' });
    expect(refused.status).toBe(403);
    expect(await hears()).toEqual(CHANGED);
    expect((await listed(system)).length).toBeLessThan(before.length);
  });

  it('is told when the ceiling was lowered', async () => {
    const system = await enforced();
    const hears = await listening(system);
    system.operator.maxScope = 'forgejo:read';
    await system.ask('ping');
    expect(await hears()).toEqual(CHANGED);
  });

  it('is told once', async () => {
    const system = await enforced();
    const hears = await listening(system);
    system.allow({ scope: 'forgejo:read' });
    for (let time = 0; time < 3; time += 1) await system.ask('ping');
    expect(await hears()).toEqual(CHANGED);
    system.allow({ toolsets: ['wiki'] });
    await system.ask('ping');
    expect(await hears()).toEqual(CHANGED);
  });

  it('is told while there is no child', async () => {
    const system = await enforced();
    const hears = await listening(system);
    system.endChild();
    system.allow({ scope: 'forgejo:read' });
    await system.ask('ping');
    expect(await hears()).toEqual(CHANGED);
  });
});

describe('the log', () => {
  it('says who was refused what and why, and no value of an argument', async () => {
    const system = await enforced();
    system.allow({ scope: 'forgejo:read', targets: ['acme/*'] });
    const secret = 'canary-argument';
    await system.call('create_issue', { owner: 'acme', repo: 'site', title: secret });
    await system.call('list_branches', { owner: 'Other', repo: 'x', page: secret });
    const who = {
      ...{ level: 'info', login: 'alice', client: 'client-1', grant: 'grant-alice' },
      ...{ method: 'tools/call', has: 'forgejo:read' },
    };
    const [first, second] = system.memory.of('call.refused');
    expect(first).toMatchObject({
      ...{ ...who, tool: 'create_issue', toolset: 'issues', reason: 'scope' },
      needs: 'forgejo:write',
    });
    expect(second).toMatchObject({
      ...{ ...who, tool: 'list_branches', toolset: 'contents', reason: 'target' },
      targets: ['Other/x'],
    });
    expect(first?.session).toMatch(/^[\w-]{8}$/);
    expect(system.memory.text()).not.toContain(secret);
    const counted = await system.metrics.registry.getSingleMetricAsString(
      'fjmcp_calls_refused_total',
    );
    expect(counted).toContain('fjmcp_calls_refused_total{reason="scope"} 1');
    expect(counted).toContain('fjmcp_calls_refused_total{reason="target"} 1');
  });

  it('says what the call took, which can be more than its tool takes at least', async () => {
    const system = await enforced();
    system.operator.maxScope = 'forgejo:write';
    const merge = { owner: 'acme', repo: 'site', index: 1, style: 'merge', force_merge: true };
    await system.call('merge_pull_request', merge);
    await system.call('launch');
    system.allow({ toolsets: ['wiki'] });
    await system.call('launch');
    const needs = 'forgejo:delete';
    expect(system.memory.of('call.refused')).toMatchObject([
      { tool: 'merge_pull_request', reason: 'ceiling', has: 'forgejo:write', needs },
      { tool: 'launch', reason: 'ceiling', has: 'forgejo:write', needs },
      { tool: 'launch', reason: 'toolset', needs },
    ]);
  });

  it('names a tool that nobody has reviewed once, and no more than so many', async () => {
    const tools = { tools: [{ name: 'launch' }] };
    const system = await enforced({ tools: () => tools });
    await system.ask('tools/list');
    await system.call('launch');
    await system.call('launch');
    expect(system.memory.of('tool.unreviewed')).toMatchObject([
      { level: 'warn', tool: 'launch', needs: 'forgejo:delete' },
    ]);
    for (let made = 0; made < 300; made += 1) await system.call(`made-up-${made}`);
    expect(system.memory.of('tool.unreviewed')).toHaveLength(256);
  });

  it('holds no more of a made-up name than a line can bear', async () => {
    const system = await enforced();
    system.allow({ scope: 'forgejo:read' });
    const long = 'x'.repeat(100_000);
    await system.call(long);
    await system.ask(long);
    for (const entry of system.memory.entries()) {
      expect(JSON.stringify(entry).length).toBeLessThan(1000);
    }
  });
});

describe('an answer to tools/list', () => {
  it('that is no list is an error of ours', async () => {
    const system = await enforced({ tools: () => ({ tools: 'none' }) });
    const { id, error } = await answerOf(await system.ask('tools/list'));
    expect(id).toBe(1);
    expect(error).toMatchObject({ code: -32603, message: 'the program gave no list of tools' });
  });

  it('is narrowed in a batch too', async () => {
    const system = await enforced({ version: '2025-03-26' });
    system.allow({ scope: 'forgejo:read' });
    const response = await system.send([
      { jsonrpc: '2.0', id: 1, method: 'tools/list' },
      { jsonrpc: '2.0', id: 2, method: 'ping' },
    ]);
    const answers = (await response.json()) as { id: number; result: unknown }[];
    const list = answers.find(({ id }) => id === 1)?.result;
    expect(JSON.stringify(list)).toContain('"get_org"');
    expect(JSON.stringify(list)).not.toContain('"delete_org"');
  });
});
