import { afterEach, describe, expect, it } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseNetwork } from '../../app/base/network.ts';
import type { RateLimitRules } from '../../app/base/rate-limits.ts';
import type { Config } from '../../app/config.ts';
import { NO_RATE_LIMITS } from '../support/rate-limits.ts';
import { RawClient } from '../support/raw-client.ts';
import { tokenOf } from '../support/sign-in.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

const stops: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

async function started(
  rules: Partial<RateLimitRules>,
  config: Partial<Config> = {},
): Promise<TestSystem> {
  const rateLimits = { ...NO_RATE_LIMITS, ...rules };
  const system = await startSystem({ config: { rateLimits, ...config } });
  stops.push(() => system.stop());
  return system;
}

const THREE = { count: 3, windowMs: 60_000 };
const LOOPBACK = [parseNetwork('127.0.0.1')].flatMap((one) => one ?? []);

/** The statuses of so many requests, one after the other. */
async function statuses(count: number, send: (n: number) => Promise<Response>): Promise<number[]> {
  const seen: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const response = await send(n);
    await response.body?.cancel();
    seen.push(response.status);
    if (response.status === 429) {
      expect(Number(response.headers.get('retry-after'))).toBeWithin(1, 61);
    }
  }
  return seen;
}

function registration(name: string, headers: Record<string, string> = {}): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ client_name: name, redirect_uris: ['https://client.example/callback'] }),
  };
}

describe('rate limits of a broker that runs', () => {
  it('R6: registrations beyond the configured number get 429', async () => {
    const { origin } = await started({ register: THREE });
    const seen = await statuses(5, (n) =>
      fetch(`${origin}/${n % 2 === 0 ? 'oauth/' : ''}register`, registration(`client ${n}`)),
    );
    expect(seen).toEqual([201, 201, 201, 429, 429]);
  });

  it('S9: authorize requests beyond the configured number get 429', async () => {
    const { origin } = await started({ authorize: THREE });
    const seen = await statuses(5, () => fetch(`${origin}/oauth/authorize?client_id=x`));
    expect(seen).toEqual([400, 400, 400, 429, 429]);
  });

  it('S9: token requests beyond the configured number get 429', async () => {
    const { origin } = await started({ token: THREE });
    const body = () => new URLSearchParams({ grant_type: 'refresh_token', client_id: 'x' });
    const seen = await statuses(5, () =>
      fetch(`${origin}/oauth/token`, { method: 'POST', body: body() }),
    );
    expect(seen).toEqual([401, 401, 401, 429, 429]);
  });

  it('S9: bad tokens get 429, and a good one of the same address still works', async () => {
    const system = await started({ unauthorized: THREE });
    const signedIn = system.client();
    await signedIn.authorize(system.person());
    const client = new RawClient(system.mcpUrl, tokenOf(signedIn));
    await client.initialize();
    const seen = await statuses(6, () =>
      fetch(system.mcpUrl, { method: 'POST', headers: { authorization: 'Bearer garbage' } }),
    );
    expect(seen.at(-1)).toBe(429);
    const answer = await client.post(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }));
    expect(answer.status).toBe(200);
  });

  it('S9: calls of an account beyond the configured number get 429, and those of another pass', async () => {
    const system = await started({ account_mcp: { count: 5, windowMs: 60_000 } });
    const clientOf = async (login: string, password: string) => {
      const signedIn = system.client(`client of ${login}`);
      await signedIn.authorize(system.person({ login, password }));
      const client = new RawClient(system.mcpUrl, tokenOf(signedIn));
      await client.initialize();
      return client;
    };
    const alice = await clientOf('alice', 'wonderland');
    const ping = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
    const seen = await statuses(6, () => alice.post(ping));
    expect(seen.filter((status) => status === 429).length).toBeGreaterThanOrEqual(1);
    expect(seen[0]).toBe(200);
    expect(seen.at(-1)).toBe(429);
    const bob = await clientOf('bob', 'workshop');
    expect((await bob.post(ping)).status).toBe(200);
  });

  it('[GHSA-g53w-w6mj-hrpp] nobody gets a limit of his own by writing X-Forwarded-For', async () => {
    const { origin } = await started({ register: THREE });
    const seen = await statuses(5, (n) =>
      fetch(
        `${origin}/oauth/register`,
        registration(`client ${n}`, { 'x-forwarded-for': `198.51.100.${n}` }),
      ),
    );
    expect(seen).toEqual([201, 201, 201, 429, 429]);
  });

  it('R6: addresses behind a trusted proxy are counted each for itself', async () => {
    const system = await started({ register: THREE }, { trustedProxies: LOOPBACK });
    const from = (address: string) => (n: number) =>
      fetch(
        `${system.origin}/oauth/register`,
        registration(`client ${address} ${n}`, { 'x-forwarded-for': `10.1.1.${n}, ${address}` }),
      );
    expect(await statuses(4, from('198.51.100.1'))).toEqual([201, 201, 201, 429]);
    expect(await statuses(4, from('198.51.100.2'))).toEqual([201, 201, 201, 429]);
    const logged = system.logLines.filter((line) => line.includes('"rate.limited"'));
    expect(logged.map((line) => JSON.parse(line).address)).toEqual([
      '198.51.100.1',
      '198.51.100.2',
    ]);
    const requests = system.logLines.filter((line) => line.includes('"http.request"'));
    expect(JSON.parse(requests.at(-1) ?? '{}').address).toBe('198.51.100.2');
  });

  it('R6: so are those behind the proxy of a unix socket', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'fjmcp-limits-'));
    stops.push(() => rmSync(directory, { recursive: true, force: true }));
    const path = join(directory, 'http.sock');
    const { origin } = await started({ register: THREE }, { listen: { kind: 'unix', path } });
    const from = (address: string) => (n: number) =>
      fetch(`${origin}/oauth/register`, {
        ...registration(`client ${address} ${n}`, { 'x-forwarded-for': address }),
        unix: path,
      });
    expect(await statuses(4, from('198.51.100.1'))).toEqual([201, 201, 201, 429]);
    expect(await statuses(4, from('2001:db8::1'))).toEqual([201, 201, 201, 429]);
    expect(await statuses(1, from('2001:db8::2'))).toEqual([429]);
  });
});
