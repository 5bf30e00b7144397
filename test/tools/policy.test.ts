import { describe, expect, it } from 'bun:test';
import { allowedBy, decideMessage, type MethodDecision } from '../../app/tools/methods.ts';
import { EVERYTHING, type Permission, serializePermission } from '../../app/tools/permission.ts';
import { type Allowance, type Decision, decideCall } from '../../app/tools/policy.ts';
import { FULL_SCOPE, SCOPES, scopeAllows } from '../../app/tools/scopes.ts';
import { TOOLSETS } from '../../app/tools/toolsets.ts';
import { FORGEJO_MCP_TOOLS } from '../fixture/forgejo-mcp-tools.ts';
import { plainArguments } from '../fixture/plain-arguments.ts';
import { reviewedCatalogue } from '../support/catalogue.ts';

const catalogue = reviewedCatalogue();

function allowance(permission: Partial<Permission>, ceiling = FULL_SCOPE): Allowance {
  return { permission: { ...EVERYTHING, ...permission }, ceiling };
}

function decide(name: string, args: unknown, permission: Partial<Permission> = {}): Decision {
  const params = { name, arguments: args };
  const text = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
  return decideCall({ params, text }, allowance(permission), catalogue);
}

/** Decides about the exact text of a call. */
function decideText(params: string, permission: Partial<Permission> = {}): Decision {
  const text = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`;
  const parsed: unknown = JSON.parse(params);
  return decideCall({ params: parsed, text }, allowance(permission), catalogue);
}

function reasonOf(decision: MethodDecision): string {
  return decision.kind === 'refused' ? decision.reason : decision.kind;
}

describe('a call of each tool', () => {
  for (const scope of SCOPES) {
    it(`is allowed under ${scope} as the catalogue says`, () => {
      for (const { name, required } of FORGEJO_MCP_TOOLS) {
        const needed = catalogue.find(name)?.scope ?? FULL_SCOPE;
        const decision = decide(name, plainArguments(required), { scope });
        expect({ name, kind: decision.kind }).toEqual({
          name,
          kind: scopeAllows(scope, needed) ? 'allowed' : 'insufficient_scope',
        });
        if (decision.kind === 'insufficient_scope') expect(decision.needed).toBe(needed);
      }
    });
  }

  for (const toolset of TOOLSETS) {
    it(`is allowed with ${toolset} alone when it belongs to it`, () => {
      for (const { name, required } of FORGEJO_MCP_TOOLS) {
        const own = catalogue.find(name)?.toolset;
        const decision = decide(name, plainArguments(required), { toolsets: [toolset] });
        const allowed = own === toolset || own === 'any';
        expect({ name, got: reasonOf(decision) }).toEqual({
          name,
          got: allowed ? 'allowed' : 'toolset',
        });
      }
    });
  }

  it('is allowed in the repositories and organisations chosen, and refused in any other', () => {
    for (const { name, required } of FORGEJO_MCP_TOOLS) {
      const tool = catalogue.find(name);
      const args = plainArguments(required, {
        ...{ owner: 'Acme', repo: 'Site', org: 'Acme', user: 'Acme', organization: 'acme' },
        name: name === 'create_repo' || name === 'fork_repo' ? 'site' : 'acme',
      });
      const targets = ['acme', 'acme/*'];
      const inside = decide(name, args, { targets });
      const outside = decide(name, args, { targets: ['other', 'other/*', 'acme2/*', 'acm/*'] });
      const told = tool?.target.kind;
      expect({ name, got: reasonOf(inside) }).toEqual({
        name,
        got: told === 'unknown' ? 'target' : 'allowed',
      });
      expect({ name, got: reasonOf(outside) }).toEqual({
        name,
        got: told === 'none' ? 'allowed' : 'target',
      });
    }
  });
});

describe('a call that nobody has reviewed', () => {
  it('is refused below delete', () => {
    expect(decide('launch_rocket', {}, { scope: 'forgejo:read' })).toMatchObject({
      kind: 'insufficient_scope',
      needed: 'forgejo:delete',
    });
    expect(decide('launch_rocket', {}, { scope: 'forgejo:write' }).kind).toBe('insufficient_scope');
    expect(decide('launch_rocket', {}).kind).toBe('allowed');
  });

  it('is refused to whoever has chosen toolsets or targets, and no scope would help', () => {
    expect(reasonOf(decide('launch_rocket', {}, { toolsets: [...TOOLSETS] }))).toBe('toolset');
    const args = { owner: 'acme', repo: 'site' };
    expect(reasonOf(decide('launch_rocket', args, { targets: ['acme/*'] }))).toBe('target');
  });

  it('is not the tool whose name it resembles', () => {
    for (const name of ['Get_org', 'get_org ', 'get_org\0', '__proto__', 'constructor', '']) {
      expect(decide(name, {}, { scope: 'forgejo:write' }).kind).toBe('insufficient_scope');
    }
  });
});

describe('arguments that raise what a call needs', () => {
  const merge = (more: object) =>
    decide(
      'merge_pull_request',
      { owner: 'a', repo: 'b', index: 1, style: 'merge', ...more },
      { scope: 'forgejo:write' },
    );

  it('let a plain merge pass as writing', () => {
    for (const more of [{}, { force_merge: false }, { force_merge: null }]) {
      expect(merge(more).kind).toBe('allowed');
    }
  });

  it('need delete in every shape that a child could take for true', () => {
    for (const value of [true, 1, 'true', 'TRUE', 't', [], {}, 'false']) {
      for (const name of ['force_merge', 'delete_branch_after_merge']) {
        expect(merge({ [name]: value })).toMatchObject({ needed: 'forgejo:delete' });
      }
    }
  });

  it('are refused when their name is spelt another way', () => {
    expect(reasonOf(merge({ Force_Merge: true }))).toBe('malformed');
  });
});

describe('[CVE-2026-61560] arguments that read the files of the machine', () => {
  const tools = ['create_comment_attachment', 'create_issue_attachment'];
  for (const name of [...tools, 'create_release_attachment']) {
    it(`are refused for ${name} under every scope`, () => {
      for (const scope of SCOPES) {
        for (const value of ['/etc/passwd', 'x', 1, ['/etc/passwd'], { a: 1 }, true]) {
          const args = { owner: 'a', repo: 'b', index: 1, release_id: 1, file_path: value };
          expect(reasonOf(decide(name, args, { scope }))).toBe('host_file');
        }
      }
      for (const spelling of ['File_Path', 'FILE_PATH', 'file_\u0070ath'.toUpperCase()]) {
        expect(reasonOf(decide(name, { owner: 'a', repo: 'b', [spelling]: 'x' }))).toBe(
          'malformed',
        );
      }
    });
  }

  it('leave paths in a repository alone', () => {
    const args = { owner: 'a', repo: 'b', index: 1, file_path: 'src/main.go' };
    expect(decide('get_pull_request_diff', args).kind).toBe('allowed');
    const file = { owner: 'a', repo: 'b', ref: 'main', filePath: 'docs/a.md' };
    expect(decide('get_file_content', file).kind).toBe('allowed');
  });
});

describe('[GHSA-5648-rgj9-v224] arguments that lead out of their place in an address', () => {
  const read = (more: object, permission: Partial<Permission> = {}) =>
    reasonOf(
      decide(
        'get_file_content',
        { owner: 'acme', repo: 'site', ref: 'main', filePath: 'a', ...more },
        permission,
      ),
    );

  it('are refused whatever the permission', () => {
    const away = ['..', '../x', 'a/../../b', 'a/..', '%2e%2e/x', '..%2fx', '%252e%252e%252fx'];
    const odd = ['..\\x', 'a\\..\\b', '.\t./x', '.%2E%2Fx', 'a/%2e./b', '..%5cx', '%25252e%2e/x'];
    for (const filePath of [...away, ...odd]) {
      expect({ filePath, got: read({ filePath }) }).toEqual({ filePath, got: 'address' });
    }
    expect(read({ ref: '../../x' })).toBe('address');
    expect(read({ more: { deep: [['../x']] } })).toBe('address');
    for (const owner of ['a/b', 'a%2fb', '..', '.', 'a\\b', 'a?b', 'a#b', ' a', 1, ['a'], {}]) {
      expect({ owner, got: read({ owner }) }).toEqual({ owner, got: 'address' });
    }
  });

  it('are not taken for what only looks like it', () => {
    for (const filePath of [
      'a..b',
      '...',
      'a/...',
      '.',
      './a',
      '.github/x',
      '100%',
      'a/..b',
      '%2e',
    ]) {
      expect({ filePath, got: read({ filePath }) }).toEqual({ filePath, got: 'allowed' });
    }
    const issue = { owner: 'a', repo: 'b', title: 'see ../x', body: 'cd .. && ls ../..' };
    expect(decide('create_issue', issue).kind).toBe('allowed');
  });

  it('are found in a value as deep and as wide as there can be', () => {
    const deep = `${'['.repeat(50_000)}"../x"${']'.repeat(50_000)}`;
    const wide = `[${'1,'.repeat(300_000)}"../x"]`;
    for (const value of [deep, wide]) {
      const args = `{"owner":"a","repo":"b","ref":"r","filePath":"f","x":${value}}`;
      expect(reasonOf(decideText(`{"name":"get_file_content","arguments":${args}}`))).toBe(
        'address',
      );
    }
  });
});

describe('a call that two readers could take differently', () => {
  const targets = ['acme/*'];
  const call = (args: string) => `{"name":"get_repo_label","arguments":${args}}`;

  it('is refused', () => {
    const shapes = [
      '{"name":"get_org","name":"delete_org","arguments":{}}',
      '{"name":"get_org","Name":"delete_org","arguments":{}}',
      '{"name":"get_org","n\\u0061me":"delete_org","arguments":{}}',
      '{"name":"get_org","arguments":{"org":"acme"},"arguments":{"org":"x"}}',
      '{"name":"get_org","arguments":{"org":"acme"},"ARGUMENTS":{"org":"x"}}',
      call('{"owner":"acme","repo":"site","owner":"x","id":1}'),
      call('{"owner":"acme","repo":"site","Owner":"x","id":1}'),
      call('{"OWNER":"acme","repo":"site","id":1}'),
      call('{"owner":"acme","repo":"site","id":1,"id":2}'),
      call('{"owner":"acme","repo":"site","id":{"deep":[{"a":1,"a":2}]}}'),
      call('{"owner":"acme","repo":"site","\\u006fwner":"x","id":1}'),
    ];
    for (const params of shapes) {
      expect({ params, got: reasonOf(decideText(params)) }).toEqual({ params, got: 'malformed' });
    }
  });

  it('is refused when there are two params', () => {
    const org = (name: string) => `"params":{"name":"get_org","arguments":{"org":"${name}"}}`;
    const params = { name: 'get_org', arguments: { org: 'acme' } };
    const message = { params, text: `{${org('other')},${org('acme')}}` };
    expect(reasonOf(decideCall(message, allowance({}), catalogue))).toBe('malformed');
  });

  it('is not one that has a member of its own beside the params, or a text full of quotes', () => {
    const args = { owner: 'acme', repo: 'site', title: '"a": "b", \\"c\\": \\\\', body: '{"a":1}' };
    expect(decide('create_issue', args).kind).toBe('allowed');
    const params = { name: 'create_issue', arguments: args };
    const text = JSON.stringify({ params, extra: { a: 1 }, more: '"x":' });
    expect(decideCall({ params, text }, allowance({}), catalogue).kind).toBe('allowed');
  });

  it('is refused when it is no call at all', () => {
    for (const params of ['[]', '["get_org"]', '{}', '{"name":1}', '{"name":["get_org"]}']) {
      expect(reasonOf(decideText(params))).toBe('malformed');
    }
    for (const args of ['[]', '"x"', '1', 'true']) {
      expect(reasonOf(decideText(call(args)))).toBe('malformed');
    }
  });

  it('does not look for its arguments elsewhere', () => {
    const nested = '{"arguments":{"owner":"acme","repo":"site"},"id":1}';
    expect(reasonOf(decideText(call(nested), { targets }))).toBe('target');
    const outside = '{"name":"get_repo_label","owner":"acme","repo":"site"}';
    expect(reasonOf(decideText(outside, { targets }))).toBe('target');
  });
});

describe('[GHSA-4rm9-rfp2-j39q] targets', () => {
  it('are both ends of a fork', () => {
    const fork = (args: object, targets: readonly string[]) =>
      reasonOf(decide('fork_repo', args, { targets }));
    const both = { user: 'acme', repo: 'site', organization: 'lab' };
    expect(fork(both, ['acme/*', 'lab/site'])).toBe('allowed');
    expect(fork({ ...both, name: 'copy' }, ['acme/*', 'lab/site'])).toBe('target');
    expect(fork({ ...both, name: 'copy' }, ['acme/*', 'lab/copy'])).toBe('allowed');
    expect(fork({ ...both, name: '' }, ['acme/*', 'lab/site'])).toBe('allowed');
    expect(fork(both, ['acme/*'])).toBe('target');
    expect(fork(both, ['lab/*'])).toBe('target');
    expect(fork({ user: 'acme', repo: 'site' }, ['acme/*', 'lab/*'])).toBe('target');
  });

  it("are a fork's owner too when a pull request comes from one", () => {
    const pull = (head: unknown, targets: readonly string[]) =>
      reasonOf(
        decide(
          'create_pull_request',
          { owner: 'acme', repo: 'site', base: 'main', title: 't', head },
          { targets },
        ),
      );
    expect(pull('topic', ['acme/site'])).toBe('allowed');
    expect(pull('mallory:topic', ['acme/site'])).toBe('target');
    expect(pull('mallory:topic', ['acme/site', 'mallory/*'])).toBe('allowed');
    expect(pull('mallory/site:topic', ['acme/site', 'mallory/site'])).toBe('allowed');
    expect(pull('mallory/x/y:topic', ['acme/site', 'mallory/*'])).toBe('target');
    expect(pull(':topic', ['acme/site'])).toBe('target');
    expect(pull(['mallory:topic'], ['acme/site'])).toBe('target');
  });

  it('are all repositories of an owner where a search goes through them', () => {
    const search = (targets: readonly string[]) =>
      reasonOf(decide('search_issues', { owner: 'acme' }, { targets }));
    expect(search(['acme/site', 'acme'])).toBe('target');
    expect(search(['acme/*'])).toBe('allowed');
  });

  it('keep an organisation and its repositories apart', () => {
    expect(reasonOf(decide('get_org', { org: 'acme' }, { targets: ['acme/*'] }))).toBe('target');
    const args = { owner: 'acme', repo: 'site' };
    expect(reasonOf(decide('list_repo_issues', args, { targets: ['acme'] }))).toBe('target');
  });

  it('are named in the refusal', () => {
    const args = { owner: 'Other', repo: 'Secret' };
    expect(decide('list_repo_issues', args, { targets: ['acme/*'] })).toEqual({
      kind: 'refused',
      reason: 'target',
      detail: 'this connection may not touch Other/Secret',
      targets: ['Other/Secret'],
    });
  });
});

describe('the ceiling', () => {
  it('makes a refusal one that no scope helps with', () => {
    const params = { name: 'delete_org', arguments: { org: 'acme' } };
    const message = { params, text: JSON.stringify({ params }) };
    const low = allowance({ scope: 'forgejo:write' }, 'forgejo:write');
    expect(decideCall(message, low, catalogue)).toEqual({
      kind: 'refused',
      reason: 'ceiling',
      needed: 'forgejo:delete',
      detail: 'this needs forgejo:delete, and the administrator allows no more than forgejo:write',
    });
  });
});

describe('other methods', () => {
  const method = (name: string, permission: Partial<Permission> = {}) =>
    reasonOf(
      decideMessage({ method: name, params: {}, text: '{}' }, allowance(permission), catalogue),
    );
  const restricted: readonly Partial<Permission>[] = [
    { toolsets: ['issues'] },
    { targets: ['acme/*'] },
  ];

  it('pass when they reach nothing of the forge', () => {
    for (const permission of [...restricted, { scope: 'forgejo:read' } as const]) {
      for (const name of ['ping', 'initialize', 'tools/list', 'logging/setLevel']) {
        expect(method(name, permission)).toBe('allowed');
      }
      expect(method('notifications/cancelled', permission)).toBe('allowed');
    }
  });

  it('are refused to whoever has chosen, when they are of resources and prompts', () => {
    const names = ['resources/read', 'resources/subscribe', 'prompts/get', 'completion/complete'];
    for (const name of names) {
      for (const permission of restricted) expect(method(name, permission)).toBe('target');
      expect(method(name, { scope: 'forgejo:read' })).toBe('allowed');
    }
    for (const name of ['resources/list', 'resources/templates/list', 'prompts/list']) {
      for (const permission of restricted) expect(method(name, permission)).toBe('empty');
      expect(method(name)).toBe('allowed');
    }
  });

  it('are decided alike by the text of a permission, and refused without one that can be read', () => {
    const message = { method: 'resources/subscribe', params: {}, text: '{}' };
    const by = (text: string | null) => allowedBy(text, message, catalogue);
    expect(by(serializePermission({ ...EVERYTHING, scope: 'forgejo:read' }))).toBe(true);
    for (const permission of restricted) {
      expect(by(serializePermission({ ...EVERYTHING, ...permission }))).toBe(false);
    }
    for (const text of [null, '', '{}', '[]']) expect(by(text)).toBe(false);
  });

  it('that nobody knows need everything', () => {
    for (const name of ['tasks/get', 'Tools/Call', 'tools/call ', 'x']) {
      for (const permission of restricted) expect(method(name, permission)).not.toBe('allowed');
      expect(method(name, { scope: 'forgejo:write' })).toBe('insufficient_scope');
      expect(method(name)).toBe('allowed');
    }
  });
});
