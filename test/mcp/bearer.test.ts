import { describe, expect, it } from 'bun:test';
import { Elysia } from 'elysia';
import { asDigest, digestOf } from '../../app/base/secret.ts';
import { StoreError } from '../../app/store/store-error.ts';
import {
  ALICE,
  BOB,
  INITIALIZE,
  ORIGIN,
  PING,
  RPC_ERROR,
  resourceUnderTest,
  rpcErrorOf,
  tokenNamed,
} from './harness.ts';

const METADATA = `resource_metadata="${ORIGIN}/.well-known/oauth-protected-resource/mcp"`;
const METHODS = ['POST', 'DELETE', 'GET', 'HEAD', 'PUT', 'PATCH'];

async function refusedCount(resource: ReturnType<typeof resourceUnderTest>, reason: string) {
  const { values } = await resource.metrics.bearerRefused.get();
  return values.find((value) => value.labels.reason === reason)?.value ?? 0;
}

describe('bearer guard (RFC 6750)', () => {
  for (const method of METHODS) {
    it(`B1: answers ${method} without a token by a challenge without an error code`, async () => {
      const { send } = resourceUnderTest();
      const response = await send(PING, { method, token: null, session: 's-alice' });
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe(
        `Bearer ${METADATA}, scope="forgejo:read forgejo:write"`,
      );
    });

    it(`B2: refuses ${method} with an unknown token as invalid_token`, async () => {
      const { send } = resourceUnderTest();
      const response = await send(PING, { method, token: tokenNamed('nobody') });
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toStartWith('Bearer error="invalid_token"');
    });
  }

  it('D4: carries resource_metadata in every 401', async () => {
    const { send, store } = resourceUnderTest();
    store.put(tokenNamed('ended'), { grantEnded: true });
    for (const token of [null, tokenNamed('nobody'), tokenNamed('ended'), 'garbage']) {
      const response = await send(PING, { token });
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toContain(METADATA);
    }
  });

  it('D12: does not name offline_access in the challenge', async () => {
    const { send } = resourceUnderTest();
    const response = await send(PING, { token: null });
    expect(response.headers.get('www-authenticate')).not.toContain('offline_access');
  });

  it('B1: answers in JSON-RPC, not in HTML', async () => {
    const { send } = resourceUnderTest();
    const response = await send(PING, { token: null });
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await rpcErrorOf(response)).toMatchObject({ id: null, code: RPC_ERROR.invalidRequest });
  });

  const cases = [
    { name: 'an expired token', proof: { expiresAt: 0 }, reason: 'expired' },
    { name: 'a token of an ended grant', proof: { grantEnded: true }, reason: 'ended' },
    {
      name: 'a token for another resource',
      proof: { resource: `${ORIGIN}/other` },
      reason: 'other_resource',
    },
    {
      name: 'a token for the origin instead of the resource',
      proof: { resource: ORIGIN },
      reason: 'other_resource',
    },
  ] as const;
  for (const { name, proof, reason } of cases) {
    it(`B2: refuses ${name} as invalid_token and counts it`, async () => {
      const resource = resourceUnderTest();
      resource.store.put(ALICE, proof);
      const response = await resource.send(PING, { session: 's-alice' });
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
      expect(await refusedCount(resource, reason)).toBe(1);
      expect(resource.alice.calls).toEqual([]);
    });
  }

  it('B2: takes a token until the millisecond of its expiry and not at it', async () => {
    const { send, store, clock } = resourceUnderTest();
    store.put(ALICE, { expiresAt: clock.now() + 1 });
    expect((await send(PING, { session: 's-alice' })).status).toBe(200);
    clock.advance(1);
    expect((await send(PING, { session: 's-alice' })).status).toBe(401);
  });

  for (const accountState of ['needs_sign_in', 'disabled'] as const) {
    it(`B7: sends an account in state ${accountState} to sign in again`, async () => {
      const { send, store } = resourceUnderTest();
      store.put(ALICE, { accountState });
      const response = await send(PING, { session: 's-alice' });
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
      expect((await rpcErrorOf(response)).message).toBe('sign in to Forgejo again');
    });
  }

  const malformed = [
    'Bearer',
    'Bearer ',
    `Bearer ${ALICE} extra`,
    `Bearer ${ALICE}, Bearer ${BOB}`,
    `Basic YTpi, Bearer ${ALICE}`,
    `Bearer ${ALICE}, Basic YTpi`,
    'Basic YTpi, Basic YTpj',
    'Bearer "quoted"',
  ];
  for (const authorization of malformed) {
    const shape = authorization.replaceAll(/fjmcp_at_\w+/g, 'T');
    it(`B4: answers 400 invalid_request to "${shape}"`, async () => {
      const { send, store } = resourceUnderTest();
      const response = await send(PING, { headers: { authorization }, session: 's-alice' });
      expect(response.status).toBe(400);
      expect(response.headers.get('www-authenticate')).toContain('error="invalid_request"');
      expect(store.lookups).toBe(0);
    });
  }

  it('B4: ignores a token in the query', async () => {
    const { send, store } = resourceUnderTest();
    const response = await send(PING, { token: null, path: `/mcp?access_token=${ALICE}` });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).not.toContain('error=');
    expect(store.lookups).toBe(0);
  });

  it('B4: does not let a token in the query spoil a good one in the header', async () => {
    const { send } = resourceUnderTest();
    const path = '/mcp?access_token=other';
    expect((await send(PING, { path, session: 's-alice' })).status).toBe(200);
  });

  it('B1: treats another scheme as no credentials', async () => {
    const { send } = resourceUnderTest();
    for (const authorization of [
      'Basic YTpi',
      'Digest username="a", realm="b"',
      `token ${ALICE}`,
    ]) {
      const response = await send(PING, { headers: { authorization } });
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).not.toContain('error=');
    }
  });

  it('B5: takes the scheme in any case and with more than one space (RFC 9110 section 11.1)', async () => {
    const { send } = resourceUnderTest();
    for (const scheme of ['bearer', 'BEARER', 'Bearer ']) {
      const headers = { authorization: `${scheme} ${ALICE}` };
      expect((await send(PING, { headers, session: 's-alice' })).status).toBe(200);
    }
  });

  it('B5: asks the store at every request, also inside a session', async () => {
    const { send, store } = resourceUnderTest();
    await send(PING, { session: 's-alice' });
    await send(PING, { session: 's-alice' });
    expect(store.lookups).toBe(2);
    store.put(ALICE, { grantEnded: true });
    expect((await send(PING, { session: 's-alice' })).status).toBe(401);
  });

  it('B5: notes the use of the grant, and only of a good one', async () => {
    const { send, store } = resourceUnderTest();
    await send(PING, { token: tokenNamed('nobody'), session: 's-alice' });
    expect(store.usedGrants).toEqual([]);
    await send(PING, { session: 's-alice' });
    expect(store.usedGrants).toEqual(['grant-alice']);
  });

  it('E9: confirms the token answer at its first use, once', async () => {
    const { send, store } = resourceUnderTest();
    const answer = asDigest('answer-1');
    store.put(ALICE, { unconfirmedAnswer: answer });
    await send(PING, { session: 's-alice' });
    await send(PING, { session: 's-alice' });
    expect(store.confirmed).toEqual([answer]);
  });

  it('E9: does not confirm the answer of a token that is refused', async () => {
    const { send, store } = resourceUnderTest();
    store.put(ALICE, { unconfirmedAnswer: asDigest('answer-1'), grantEnded: true });
    await send(PING, { session: 's-alice' });
    expect(store.confirmed).toEqual([]);
  });

  it('S3: never accepts a token of Forgejo, and does not look it up', async () => {
    const { send, store } = resourceUnderTest();
    const jwt = `eyJhbGciOiJSUzI1NiJ9.${'a'.repeat(600)}.${'b'.repeat(200)}`;
    for (const token of [jwt, `gto_${'a'.repeat(52)}`, 'a'.repeat(40)]) {
      // Even if such a value had got into the table of our tokens.
      store.proofs.set(digestOf(token), [...store.proofs.values()][0]!);
      expect((await send(PING, { token, session: 's-alice' })).status).toBe(401);
    }
    expect(store.lookups).toBe(0);
  });

  it('B8: checks the token before it looks for the session', async () => {
    const { send, sessions } = resourceUnderTest();
    expect((await send(PING, { token: tokenNamed('nobody'), session: 's-x' })).status).toBe(401);
    expect(sessions.found).toEqual([]);
  });

  it('B8: answers 404 and not 401 to a good token with an unknown session', async () => {
    const { send } = resourceUnderTest();
    expect((await send(PING, { session: 's-unknown' })).status).toBe(404);
  });

  for (const kind of ['full', 'busy', 'broken'] as const) {
    it(`answers 503 with Retry-After when the store is ${kind}, and leaks nothing`, async () => {
      const { send, store } = resourceUnderTest();
      store.failure = new StoreError(kind, new Error('SQLITE_FULL /var/lib/secret-path'));
      const response = await send(PING, { session: 's-alice' });
      expect(response.status).toBe(503);
      expect(response.headers.get('retry-after')).toBe('5');
      expect(await response.text()).not.toMatch(/SQLITE|secret-path/);
    });
  }

  it('answers 503 when the disk is full at the confirming of a token answer', async () => {
    const { send, store, alice } = resourceUnderTest();
    store.put(ALICE, { unconfirmedAnswer: asDigest('answer-1') });
    store.writeFailure = new StoreError('full');
    expect((await send(PING, { session: 's-alice' })).status).toBe(503);
    expect(alice.calls).toEqual([]);
  });

  it('answers 500 in JSON-RPC without detail to a fault of the broker itself', async () => {
    const { send, store } = resourceUnderTest();
    store.failure = new TypeError('secret detail');
    const response = await send(PING, { session: 's-alice' });
    expect(response.status).toBe(500);
    expect(await rpcErrorOf(response)).toEqual({
      id: null,
      code: RPC_ERROR.internalError,
      message: 'internal error',
    });
  });

  it('guards its own routes and none of the application that mounts it', async () => {
    const { plugin } = resourceUnderTest();
    const app = new Elysia().use(plugin).get('/healthz', () => 'fine');
    expect((await app.handle(new Request('http://localhost/healthz'))).status).toBe(200);
    expect((await app.handle(new Request('http://localhost/mcp'))).status).toBe(401);
  });
});

describe('bearer guard against what happened to others', () => {
  it('[punkpeye/mcp-proxy PR #38] allocates nothing for a request without a good token', async () => {
    const { send, sessions } = resourceUnderTest();
    for (const token of [null, 'garbage', tokenNamed('nobody')]) {
      expect((await send(INITIALIZE, { token })).status).toBe(401);
    }
    expect(sessions.opened).toEqual([]);
    expect(sessions.found).toEqual([]);
  });

  it('[GHSA-5648-rgj9-v224] fills no session slot by garbage tokens', async () => {
    const { send, sessions, store } = resourceUnderTest();
    for (let n = 0; n < 200; n += 1) {
      await send(INITIALIZE, { token: `garbage-${n}`, session: `s-${n}` });
    }
    expect(sessions.opened).toEqual([]);
    expect(store.lookups).toBe(0);
  });

  it('[CVE-2026-33946] does not take a session id for a credential', async () => {
    const { send, alice, sessions } = resourceUnderTest();
    for (const method of ['POST', 'DELETE', 'GET']) {
      const response = await send(PING, { method, token: null, session: 's-alice' });
      expect(response.status).toBe(401);
    }
    expect(alice.calls).toEqual([]);
    expect(alice.ends).toEqual([]);
    expect(sessions.found).toEqual([]);
  });

  it('[ContextForge #1078] serves each token as its own account and no other', async () => {
    const { send, sessions } = resourceUnderTest();
    await send(INITIALIZE, { token: BOB });
    await send(INITIALIZE, { token: ALICE });
    expect(sessions.opened.map((owner) => owner.accountId)).toEqual([2, 1]);
    expect(sessions.opened.map((owner) => owner.grantId)).toEqual(['grant-bob', 'grant-alice']);
  });

  it('[CVE-2025-49596] asks for a token at every verb, whatever the Origin', async () => {
    const { send } = resourceUnderTest();
    for (const method of METHODS) {
      for (const origin of ['https://evil.example', ORIGIN]) {
        const response = await send(PING, { method, token: null, headers: { origin } });
        expect(response.status).toBe(401);
      }
    }
  });
});
