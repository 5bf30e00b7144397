import { afterAll, beforeAll, expect, it } from 'bun:test';
import type { HttpFetch } from '../../app/demo/person.ts';
import { describeAppliance } from './harness/describe.ts';
import { brokerLog } from './harness/journal.ts';
import type { Machine } from './harness/machine.ts';
import { connected, installed, MCP_URL, ORIGIN, outsideFetch, whoami } from './harness/site.ts';
import { openWorkshop, type Workshop } from './harness/workshop.ts';

const CONFIG = '/etc/fjmcp-broker/config.toml';
const RULES = ['register=5/1h', 'authorize=5/1h', 'token=5/1h', 'unauthorized=5/1h'];

describeAppliance('rate limits behind Caddy', () => {
  let workshop: Workshop;
  let machine: Machine;
  let outside: HttpFetch;

  beforeAll(async () => {
    workshop = await openWorkshop();
    machine = await installed(workshop, 'limits');
    outside = await outsideFetch(machine, workshop);
  });
  afterAll(() => workshop.close());

  it('R6, S9: come with a reload, at the configured numbers, whatever a client says of itself', async () => {
    const client = await connected(outside, 'alice');
    await machine.must(`cat - ${CONFIG} > /srv/new; cat /srv/new > ${CONFIG}`, {
      stdin: `rate_limits = ${JSON.stringify(RULES)}\n`,
    });
    await machine.must('systemctl reload fjmcp-broker');
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const floods = {
      register: (n: number) =>
        send('/oauth/register', { 'content-type': 'application/json' }, registration(n)),
      authorize: () => outside(`${ORIGIN}/oauth/authorize?client_id=x`),
      token: () => send('/oauth/token', form, 'grant_type=refresh_token&client_id=x'),
      unauthorized: () => send('/mcp', { authorization: 'Bearer garbage' }, '{}'),
    };
    const passed = { register: 201, authorize: 400, token: 401, unauthorized: 401 };
    for (const [limit, ask] of Object.entries(floods) as [
      keyof typeof passed,
      typeof floods.register,
    ][]) {
      const statuses: number[] = [];
      for (let n = 0; n < 8; n += 1) {
        const answer = await ask(n);
        await answer.body?.cancel();
        statuses.push(answer.status);
        if (answer.status === 429)
          expect(Number(answer.headers.get('retry-after'))).toBeWithin(1, 3601);
      }
      const good = passed[limit];
      expect({ limit, statuses }).toEqual({
        limit,
        statuses: [good, good, good, good, good, 429, 429, 429],
      });
    }
    // A good token passes from the same address, and another address is not turned away.
    expect(await whoami(client)).toContain('alice');
    await client.close();
    const own = `curl -sk -o /dev/null -w '%{http_code}' -X POST --resolve mcp.example.test:443:127.0.0.1 ${MCP_URL}`;
    expect((await machine.shell(own)).stdout).toBe('401');
    const refused = await brokerLog(machine, 'rate.limited');
    expect(refused.map(({ limit, address }) => ({ limit, address }))).toEqual(
      Object.keys(floods).map((limit) => ({ limit, address: workshop.network.address })),
    );
  });

  it('are counted where Caddy can read them', async () => {
    const socket = '/run/fjmcp-broker/edge/metrics.sock';
    const read = `runuser -u caddy -- curl -sS --unix-socket ${socket} http://localhost/metrics`;
    const metrics = await machine.must(read);
    for (const limit of ['register', 'authorize', 'token', 'unauthorized']) {
      expect(metrics).toContain(`fjmcp_rate_limited_total{limit="${limit}"} 3`);
    }
  });

  /** Each request claims to come from somewhere else. */
  function send(path: string, headers: Record<string, string>, body: string): Promise<Response> {
    const elsewhere = `203.0.113.${Math.floor(Math.random() * 250)}`;
    return outside(`${ORIGIN}${path}`, {
      method: 'POST',
      headers: { ...headers, 'x-forwarded-for': elsewhere, 'x-real-ip': elsewhere },
      body,
    });
  }
});

function registration(n: number): string {
  return JSON.stringify({
    client_name: `flood ${n}`,
    redirect_uris: ['https://client.example/callback'],
  });
}
