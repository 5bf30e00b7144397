import { describe, expect, it } from 'bun:test';
import { readFileSync } from 'node:fs';
import { Glob } from 'bun';
import { createMetrics } from '../app/base/metrics.ts';

const ROOT = Bun.fileURLToPath(new URL('..', import.meta.url));
const textOf = (path: string) => readFileSync(`${ROOT}${path}`, 'utf8');

/** What is declared, by its whole name. */
interface Declared {
  readonly kind: string;
  readonly help: string;
  readonly labels: readonly string[];
}

/** Each metric, and by which member of `Metrics` the code calls it. */
function declaredMetrics() {
  const declared = new Map<string, Declared>();
  const members = new Map<string, string>();
  const { registry, ...metrics } = createMetrics();
  for (const [member, metric] of Object.entries(metrics)) {
    const { name, help, labelNames } = metric as unknown as {
      readonly name: string;
      readonly help: string;
      readonly labelNames: readonly string[];
    };
    const kind = registry.getSingleMetric(name)?.constructor.name.toLowerCase() ?? '';
    declared.set(name, { kind, help, labels: labelNames });
    members.set(member, name);
  }
  return { declared, members };
}

const { declared, members } = declaredMetrics();

/** The rows of docs/metrics.md, by the whole name of the metric. */
const rows = new Map<string, { kind: string; help: string; labels: string }>(
  textOf('docs/metrics.md')
    .split('\n')
    .filter((line) => /^\| `[a-z_]+` \| (counter|gauge|histogram) \|/.test(line))
    .map((line) => {
      const [name = '', kind = '', help = '', labels = ''] = line.slice(2, -2).split(' | ');
      return [`fjmcp_${name.replaceAll('`', '')}`, { kind, help, labels }] as const;
    }),
);

describe('docs/metrics.md', () => {
  it('has a row for each metric, and none for another', () => {
    expect([...rows.keys()].toSorted()).toEqual([...declared.keys()].toSorted());
  });

  for (const [name, { kind, help, labels }] of declared) {
    it(`tells of ${name} what the code tells`, () => {
      const row = rows.get(name);
      expect(row).toMatchObject({ kind, help });
      const named = [...(row?.labels ?? '').matchAll(/`([a-z_]+)`:/g)].map(([, label]) => label);
      expect(named).toEqual([...labels]);
    });
  }

  it('has each value of a label that the code writes down', () => {
    const missing: string[] = [];
    for (const path of new Glob('app/**/*.ts').scanSync(ROOT)) {
      for (const [, member = '', values = ''] of textOf(path).matchAll(
        /\.(\w+)\.(?:inc|observe)\(\{([^}]*)\}/g,
      )) {
        const name = members.get(member);
        if (name === undefined) continue;
        for (const [, value = ''] of values.matchAll(/'([^']+)'/g)) {
          if (!rows.get(name)?.labels.includes(`\`${value}\``)) missing.push(`${name}: ${value}`);
        }
      }
    }
    expect(missing).toEqual([]);
  });

  it('has each alert, with the description of the rule', () => {
    const text = textOf('docs/metrics.md').replaceAll('`', '');
    for (const { alert, labels, annotations } of alerts()) {
      expect(text).toContain(`| ${alert} (${labels.severity}) | ${annotations.description} |`);
    }
  });
});

interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

function alerts(): readonly AlertRule[] {
  const file = Bun.YAML.parse(textOf('monitoring/prometheus-alerts.yml')) as {
    readonly groups: readonly { readonly rules: readonly AlertRule[] }[];
  };
  return file.groups.flatMap(({ rules }) => rules);
}

/** Every text under `expr` or `definition` in the dashboard. */
function dashboardQueries(): readonly string[] {
  const found: string[] = [];
  JSON.parse(textOf('monitoring/grafana-dashboard.json'), (key, value) => {
    if ((key === 'expr' || key === 'definition') && typeof value === 'string') found.push(value);
    return value;
  });
  return found;
}

/** What Prometheus adds to every series of a target. */
const TARGET_LABELS = ['job', 'instance'];

/** A metric by the name of one of its series. */
function metricOf(series: string): Declared | undefined {
  const histogram = declared.get(series.replace(/_(bucket|sum|count)$/, ''));
  return declared.get(series) ?? (histogram?.kind === 'histogram' ? histogram : undefined);
}

/** What an expression uses that nothing of ours has. */
function unknownIn(expression: string): readonly string[] {
  const unknown: string[] = [];
  const known = new Set([...TARGET_LABELS, 'le']);
  for (const [, series = '', selector = ''] of expression.matchAll(
    /\b(fjmcp_\w+|up)\b(?:\{([^}]*)\})?/g,
  )) {
    const labels = series === 'up' ? [] : metricOf(series)?.labels;
    if (labels === undefined) unknown.push(series);
    for (const label of labels ?? []) known.add(label);
    for (const [, label = ''] of selector.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)) {
      if (![...TARGET_LABELS, ...(labels ?? [])].includes(label))
        unknown.push(`${series}{${label}}`);
    }
  }
  for (const [, list = ''] of expression.matchAll(/\b(?:by|without) \(([^)]*)\)/g)) {
    unknown.push(...list.split(/, */).filter((label) => !known.has(label)));
  }
  return unknown;
}

describe('monitoring/', () => {
  it('asks in its alerts for what there is', () => {
    const rules = alerts();
    expect(rules.length).toBeGreaterThan(10);
    for (const { alert, expr } of rules) {
      expect({ alert, unknown: unknownIn(expr) }).toEqual({ alert, unknown: [] });
    }
  });

  it('asks in its dashboard for what there is', () => {
    const queries = dashboardQueries();
    expect(queries.length).toBeGreaterThan(30);
    for (const query of queries) {
      expect({ query, unknown: unknownIn(query) }).toEqual({ query, unknown: [] });
    }
  });

  it('shows every metric in the dashboard', () => {
    const all = dashboardQueries().join('\n');
    const shown = (name: string) => new RegExp(`\\b${name}(_bucket)?\\b`).test(all);
    expect([...declared.keys()].filter((name) => !shown(name))).toEqual([]);
  });

  it('would notice what there is not', () => {
    expect(unknownIn('rate(fjmcp_nothing_total[5m])')).toEqual(['fjmcp_nothing_total']);
    expect(unknownIn('fjmcp_sessions{limit="x"}')).toEqual(['fjmcp_sessions{limit}']);
    expect(unknownIn('sum by (route) (fjmcp_sessions)')).toEqual(['route']);
    expect(unknownIn('fjmcp_sessions_bucket')).toEqual(['fjmcp_sessions_bucket']);
  });

  it('has alerts that a person can act on', () => {
    for (const rule of alerts()) {
      expect(rule.alert).toMatch(/^Fjmcp[A-Z]\w+$/);
      expect(['critical', 'warning', 'info']).toContain(rule.labels.severity);
      expect(rule.annotations.description.length).toBeGreaterThan(40);
      expect(rule.for).toMatch(/^\d+m$/);
    }
  });
});
