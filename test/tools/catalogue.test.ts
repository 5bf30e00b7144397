import { describe, expect, it } from 'bun:test';
import { catalogueFaults } from '../../app/tools/catalogue.ts';
import { argumentsOf } from '../../app/tools/target-rule.ts';
import type { Tool } from '../../app/tools/tool.ts';
import { FORGEJO_MCP_TOOLS } from '../fixture/forgejo-mcp-tools.ts';
import { reviewedCatalogue } from '../support/catalogue.ts';

const catalogue = reviewedCatalogue();

function tool(name: string): Tool {
  const found = catalogue.find(name);
  if (found === undefined) throw new Error(`${name} is not reviewed`);
  return found;
}

describe('the catalogue', () => {
  it('holds the tools of forgejo-mcp, each of them and no other', () => {
    expect(catalogue.names.toSorted()).toEqual(
      FORGEJO_MCP_TOOLS.map(({ name }) => name).toSorted(),
    );
    expect(FORGEJO_MCP_TOOLS).toHaveLength(141);
  });

  it('names arguments alone that the tool has', () => {
    for (const { name, arguments: names } of FORGEJO_MCP_TOOLS) {
      const { target, forks, raisedBy, hostFiles } = tool(name);
      const named = [...argumentsOf(target), ...forks, ...raisedBy, ...hostFiles];
      expect({ name, unknown: named.filter((one) => !names.includes(one)) }).toEqual({
        name,
        unknown: [],
      });
    }
  });

  it('looks at every owner, repository and organisation that a tool takes', () => {
    for (const { name, arguments: names } of FORGEJO_MCP_TOOLS) {
      const { target } = tool(name);
      if (target.kind === 'unknown') continue;
      const seen = argumentsOf(target);
      const places = names.filter((one) => ['owner', 'repo', 'org', 'organization'].includes(one));
      expect({ name, unseen: places.filter((one) => !seen.includes(one)) }).toEqual({
        name,
        unseen: [],
      });
    }
  });

  it('takes what gets, lists, searches and downloads for reading, and nothing else', () => {
    for (const name of catalogue.names) {
      const reads = /^(get|list|search|check|download)_/.test(name);
      expect({ name, reads: tool(name).scope === 'forgejo:read' }).toEqual({ name, reads });
    }
  });

  it('takes for delete what cannot be undone, decides about others, or acts outside', () => {
    const weighed = [
      ...['add_team_member', 'add_team_repo', 'remove_org_member', 'create_org_team'],
      ...['create_repo_hook', 'edit_repo_hook', 'test_repo_hook', 'dispatch_workflow'],
      ...['create_branch_protection', 'edit_branch_protection', 'dismiss_pull_review'],
      ...['reset_issue_time', 'cancel_issue_stopwatch'],
      ...['remove_team_member', 'remove_team_repo'],
    ];
    for (const name of weighed) expect(tool(name).scope).toBe('forgejo:delete');
    const deletes = catalogue.names.filter((name) => name.startsWith('delete_'));
    const lesser = deletes.filter((name) => tool(name).scope !== 'forgejo:delete');
    expect(lesser).toEqual(['delete_review_requests']);
  });

  it('takes for delete the arguments that overrule others or cannot be taken back, and no other', () => {
    const raised = catalogue.names.flatMap((name) =>
      tool(name).raisedBy.map((argument) => `${name} ${argument}`),
    );
    expect(raised.toSorted()).toEqual([
      'edit_org visibility',
      'merge_pull_request delete_branch_after_merge',
      'merge_pull_request force_merge',
    ]);
    // Whatever else promises to force something would have to be weighed.
    const forced = FORGEJO_MCP_TOOLS.flatMap(({ name, arguments: names }) =>
      names.filter((one) => one.includes('force')).map((one) => `${name} ${one}`),
    );
    expect(forced).toEqual(['merge_pull_request force_merge']);
  });

  it('refuses files of the machine for the three tools that read them, and for no other', () => {
    const tools = catalogue.names.filter((name) => tool(name).hostFiles.length > 0);
    expect(tools.toSorted()).toEqual([
      'create_comment_attachment',
      'create_issue_attachment',
      'create_release_attachment',
    ]);
    expect(tool('get_pull_request_diff').hostFiles).toEqual([]);
  });

  it('has a title of its own for each tool', () => {
    const titles = catalogue.names.map((name) => tool(name).title);
    expect(new Set(titles).size).toBe(titles.length);
  });
});

describe("an administrator's file", () => {
  const wrong: readonly [string, string][] = [
    ['tools = 1', 'tools: must be a table'],
    ['[tool]\nx = 1', 'tool: there are "text" and [tools] only'],
    ['text = ["a b"]', 'text: must be an array of names of arguments'],
    ['[tools]\nget_org = 1', 'tools.get_org: must be a table'],
    ['[tools]\n"a b" = { class = "read" }', 'tools.a b: this cannot be the name of a tool'],
    [
      '[tools]\nget_org = { class = "admin" }',
      'tools.get_org: class: must be "read", "write" or "delete"',
    ],
    [
      '[tools]\nget_org = { klass = "read" }',
      'tools.get_org: klass: there is class, title, idempotent, toolset, target, forks, ' +
        'raised_by, host_files, reason only',
    ],
    [
      '[tools]\nget_org = { title = "" }',
      'tools.get_org: title: must be a text of 1 to 80 characters',
    ],
    [
      '[tools]\nget_org = { idempotent = "yes" }',
      'tools.get_org: idempotent: must be true or false',
    ],
    [
      '[tools]\nget_org = { target = "{owner}/{repo}/x" }',
      'tools.get_org: target: must be "none", "unknown", or places like "{owner}/{repo}", ' +
        '"{owner}/*" or "{org}"',
    ],
    [
      '[tools]\nget_org = { target = [] }',
      'tools.get_org: target: must be "none", "unknown", or places like "{owner}/{repo}", ' +
        '"{owner}/*" or "{org}"',
    ],
    [
      '[tools]\nmine = { class = "read" }',
      'tools.mine: title, toolset, target missing: this tool is not known otherwise',
    ],
  ];
  for (const [toml, fault] of wrong) {
    it(`is refused with a sentence: ${fault}`, () => {
      expect(catalogueFaults(toml)).toContain(fault);
    });
  }

  it('is refused when it is not TOML, and every fault is told at once', () => {
    expect(catalogueFaults('[tools')[0]).toStartWith('it is not TOML: ');
    expect(catalogueFaults('[tools]\na = 1\nb = 2')).toHaveLength(2);
  });

  it('says which toolsets there are', () => {
    const [fault] = catalogueFaults('[tools]\nget_org = { toolset = "everything" }');
    expect(fault).toContain('must be "any" or one of issues, pull_requests, contents');
  });

  it('adds a tool, and changes one by some of its members', () => {
    const own = reviewedCatalogue(`
      text = ["note"]
      [tools]
      mine = { class = "write", title = "Mine", toolset = "any", target = ["{owner}/{a|b}", "{org}"] }
      merge_pull_request = { class = "delete", reason = "here nobody merges lightly" }
    `);
    expect(own.find('mine')).toEqual({
      ...{ name: 'mine', title: 'Mine', scope: 'forgejo:write', idempotent: false },
      ...{ toolset: 'any', forks: [], raisedBy: [], hostFiles: [] },
      ...{ places: ['owner', 'a', 'b', 'org'], deciding: new Set(['owner', 'a', 'b', 'org']) },
      target: {
        kind: 'told',
        places: [
          { kind: 'repository', owner: 'owner', repo: ['a', 'b'] },
          { kind: 'organization', owner: 'org' },
        ],
      },
    });
    expect(own.find('merge_pull_request')).toEqual({
      ...tool('merge_pull_request'),
      scope: 'forgejo:delete',
    });
    expect(own.text.has('note')).toBe(true);
    expect(own.text.has('body')).toBe(true);
    expect(own.find('get_org')).toEqual(tool('get_org'));
  });

  it('[CVE-2026-61560] cannot allow what reads the files of the machine', () => {
    const own = reviewedCatalogue('[tools]\ncreate_issue_attachment = { host_files = [] }');
    expect(own.find('create_issue_attachment')?.hostFiles).toEqual(['file_path']);
  });
});
