import { describe, expect, it } from 'bun:test';
import type { RateLimits } from '../../app/base/rate-limits.ts';
import { ALICE, resourceUnderTest, tokenNamed } from './harness.ts';

function limits(full: 'account_mcp' | 'unauthorized' | 'none') {
  const asked: string[] = [];
  const rateLimits: RateLimits = {
    byAddress: async (limit) => {
      asked.push(limit);
      return limit === full ? 17 : undefined;
    },
    byAccount: async (limit, account) => {
      asked.push(`${limit} of ${account}`);
      return limit === full ? 17 : undefined;
    },
  };
  return { ...resourceUnderTest({ rateLimits }), asked };
}

const PING = { jsonrpc: '2.0', id: 1, method: 'ping' };

describe('/mcp beyond a rate limit', () => {
  it('S9: answers 429 with Retry-After and JSON-RPC, and calls nothing', async () => {
    const { send, sessions, asked } = limits('account_mcp');
    const response = await send(PING, { session: 's-alice' });
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('17');
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toMatchObject({ jsonrpc: '2.0', id: null, error: {} });
    expect(sessions.found).toEqual([]);
    expect(asked).toEqual(['account_mcp of 1']);
  });

  it('S9: holds for every method', async () => {
    const { send } = limits('account_mcp');
    for (const method of ['POST', 'GET', 'DELETE', 'PUT']) {
      expect((await send(PING, { method, session: 's-alice' })).status).toBe(429);
    }
  });

  for (const [what, token] of [
    ['none', null],
    ['garbage', 'garbage'],
    ['an unknown one', tokenNamed('nobody')],
  ] as const) {
    it(`S9: answers 429 instead of 401 to an address that came too often with ${what}`, async () => {
      const { send, asked } = limits('unauthorized');
      const response = await send(PING, { token });
      expect(response.status).toBe(429);
      expect(response.headers.get('retry-after')).toBe('17');
      expect(asked).toEqual(['unauthorized']);
    });
  }

  it('S9: a good token passes, however many bad ones its address has sent', async () => {
    const { send, asked } = limits('unauthorized');
    expect((await send(PING, { token: 'garbage' })).status).toBe(429);
    expect((await send(PING, { token: ALICE, session: 's-alice' })).status).toBe(200);
    expect(asked).toEqual(['unauthorized', 'account_mcp of 1']);
  });

  it('lets scripts of an allowed origin read when to come again', async () => {
    const { send } = limits('account_mcp');
    const response = await send(PING, { headers: { origin: 'https://client.example' } });
    expect(response.headers.get('access-control-expose-headers')).toContain('Retry-After');
  });
});
