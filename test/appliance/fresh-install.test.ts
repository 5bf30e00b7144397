import { afterAll, beforeAll, expect, it } from 'bun:test';
import type { HttpFetch } from '../../app/demo/person.ts';
import { appliance, describeWith } from '../support/requirements.ts';
import type { Outcome } from './harness/command.ts';
import type { Machine } from './harness/machine.ts';
import { VERSIONS } from './harness/releases.ts';
import {
  installByPipe,
  MCP_URL,
  ORIGIN,
  outsideClient,
  outsideFetch,
  publish,
} from './harness/site.ts';
import { openWorkshop, type Workshop } from './harness/workshop.ts';

describeWith(appliance, 'the one command on a fresh Debian 12', () => {
  let workshop: Workshop;
  let machine: Machine;
  let installed: Outcome;
  let outside: HttpFetch;

  beforeAll(async () => {
    workshop = await openWorkshop();
    machine = await workshop.machine('fresh');
    publish(workshop, 'current', 'forgejo-mcp');
    installed = await installByPipe(machine, workshop, 'current');
    if (installed.code !== 0) throw new Error(`${installed.stdout}\n${installed.stderr}`);
    outside = await outsideFetch(machine, workshop);
  });
  afterAll(() => workshop.close());

  it('ends with the address to give to Claude', () => {
    expect(installed.stdout.trimEnd().split('\n').at(-1)?.trim()).toBe(MCP_URL);
  });

  it('leaves both units active', async () => {
    expect(await machine.must('systemctl is-active fjmcp-broker caddy')).toBe('active\nactive\n');
    const { stdout } = await machine.shell('systemctl --failed --no-legend --plain');
    expect(stdout).toBe('');
  });

  it('serves https on the public name with a chain that only its authority signs', async () => {
    const health = await outside(`${ORIGIN}/healthz`);
    expect(await health.json()).toMatchObject({ status: 'ok', version: VERSIONS.current });
    const { fetch: plain } = globalThis;
    await expect(plain(`${ORIGIN}/healthz`)).rejects.toThrow(/certificate|issuer/i);
    const redirect = await plain(`http://mcp.example.test/x?y`, { redirect: 'manual' });
    expect([redirect.status, redirect.headers.get('location')]).toEqual([308, `${ORIGIN}/x?y`]);
  });

  it('signs a person in and answers a tool call of the official client from outside', async () => {
    const { client, person } = outsideClient(outside);
    await client.authorize(person());
    const sdk = await client.connect();
    const { content } = await sdk.callTool({ name: 'get_my_user_info', arguments: {} });
    expect(JSON.stringify(content)).toContain('alice');
    await client.close();
  });
});
