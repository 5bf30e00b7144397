import { describe, expect, it } from 'bun:test';
import { createMetrics } from '../../app/base/metrics.ts';

describe('metrics', () => {
  it('are declared once, each with a help text and the name of the program', async () => {
    const metrics = createMetrics();
    const declared = await metrics.registry.getMetricsAsJSON();
    expect(declared.length).toBe(Object.keys(metrics).length - 1);
    for (const { name, help } of declared) {
      expect(name).toStartWith('fjmcp_');
      expect([name, help]).toEqual([name, expect.stringMatching(/^[A-Z].*\.$/)]);
    }
  });

  it('are those of one broker: another in the same process counts for itself', async () => {
    const [one, two] = [createMetrics(), createMetrics()];
    one.httpRequests.inc({ route: '/mcp', status: '2xx' });
    expect((await one.httpRequests.get()).values).toHaveLength(1);
    expect((await two.httpRequests.get()).values).toHaveLength(0);
  });
});
