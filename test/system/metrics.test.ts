import { afterEach, describe, expect, it } from 'bun:test';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../app/base/clock.ts';
import { silentLog } from '../../app/base/log.ts';
import { Secret, systemRandom } from '../../app/base/secret.ts';
import { VERSION } from '../../app/base/version.ts';
import { startBroker } from '../../app/broker.ts';
import type { Config } from '../../app/config.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

const TOKEN = 'canary-metrics-token';
const ON_A_PORT: Partial<Config> = {
  metricsListen: { kind: 'tcp', hostname: '127.0.0.1', port: 0 },
  metricsToken: new Secret(TOKEN),
};
const authorization = `Bearer ${TOKEN}`;

const stops: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

async function started(config: Partial<Config>): Promise<TestSystem> {
  const system = await startSystem({ config });
  stops.push(() => system.stop());
  return system;
}

describe('the metrics of a broker that runs', () => {
  it('[GHSA-g53w-w6mj-hrpp] are not at its public address', async () => {
    const { origin } = await started(ON_A_PORT);
    for (const headers of [{}, { authorization }]) {
      expect((await fetch(`${origin}/metrics`, { headers })).status).toBe(404);
    }
  });

  it('stand on a port of their own, for who has the token, and tell what happens', async () => {
    const system = await started(ON_A_PORT);
    const url = `http://127.0.0.1:${system.broker.metricsPort}/metrics`;
    expect((await fetch(url)).status).toBe(401);
    await system.connected();
    const text = await (await fetch(url, { headers: { authorization } })).text();
    expect(text).toContain('fjmcp_sessions 1');
    expect(text).toContain('fjmcp_clients_registered_total{outcome="registered"} 1');
    expect(text).toMatch(/^fjmcp_store_bytes [1-9]\d+$/m);
    expect(text).toContain(`fjmcp_build_info{version="${VERSION}",git="`);
    expect(text).not.toContain('canary');
    expect(system.logLines.join('')).not.toContain(TOKEN);
  });

  it('stand on a unix socket that the group may use, until the broker stops', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'fjmcp-metrics-'));
    stops.push(() => rmSync(directory, { recursive: true, force: true }));
    const path = join(directory, 'metrics.sock');
    const system = await started({ metricsListen: { kind: 'unix', path } });
    expect(statSync(path).mode & 0o777).toBe(0o660);
    const text = await (await fetch('http://localhost/metrics', { unix: path })).text();
    expect(text).toContain('fjmcp_sessions 0');
    await system.broker.stop();
    expect(existsSync(path)).toBe(false);
  });

  it('stop the start when their address is taken, and leave nothing open', async () => {
    const taken = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() });
    stops.push(() => taken.stop(true));
    const port = taken.port ?? 0;
    const system = await started({});
    await system.broker.stop();
    const metricsListen = { kind: 'tcp', hostname: '127.0.0.1', port } as const;
    const parts = { log: silentLog, clock: systemClock, random: systemRandom };
    await expect(
      startBroker({ ...system.config, ...ON_A_PORT, metricsListen }, parts),
    ).rejects.toThrow(`Cannot listen on 127.0.0.1:${port} for the metrics (EADDRINUSE).`);
    await system.restart();
  });
});
