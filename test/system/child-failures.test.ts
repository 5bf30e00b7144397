import { afterEach, describe, expect, it } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixtureCommand } from '../support/fixture-supervisor.ts';
import { expectNothingInternal } from '../support/internals.ts';
import { descriptorCount, isAlive, zombieCount } from '../support/processes.ts';
import { RawClient, rpcAnswer } from '../support/raw-client.ts';
import { tokenOf } from '../support/sign-in.ts';
import { SkippingClock } from '../support/skipping-clock.ts';
import { type SystemOptions, startSystem, type TestSystem } from '../support/system.ts';

const HANDSHAKE_TIMEOUT_MS = 20_000;
/** Shorter than what a session needs: opening one renews the account's token. */
const RENEWED_EACH_TIME = { accessTtlS: 600 };

let system: TestSystem;

afterEach(async () => {
  await system.stop();
});

/** A client that has signed in to a system of this kind. */
async function signedIn(options: SystemOptions) {
  system = await startSystem(options);
  const client = system.client();
  await client.authorize(system.person());
  return { client, raw: new RawClient(system.mcpUrl, tokenOf(client)) };
}

function withChild(...childCommand: string[]): SystemOptions {
  return { config: { childCommand } };
}

/** Asserts that an `initialize` opens nothing and leaves nothing behind; gives its answer. */
async function refusal(raw: RawClient, status: number, meanwhile?: () => Promise<void>) {
  const opening = raw.initialize();
  await meanwhile?.();
  const response = await opening;
  expect(response.status).toBe(status);
  expect(response.headers.get('mcp-session-id')).toBeNull();
  expect(response.headers.get('content-type')).toBe('application/json');
  expectNothingInternal(await response.clone().text());
  const { error, ...rest } = await rpcAnswer(response);
  expect(rest).toEqual({ jsonrpc: '2.0', id: raw.lastId } as object as typeof rest);
  expect(error?.code).toBe(-32000);
  const { metrics } = system.broker;
  expect((await metrics.sessions.get()).values[0]?.value ?? 0).toBe(0);
  expect((await metrics.children.get()).values[0]?.value ?? 0).toBe(0);
  expect(started().filter(isAlive)).toEqual([]);
  return { message: error?.message ?? '', headers: response.headers };
}

function logged(event: string): Record<string, unknown>[] {
  return system.logLines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((entry) => entry.event === event);
}

const started = (): number[] => logged('child.started').map(({ pid }) => Number(pid));

const SECONDS = /^[1-9]\d*$/;

describe('a session whose forge is away', () => {
  it('is 503 with Retry-After when the program gives up, and opens when the forge is back', async () => {
    const { raw } = await signedIn({});
    system.forge.faults.set({ kind: 'refuse' });
    const { headers, message } = await refusal(raw, 503);
    expect(headers.get('retry-after')).toMatch(SECONDS);
    expect(message).toContain('Forgejo');
    expect(logged('session.not_opened')).toMatchObject([{ reason: 'forge_away' }]);

    system.forge.faults.clear();
    expect((await raw.initialize()).status).toBe(200);
  });

  it('is 503 when the token cannot be renewed, whichever way the forge fails', async () => {
    const { raw } = await signedIn({ forge: { accessTtlS: 200 } });
    for (const fault of [
      { kind: 'status', status: 500 },
      { kind: 'status', status: 429 },
      { kind: 'html' },
      { kind: 'cut' },
      { kind: 'refuse' },
    ] as const) {
      system.forge.faults.set(fault);
      expect((await refusal(raw, 503)).headers.get('retry-after')).toMatch(SECONDS);
      system.forge.faults.clear();
    }
    expect(started()).toEqual([]);
    expect(logged('account.needs_sign_in')).toEqual([]);
    expect((await raw.initialize()).status).toBe(200);
  });

  it('opens with the token at hand while only the renewal fails', async () => {
    const { raw } = await signedIn({ forge: RENEWED_EACH_TIME });
    system.forge.faults.set({ kind: 'status', status: 502 }, { on: '/login/oauth/access_token' });
    expect((await raw.initialize()).status).toBe(200);
    expect(await (await raw.call('get_my_user_info')).text()).toContain('alice');
  });
});

describe('a session whose token the forge refuses', () => {
  it('B7: is 401 when the token cannot be renewed, and leads to a new sign-in', async () => {
    const { client, raw } = await signedIn({ forge: RENEWED_EACH_TIME });
    system.forge.revokeGrant('alice');
    const { headers, message } = await refusal(raw, 401);
    expect(headers.get('www-authenticate')).toContain('error="invalid_token"');
    expect(message).toContain('sign in');
    await expect(client.refresh()).rejects.toThrow();
    await client.authorize(system.person());
    expect((await new RawClient(system.mcpUrl, tokenOf(client)).initialize()).status).toBe(200);
  });

  it('B7: is 401 before a program is started with it, and leads to a new sign-in', async () => {
    const { client, raw } = await signedIn(withChild(...fixtureCommand('--exit-at-start')));
    system.forge.revokeGrant('alice');
    const { headers } = await refusal(raw, 401);
    expect(headers.get('www-authenticate')).toContain('error="invalid_token"');
    // A 401 alone would leave official clients in a loop of refresh and 401.
    expect(logged('account.needs_sign_in')).toMatchObject([{ login: 'alice' }]);
    await expect(client.refresh()).rejects.toThrow();
    expect((await raw.initialize()).status).toBe(401);
    expect(started()).toEqual([]);
  });

  it('is renewed once before a program is started, which gets the new one', async () => {
    const { raw } = await signedIn({});
    const answer = { kind: 'answer', status: 401, body: {} } as const;
    system.forge.faults.set(answer, { on: '/api/v1/user', times: 1 });
    expect((await raw.initialize()).status).toBe(200);
    expect(await (await raw.call('get_my_user_info')).text()).toContain('alice');
    expect(logged('account.renewed')).toHaveLength(1);
    expect(logged('account.needs_sign_in')).toEqual([]);
  });
});

describe('a session whose program cannot be used', () => {
  it('is 502 when it is missing', async () => {
    const { raw } = await signedIn(withChild('/nonexistent/forgejo-mcp', '--transport', 'stdio'));
    expect((await refusal(raw, 502)).message).toContain('program');
    expect(logged('session.not_opened')).toMatchObject([{ reason: 'program' }]);
  });

  it('is 502 when it is no program', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'fjmcp-no-program-'));
    const path = join(directory, 'forgejo-mcp');
    writeFileSync(path, 'this is a letter');
    try {
      const { raw } = await signedIn(withChild(path));
      await refusal(raw, 502);
      chmodSync(path, 0o755);
      await refusal(raw, 502);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('is 502 when it ends at once', async () => {
    const { raw } = await signedIn(withChild(...fixtureCommand('--exit-at-start')));
    await refusal(raw, 502);
    expect(logged('session.not_opened')).toMatchObject([
      { reason: 'child_failed', detail: expect.stringContaining('exit code 7') },
    ]);
  });

  it('leaves no descriptor and no zombie, however often it is tried', async () => {
    const { raw } = await signedIn(withChild(...fixtureCommand('--exit-at-start')));
    await refusal(raw, 502);
    const descriptors = descriptorCount();
    for (let tries = 0; tries < 20; tries += 1) await refusal(raw, 502);
    // The last pipes close behind the answer; the time limit of the test is the bound.
    while (descriptorCount() > descriptors) await Bun.sleep(5);
    while (zombieCount() > 0) await Bun.sleep(5);
  });

  it('is 502 when it never answers, and the program is stopped', async () => {
    const clock = new SkippingClock();
    const { raw } = await signedIn({
      ...withChild(...fixtureCommand('--hang-on-initialize', '--ignore-stdin-end')),
      clock,
    });
    await refusal(raw, 502, async () => {
      while (started().length === 0) await Bun.sleep(2);
      clock.skip(HANDSHAKE_TIMEOUT_MS);
    });
    expect(logged('child.exited')).toMatchObject([{ reason: 'handshake_failed' }]);
  });

  it('P3: is 502 when it speaks a version that nobody knows', async () => {
    const { raw } = await signedIn(withChild(...fixtureCommand('--other-version')));
    await refusal(raw, 502);
  });

  it("is the program's own error when it refuses", async () => {
    const { raw } = await signedIn(withChild(...fixtureCommand('--refuse-initialize')));
    const refused = await raw.initialize();
    expect(refused.status).toBe(200);
    expect(refused.headers.get('mcp-session-id')).toBeNull();
    expect(await rpcAnswer(refused)).toMatchObject({ id: 1, error: { message: 'not you' } });
  });
});

describe('a program that ends', () => {
  it('P7: leaves an error for the call under way, and what follows is answered by another one', async () => {
    const { raw } = await signedIn(withChild(...fixtureCommand()));
    await raw.initialize();
    const answer = await raw.call('die');
    expect(answer.status).toBe(200);
    expect((await rpcAnswer(answer)).error).toEqual({
      code: -32000,
      message: 'the program of this session ended',
    });
    const next = await rpcAnswer(await raw.call('echo'));
    expect(next.error).toBeUndefined();
    expect(started()).toHaveLength(2);
  });
});
