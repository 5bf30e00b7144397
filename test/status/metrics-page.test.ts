import { describe, expect, it } from 'bun:test';
import { createMetrics } from '../../app/base/metrics.ts';
import { Secret } from '../../app/base/secret.ts';
import { watchEventLoop } from '../../app/status/event-loop-delay.ts';
import { metricsPage } from '../../app/status/metrics-page.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { createMemoryLog } from '../support/memory-log.ts';

const TOKEN = 'canary-metrics-token';

function page(o: { readonly token?: string; readonly sample?: () => void } = {}) {
  const metrics = createMetrics();
  const log = createMemoryLog();
  const app = metricsPage({
    registry: metrics.registry,
    token: o.token === undefined ? undefined : new Secret(o.token),
    sample: o.sample ?? (() => undefined),
    log: log.log,
  });
  const get = (path = '/metrics', init: RequestInit = {}) =>
    app.handle(new Request(`http://localhost${path}`, init));
  const withToken = (authorization: string) => get('/metrics', { headers: { authorization } });
  return { metrics, log, get, withToken };
}

describe('the metrics page', () => {
  it('S11: is read with its token alone', async () => {
    const { get, withToken } = page({ token: TOKEN });
    const refused = [
      await get(),
      await get(`/metrics?token=${TOKEN}`),
      await withToken(''),
      await withToken('Bearer'),
      await withToken(TOKEN),
      await withToken(`Basic ${TOKEN}`),
      await withToken(`Bearer ${TOKEN}x`),
      await withToken(`Bearer ${TOKEN.slice(0, -1)}`),
      await withToken(`Bearer ${TOKEN} ${TOKEN}`),
    ];
    for (const response of refused) {
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      expect(await response.text()).not.toContain('fjmcp_');
    }
    const answer = await withToken(`bearer ${TOKEN}`);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('fjmcp_sessions 0');
  });

  it('needs no token where there is none', async () => {
    const { get, metrics } = page();
    metrics.sessions.set(3);
    const answer = await get();
    expect(answer.headers.get('content-type')).toStartWith('text/plain; version=0.0.4');
    expect(await answer.text()).toContain('\nfjmcp_sessions 3\n');
  });

  it('is at one address, and is only read', async () => {
    const { get } = page();
    for (const path of ['/', '/metric', '/metrics/x', '/healthz', '/mcp']) {
      expect((await get(path)).status).toBe(404);
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await get('/metrics', { method });
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    }
  });

  it('tells nothing of its own faults but in the log', async () => {
    const sample = () => {
      throw new Error('canary-internal');
    };
    const { get, log } = page({ sample });
    const answer = await get();
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain('canary');
    expect(log.of('metrics.failed')).toHaveLength(1);
  });

  it('tells of the process itself', async () => {
    const text = await (await page().get()).text();
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    expect(value('fjmcp_process_resident_memory_bytes')).toBeGreaterThan(1e6);
    expect(value('fjmcp_process_cpu_seconds_total')).toBeGreaterThan(0);
    expect(value('fjmcp_process_open_fds')).toBeGreaterThan(2);
    expect(value('fjmcp_process_start_time_seconds')).toBeGreaterThan(1.7e9);
  });
});

describe('the delay of the event loop', () => {
  it('is how late a timer was', async () => {
    const clock = new FakeClock();
    const metrics = createMetrics();
    const stop = watchEventLoop(clock, metrics);
    clock.advance(500);
    clock.advance(500);
    stop();
    clock.advance(5000);
    const text = await metrics.registry.metrics();
    expect(text).toContain('fjmcp_event_loop_delay_seconds_count 2');
    expect(text).toContain('fjmcp_event_loop_delay_seconds_sum 0\n');
  });
});
