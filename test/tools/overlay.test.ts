import { describe, expect, it } from 'bun:test';
import { createOverlay, KEPT_CHARACTERS_MAX } from '../../app/tools/overlay.ts';
import { EVERYTHING, type Permission } from '../../app/tools/permission.ts';
import { forgejoMcpList } from '../fixture/forgejo-mcp-tools.ts';
import { reviewedCatalogue } from '../support/catalogue.ts';

interface Shown {
  readonly name: string;
  readonly title?: string;
  readonly annotations: Readonly<Record<string, unknown>>;
  readonly inputSchema: {
    readonly properties: Readonly<Record<string, unknown>>;
    readonly required: readonly string[];
  };
}

function overlay() {
  const unreviewed: string[] = [];
  const made = createOverlay({
    catalogue: reviewedCatalogue(),
    onUnreviewed: (tool) => unreviewed.push(tool),
  });
  const shown = (list: unknown, permission: Partial<Permission> = {}) => {
    const text = made.shown(JSON.stringify(list), { ...EVERYTHING, ...permission });
    if (text === undefined) throw new Error('no list');
    return JSON.parse(text) as { readonly tools: readonly Shown[]; readonly nextCursor?: string };
  };
  return { made, shown, unreviewed };
}

const named = (tools: readonly Shown[], name: string) => tools.find((tool) => tool.name === name);

describe('a list that a child has made up', () => {
  it('is none when it is nested beyond all reason', () => {
    const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
    const { made } = overlay();
    const list = (schema: string) => `{"tools":[{"name":"x","inputSchema":${schema}}]}`;
    expect(made.shown(list('{"a":{}}'), EVERYTHING)).toBeDefined();
    expect(made.shown(list(deep), EVERYTHING)).toBeUndefined();
  });

  it('is kept up to KEPT_CHARACTERS_MAX, and built anew each time beyond', () => {
    const { made, unreviewed } = overlay();
    const before = '{"tools":[{"name":"x"}],"_meta":{"x":"';
    const list = (length: number) => `${before.padEnd(length - 3, 'x')}"}}`;
    for (let times = 0; times < 3; times += 1) made.shown(list(KEPT_CHARACTERS_MAX), EVERYTHING);
    expect(unreviewed).toEqual(['x']);
    for (let times = 0; times < 3; times += 1)
      made.shown(list(KEPT_CHARACTERS_MAX + 1), EVERYTHING);
    expect(unreviewed).toHaveLength(4);
  });
});

describe('the list of tools', () => {
  it('says truly what each tool does', () => {
    const { tools } = overlay().shown(forgejoMcpList());
    expect(tools).toHaveLength(141);
    const catalogue = reviewedCatalogue();
    for (const { name, title, annotations } of tools) {
      const tool = catalogue.find(name);
      const destroys = tool?.scope === 'forgejo:delete' || tool?.raisedBy.length !== 0;
      expect({ name, title, annotations }).toEqual({
        name,
        title: tool?.title ?? '',
        annotations: {
          title: tool?.title,
          readOnlyHint: tool?.scope === 'forgejo:read',
          destructiveHint: destroys,
          idempotentHint: tool?.idempotent,
          openWorldHint: true,
        },
      });
    }
  });

  it('does not call a merge destructive for whoever cannot force it', () => {
    const { shown } = overlay();
    const hintFor = (scope: Permission['scope']) =>
      named(shown(forgejoMcpList(), { scope }).tools, 'merge_pull_request')?.annotations
        .destructiveHint;
    expect(hintFor('forgejo:write')).toBe(false);
    expect(hintFor('forgejo:delete')).toBe(true);
  });

  it('is in one order, whatever the order of the child', () => {
    const list = forgejoMcpList();
    const { shown } = overlay();
    const names = shown(list).tools.map(({ name }) => name);
    expect(names).toEqual(names.toSorted());
    expect(shown({ tools: list.tools.toReversed() }).tools.map(({ name }) => name)).toEqual(names);
  });

  it('does not offer arguments that are always refused', () => {
    const { tools } = overlay().shown(forgejoMcpList());
    const properties = (name: string) =>
      Object.keys(named(tools, name)?.inputSchema.properties ?? {});
    expect(properties('create_issue_attachment')).not.toContain('file_path');
    expect(properties('create_issue_attachment')).toContain('content');
    expect(properties('get_pull_request_diff')).toContain('file_path');
  });

  it('shows what nobody has reviewed to whoever has everything, as the worst that it can be', () => {
    const kind = { name: 'launch', annotations: { readOnlyHint: true, title: 'Harmless' } };
    const { shown, unreviewed } = overlay();
    expect(shown({ tools: [kind] }).tools).toEqual([
      {
        name: 'launch',
        annotations: {
          ...{ readOnlyHint: false, destructiveHint: true, idempotentHint: false },
          title: 'Harmless',
        },
      } as never,
    ]);
    const less: readonly Partial<Permission>[] = [
      { scope: 'forgejo:write' },
      { toolsets: ['issues'] },
      { targets: ['acme/*'] },
    ];
    for (const permission of less) expect(shown({ tools: [kind] }, permission).tools).toEqual([]);
    expect(new Set(unreviewed)).toEqual(new Set(['launch']));
  });

  it('keeps what else the child says', () => {
    const described = { name: 'get_org', outputSchema: { type: 'object' }, _meta: { a: 1 } };
    const list = overlay().shown({ tools: [described], nextCursor: 'x', _meta: { b: 2 } });
    expect(list).toMatchObject({ nextCursor: 'x', _meta: { b: 2 } });
    expect(list.tools[0]).toMatchObject(described as never);
  });

  it('is none when the child gives none', () => {
    const { made } = overlay();
    for (const text of ['null', '[]', '{}', '{"tools":{}}', '{"tools":null}']) {
      expect(made.shown(text, EVERYTHING)).toBeUndefined();
    }
    expect(made.shown('{"tools":[1,null,{},{"name":1}]}', EVERYTHING)).toBe('{"tools":[]}');
  });

  it('is built once for a list and a permission, however often it is asked for', () => {
    const { made, unreviewed } = overlay();
    // Counts what is built: each building tells of the tool.
    const list = JSON.stringify({ tools: [{ name: 'unknown_one' }] });
    const same = () => JSON.stringify(JSON.parse(list));
    for (let time = 0; time < 5; time += 1) made.shown(same(), { ...EVERYTHING });
    expect(unreviewed).toHaveLength(1);
    made.shown(same(), { ...EVERYTHING, scope: 'forgejo:read' });
    expect(unreviewed).toHaveLength(2);
    made.shown(same(), { ...EVERYTHING, scope: 'forgejo:read' });
    expect(unreviewed).toHaveLength(2);
  });

  it('forgets what many permissions and lists have left behind', () => {
    const { made, unreviewed } = overlay();
    const list = JSON.stringify({ tools: [{ name: 'unknown_one' }] });
    const holding = (repo: number): Permission => ({ ...EVERYTHING, targets: [`acme/${repo}`] });
    for (let repo = 0; repo <= 32; repo += 1) made.shown(list, holding(repo));
    expect(unreviewed).toHaveLength(33);
    made.shown(list, holding(32));
    expect(unreviewed).toHaveLength(33);
    made.shown(list, holding(0));
    expect(unreviewed).toHaveLength(34);
  });
});
