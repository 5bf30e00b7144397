import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import { createKeyring } from '../../app/base/keyring.ts';
import { systemRandom } from '../../app/base/secret.ts';
import type { DemoClient } from '../../app/demo/client.ts';
import type { DemoTokenAnswer } from '../../app/demo/forge-tokens.ts';
import { type BrokerProcess, type Stage, setStage } from '../support/broker-process.ts';
import { Canaries, readFiles, searchProcesses } from '../support/canaries.ts';
import { fixtureCommand } from '../support/fixture-supervisor.ts';
import { alice, newClient, tokenOf } from '../support/sign-in.ts';
import { createWiretap } from '../support/wiretap.ts';

const BROWSER_COOKIE = '__Host-fjmcp-browser';

/** The names under which secrets travel between person, client, broker and forge. */
const WIRE_NAMES = [
  ...['access_token', 'refresh_token', 'code', 'code_verifier', 'client_secret', 'approval'],
  ...[BROWSER_COOKIE, 'mcp-session-id'],
];

const ALL_NAMES = [
  ...WIRE_NAMES,
  ...['forge client secret', 'store key', 'client state', 'upstream state', 'upstream verifier'],
  ...['upstream access token', 'upstream refresh token'],
].sort();

const CHILD_VARIABLES = [
  ...['FORGEJO_ACCESS_TOKEN', 'FORGEJO_URL', 'FORGEJO_USER_AGENT', 'HOME', 'LANG', 'PATH'],
];

let stage: Stage;
let broker: BrokerProcess;
let client: DemoClient;
const issued: DemoTokenAnswer[] = [];
const wiretap = createWiretap();
const canaries = new Canaries();
const person = alice({ fetch: wiretap.fetch });

beforeAll(async () => {
  stage = await setStage({
    childCommand: fixtureCommand(),
    // Shorter than what a session needs: each one has the account's tokens renewed.
    forge: { rotation: true, accessTtlS: 600, onTokens: (answer) => issued.push(answer) },
  });
  broker = await stage.start();
  client = confidentialClient('client_secret_post');
});

afterAll(async () => {
  await stage.end();
});

/** Adds what has become known since the last time. */
function collect(): void {
  canaries.add('forge client secret', stage.forgeClientSecret);
  canaries.add('store key', stage.storeKey);
  for (const { access_token, refresh_token } of issued) {
    canaries.add('upstream access token', access_token);
    canaries.add('upstream refresh token', refresh_token);
  }
  const keyring = createKeyring({ current: stage.storeKey, random: systemRandom });
  for (const { url } of wiretap.exchanges) {
    if (url.origin !== stage.forge.url) continue;
    const state = url.searchParams.get('state');
    if (state === null) continue;
    canaries.add('upstream state', state);
    canaries.add('upstream verifier', keyring.upstreamVerifier(state));
  }
  for (const [value, name] of wiretap.valuesOf(WIRE_NAMES)) canaries.add(name, value);
  for (const [value] of wiretap.valuesOf(['state'])) canaries.add('client state', value);
}

/** Searches all that exists at this moment but the children's environments. */
function expectNothingFound(): void {
  collect();
  expect(canaries.in(broker.output)).toEqual([]);
  for (const [name, bytes] of readFiles(stage.storeDirectory)) {
    expect({ name, found: canaries.in(bytes) }).toEqual({ name, found: [] });
  }
  for (const { url, method, status, body } of wiretap.exchanges) {
    if (url.origin !== stage.origin || status < 400) continue;
    // The way back into the same sign-in, for the person who was in it, has the client's state.
    const found = canaries.in(body).filter((name) => name !== 'client state');
    expect({ method, path: url.pathname, found }).toMatchObject({ found: [] });
  }
}

/** The child that was started last, and the upstream token that was the newest then. */
async function newestChild() {
  const pid = Number((await broker.logged('child.started')).at(-1)?.pid);
  return { pid, token: issued.at(-1)?.access_token ?? '' };
}

/** Processes hold no secret, but for each child in `pids` the one token in its environment. */
function expectOnlyInEnvironments(...pids: number[]): void {
  collect();
  expect(searchProcesses(canaries)).toEqual(
    pids.map((pid) => ({ pid, where: 'environment', names: ['upstream access token'] })),
  );
}

function confidentialClient(method: 'client_secret_post' | 'client_secret_basic'): DemoClient {
  const made = newClient(stage.mcpUrl, wiretap.fetch);
  made.memory.clientMetadata.token_endpoint_auth_method = method;
  return made;
}

function ask(
  path: string,
  init: Omit<RequestInit, 'headers'> & { headers?: Record<string, string> } = {},
): Promise<Response> {
  return wiretap.fetch(`${stage.origin}${path}`, { redirect: 'manual', ...init });
}

/** The credentials of a confidential client, and more fields, as a form. */
function form(of: DemoClient, fields: Record<string, string>): URLSearchParams {
  const { client_id, client_secret } = of.memory.information ?? { client_id: '' };
  return new URLSearchParams({ client_id, client_secret: client_secret ?? '', ...fields });
}

const refreshTokenOf = (of: DemoClient) => of.memory.current?.refresh_token ?? '';

async function post(path: string, body: URLSearchParams): Promise<number> {
  return (await ask(path, { method: 'POST', body })).status;
}

describe('secrets in a whole run', () => {
  it('[logging class] stay where they belong from registration to a first call', async () => {
    expectNothingFound();
    await client.authorize(person);
    expectOnlyInEnvironments();
    expectNothingFound();

    const sdk = await client.connect();
    await sdk.callTool({ name: 'echo', arguments: {} });
    const child = await newestChild();
    expectOnlyInEnvironments(child.pid);
    const environment = await Bun.file(`/proc/${child.pid}/environ`).text();
    const variables = environment.split('\0').filter(Boolean);
    expect(variables).toContain(`FORGEJO_ACCESS_TOKEN=${child.token}`);
    // Nothing of the broker's own environment, which may hold what an administrator put there.
    expect(variables.map((variable) => variable.split('=')[0]).sort()).toEqual(CHILD_VARIABLES);
    expectNothingFound();
  });

  it('[logging class] are scrubbed from what a child writes to its stderr', async () => {
    await client.client.callTool({ name: 'leak', arguments: {} });
    const lines = await broker.logged('child.stderr', 5);
    expect(lines.map(({ line }) => String(line)).join('\n')).toContain('token is [secret]');
    expectNothingFound();
    await client.close();
    // The last line, which had no end, comes with the end of the child.
    expect(await broker.logged('child.stderr', 6)).toHaveLength(6);
    expectNothingFound();
    expectOnlyInEnvironments();
  });

  it('[logging class] stay there through refresh, its repetition, and reuse', async () => {
    const spent = refreshTokenOf(client);
    await client.refresh();
    const repeated = form(client, { grant_type: 'refresh_token', refresh_token: spent });
    expect(await post('/oauth/token', repeated)).toBe(200);
    await client.connect();
    const other = confidentialClient('client_secret_basic');
    await other.authorize(person);
    await other.connect();
    const pids = (await broker.logged('child.started', 3)).map(({ pid }) => Number(pid));
    expectOnlyInEnvironments(...pids.slice(-2).sort((a, b) => a - b));

    // Whose stream is ended begins a sign-in of its own, which would race those of the next tests.
    await client.client.close();
    await other.client.close();
    expect(await post('/oauth/token', repeated)).toBe(400);
    await broker.logged('child.exited', 2);
    expect(await broker.logged('grant.ended')).toMatchObject([{ reason: 'refresh_reuse' }]);
    expectOnlyInEnvironments(Number(pids.at(-1)));
    const revoke = new URLSearchParams({ token: refreshTokenOf(other) });
    const { client_id, client_secret } = other.memory.information ?? { client_id: '' };
    const authorization = `Basic ${btoa(`${client_id}:${client_secret}`)}`;
    const headers = { authorization };
    const revoked = await ask('/oauth/revoke', { method: 'POST', body: revoke, headers });
    expect(revoked.status).toBe(200);
    await broker.logged('child.exited', 3);
    expectOnlyInEnvironments();
    expectNothingFound();
  });

  it('[logging class] stay there when a code is used twice, or by the wrong one', async () => {
    client.memory.current = undefined;
    const url = await client.startAuthorization();
    const redirected = await person.authorize(url, client.memory.redirectUrl);
    const code = redirected.searchParams.get('code') ?? '';
    const exchange = (more: Record<string, string>) =>
      post(
        '/oauth/token',
        form(client, {
          grant_type: 'authorization_code',
          redirect_uri: client.memory.redirectUrl,
          code_verifier: client.memory.codeVerifier(),
          code,
          ...more,
        }),
      );
    expect(await exchange({ code_verifier: 'v'.repeat(43) })).toBe(400);
    expect(await exchange({ client_secret: `${client.memory.information?.client_secret}x` })).toBe(
      401,
    );
    await client.finishAuthorization(redirected);
    expect(await exchange({})).toBe(400);
    expectNothingFound();
  });

  it('[logging class] are not repeated to who sends them to the wrong place', async () => {
    client.memory.current = undefined;
    await client.authorize(person);
    const token = tokenOf(client);
    const upstream = issued.at(-1);
    const callback = wiretap.exchanges.find(({ url }) => url.pathname === '/oauth/callback');
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const secret = client.memory.information?.client_secret ?? '';
    const wrong: [status: number, Promise<Response>][] = [
      [401, ask(`/mcp?access_token=${token}`, { method: 'POST' })],
      [401, ask('/mcp', { headers: { authorization: `Bearer ${upstream?.access_token}` } })],
      [401, ask('/mcp', { headers: { authorization: `Basic ${btoa(`x:${secret}`)}` } })],
      [400, ask('/mcp', { headers: { authorization: `Bearer ${token}, Bearer ${token}` } })],
      [400, ask('/mcp', { method: 'POST', headers, body: `{"token":"${token}"` })],
      [
        404,
        ask('/mcp', {
          method: 'POST',
          headers: { ...headers, 'mcp-session-id': secret },
          body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
        }),
      ],
      [404, ask(`/nothing/${token}?code=${secret}`, { headers: { accept: 'text/html' } })],
      [404, ask(`/nothing/${token}?code=${secret}`)],
      [400, ask(`${callback?.url.pathname}${callback?.url.search}`)],
      [400, ask(`/oauth/authorize?client_id=${secret}&redirect_uri=${token}`)],
      [403, ask(`/oauth/token?token=${token}`, { headers: { host: `${secret}.example` } })],
      [
        400,
        ask('/oauth/register', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ redirect_uris: [`javascript:${token}`] }),
        }),
      ],
      [
        400,
        ask('/oauth/token', {
          method: 'POST',
          body: form(client, {
            grant_type: 'refresh_token',
            refresh_token: upstream?.refresh_token ?? '',
          }),
        }),
      ],
    ];
    const statuses = await Promise.all(wrong.map(async ([, answer]) => (await answer).status));
    expect(statuses).toEqual(wrong.map(([status]) => status));
    expectNothingFound();
  });

  it('[logging class] are not told in words of a forge that fails', async () => {
    for (const fault of [
      { kind: 'html' },
      { kind: 'cut' },
      { kind: 'status', status: 500 },
    ] as const) {
      stage.forge.faults.set(fault, { on: '/login/oauth/access_token', times: 1 });
      await expect(client.connect()).resolves.toBeDefined();
    }
    stage.forge.revokeGrant('alice');
    await expect(client.connect()).rejects.toThrow();
    await broker.logged('account.needs_sign_in');
    expectNothingFound();
  });

  it('[logging class] are in no file after the end, and the search was one for all of them', async () => {
    broker.kill('SIGTERM');
    expect((await broker.exited).code).toBe(0);
    expectNothingFound();
    expectOnlyInEnvironments();

    expect(canaries.names).toEqual(ALL_NAMES);
    const control = new Canaries();
    control.add('client id', client.memory.information?.client_id ?? '');
    expect(control.in(broker.output)).toEqual(['client id']);
    const files = readFiles(stage.storeDirectory);
    expect([...files.keys()].sort()).toEqual(['store.sqlite', 'store.sqlite.lock']);
    expect(control.in(files.get('store.sqlite') ?? '')).toEqual(['client id']);
    expect(broker.log().some(({ level }) => level === 'debug')).toBe(true);
  });
});
