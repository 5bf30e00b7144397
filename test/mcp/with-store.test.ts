import { afterEach, describe, expect, it } from 'bun:test';
import { silentLog } from '../../app/base/log.ts';
import { digestOf, Secret, systemRandom } from '../../app/base/secret.ts';
import { protectedResource } from '../../app/mcp/protected-resource.ts';
import { createSessionRegistry, type SessionLimits } from '../../app/session/registry.ts';
import {
  addAccount,
  addClient,
  answerOf,
  HOUR,
  issueCode,
  open,
  rotation,
} from '../store/harness.ts';
import { type FakeChild, FakeSupervisor, opens } from '../support/fake-child.ts';
import { passAll } from '../support/rate-limits.ts';
import { STREAM_LIMITS, startGates, testKeyring } from '../support/session-registry.ts';
import { INITIALIZE, ORIGIN, PING, request, rpcErrorOf, tokenNamed, VERSIONS } from './harness.ts';

/** Opens and then answers every request with what it was sent. */
function echoes(child: FakeChild): void {
  opens(child);
  const send = child.send.bind(child);
  child.send = (text) => {
    const message = JSON.parse(text);
    if (message.id !== undefined) queueMicrotask(() => child.answers({ method: message.method }));
    return send(text);
  };
}

const closes: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closes.splice(0)) await close();
});

/** The resource on a real store and a real registry; only the processes are played. */
function whole(limits: Partial<SessionLimits> = {}) {
  const opened = open();
  const { store, clock, metrics } = opened;
  const supervisor = new FakeSupervisor(echoes);
  const expiresAt = clock.now() + HOUR;
  const sessions = createSessionRegistry({
    ...startGates({ clock, log: silentLog, metrics }),
    keyring: testKeyring(),
    store,
    tokens: {
      fresh: () =>
        Promise.resolve({
          ok: true,
          value: { token: new Secret('upstream'), expiresAt, generation: 1 },
        }),
      verify: () => Promise.resolve('good'),
      renewAbsent: () => Promise.resolve(),
    },
    supervisor,
    probeForge: () => Promise.resolve('up'),
    limits: {
      sessionsMax: 100,
      sessionsPerUserMax: 10,
      requestTimeoutMs: 60_000,
      ...STREAM_LIMITS,
      idleTimeoutMs: 60_000,
      handshakeTimeoutMs: 10_000,
      stopGraceMs: 1500,
      ...limits,
    },
    stillAllowed: () => true,
    serverVersions: VERSIONS,
    clock,
    random: systemRandom,
    log: silentLog,
    metrics,
  });
  const plugin = protectedResource({
    store,
    sessions,
    publicOrigin: ORIGIN,
    scopes: createScopeLimits(() => ({
      maxScope: 'forgejo:delete',
      defaultScope: 'forgejo:write',
    })),
    catalogue: reviewedCatalogue(),
    allowedOrigins: () => [],
    serverVersions: VERSIONS,
    bodyBytesMax: 64 * 1024,
    allowIdle: () => undefined,
    rateLimits: passAll,
    clock,
    log: silentLog,
    metrics,
  });
  closes.push(async () => {
    for (const child of supervisor.children) await child.stop('test');
    await store.close();
  });
  const send = (...how: Parameters<typeof request>) => plugin.handle(request(...how));
  const openSession = async (token: string) => {
    const response = await send(INITIALIZE, { token });
    return response.headers.get('mcp-session-id') ?? `refused ${response.status}`;
  };
  return { ...opened, supervisor, sessions, send, openSession };
}

type Whole = ReturnType<typeof whole>;

/** An account that has allowed a client; `name` names the access token. */
async function allow(broker: Whole, name: string, accountId: number, clientId: string) {
  await addClient(broker.store, clientId);
  await addAccount(broker.store, accountId, `user${accountId}`);
  const grant = await issueCode(broker, `code of ${name}`, { clientId, accountId });
  const token = tokenNamed(name);
  const answer = answerOf(broker.clock, token, `refresh of ${name}`);
  await broker.store.authorizationCodes.redeem(digestOf(`code of ${name}`), answer);
  return { grant, token };
}

describe('the protected resource on the real store and registry', () => {
  it('T4, T5: answers a batch in a session of 2025-03-26, and in no other', async () => {
    const broker = whole();
    const { token } = await allow(broker, 'anna', 1, 'client-1');
    const batch = [
      { jsonrpc: '2.0', id: 1, method: 'tools/list' },
      { jsonrpc: '2.0', method: 'notifications/initialized' },
      PING,
    ];
    for (const [version, status] of [
      ['2025-03-26', 200],
      ['2025-06-18', 400],
    ] as const) {
      const params = { ...INITIALIZE.params, protocolVersion: version };
      const opened = await broker.send({ ...INITIALIZE, params }, { token });
      const session = opened.headers.get('mcp-session-id') ?? '';
      const answer = await broker.send(batch, { token, session });
      expect(answer.status).toBe(status);
      if (status !== 200) continue;
      const ids = ((await answer.json()) as { id: number }[]).map(({ id }) => id);
      expect(ids.toSorted()).toEqual([1, 7]);
    }
  });

  it('T18, T21: opens a session, answers in it, ends it', async () => {
    const broker = whole();
    const { token } = await allow(broker, 'anna', 1, 'client-1');
    const session = await broker.openSession(token);
    // T18: visible ASCII, 192 random bits.
    expect(session).toMatch(/^[A-Za-z0-9_-]{32}$/);
    const answer = await broker.send(PING, { token, session });
    expect(await answer.json()).toEqual({ jsonrpc: '2.0', id: 7, result: {} });
    expect((await broker.send(undefined, { method: 'DELETE', token, session })).status).toBe(204);
    expect(broker.supervisor.running).toBe(0);
    const after = await broker.send(PING, { token, session });
    expect(after.status).toBe(404);
    expect((await broker.send(undefined, { method: 'DELETE', token, session })).status).toBe(404);
  });

  it('[punkpeye/mcp-proxy PR #38] starts no child for a request without a good token', async () => {
    const broker = whole();
    const { grant, token } = await allow(broker, 'anna', 1, 'client-1');
    await broker.store.grants.end(grant.id, 'revoked');
    for (const refused of [null, 'garbage', tokenNamed('nobody'), token]) {
      expect((await broker.send(INITIALIZE, { token: refused })).status).toBe(401);
    }
    expect(broker.supervisor.children).toEqual([]);
    expect(broker.sessions.count).toBe(0);
  });

  it('B2, B5: an ended grant is refused from the next request on', async () => {
    const broker = whole();
    const { grant, token } = await allow(broker, 'anna', 1, 'client-1');
    const session = await broker.openSession(token);
    await broker.store.grants.end(grant.id, 'revoked');
    expect((await broker.send(PING, { token, session })).status).toBe(401);
  });

  it('B2: a token is refused from its expiry on', async () => {
    const broker = whole();
    const { token } = await allow(broker, 'anna', 1, 'client-1');
    broker.clock.advance(HOUR);
    expect((await broker.send(INITIALIZE, { token })).status).toBe(401);
  });

  it('B7: an account that must sign in again gets 401 with invalid_token', async () => {
    const broker = whole();
    const { token } = await allow(broker, 'anna', 1, 'client-1');
    const account = await broker.store.accounts.find(1);
    await broker.store.accounts.setState(1, 'needs_sign_in', account?.generation ?? 0);
    const response = await broker.send(INITIALIZE, { token });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
  });

  it('E9: the first use of an access token spends the refresh token before it', async () => {
    const broker = whole();
    await allow(broker, 'anna', 1, 'client-1');
    const next = tokenNamed('second');
    const change = rotation(broker.clock, 'refresh of anna', 'refresh-2', next);
    await broker.store.tokens.rotate(change);
    const confirmed = async () => {
      const found = await broker.store.tokens.findRefresh(digestOf('refresh of anna'));
      return found?.successor?.confirmed;
    };
    expect(await confirmed()).toBe(false);
    await broker.openSession(next);
    expect(await confirmed()).toBe(true);
  });

  it('[ContextForge #1078] B6: S5: serves a session to its account and client, to nobody else', async () => {
    const broker = whole();
    const people: { token: string; session: string }[] = [];
    for (const accountId of [1, 2, 3]) {
      for (const clientId of ['client-1', 'client-2']) {
        const { token } = await allow(broker, `${clientId}_${accountId}`, accountId, clientId);
        people.push({ token, session: await broker.openSession(token) });
      }
    }
    for (const { token } of people) {
      for (const other of people) {
        const response = await broker.send(PING, { token, session: other.session });
        expect(response.status).toBe(token === other.token ? 200 : 404);
        if (token === other.token) continue;
        const ended = await broker.send(undefined, {
          method: 'DELETE',
          token,
          session: other.session,
        });
        expect(ended.status).toBe(404);
      }
    }
    expect(broker.supervisor.running).toBe(people.length);
  });

  it('answers 503 with Retry-After to the session beyond the limit of an account', async () => {
    const broker = whole({ sessionsPerUserMax: 0 });
    const { token } = await allow(broker, 'anna', 1, 'client-1');
    const response = await broker.send(INITIALIZE, { token });
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).not.toBeNull();
    const { id, message } = await rpcErrorOf(response);
    expect(id).toBe('init');
    expect(message).toContain('MAX_SESSIONS_PER_USER');
    expect(broker.supervisor.children.length).toBe(0);
  });

  it('answers 401 to an initialize whose grant ends while the child starts', async () => {
    const broker = whole();
    const { grant, token } = await allow(broker, 'anna', 1, 'client-1');
    const spawn = broker.supervisor.spawn.bind(broker.supervisor);
    broker.supervisor.spawn = (spawning) => {
      queueMicrotask(() => void broker.sessions.endGrant(grant.id, 'revoked'));
      return spawn(spawning);
    };
    expect((await broker.send(INITIALIZE, { token })).status).toBe(401);
    expect(broker.sessions.count).toBe(0);
    expect(broker.supervisor.running).toBe(0);
  });

  it('answers 503 when the store is closed under it', async () => {
    const broker = whole();
    const { token } = await allow(broker, 'anna', 1, 'client-1');
    const session = await broker.openSession(token);
    await broker.store.close();
    const response = await broker.send(PING, { token, session });
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('5');
  });
});

import { createScopeLimits } from '../../app/tools/scope-limits.ts';
import { reviewedCatalogue } from '../support/catalogue.ts';
