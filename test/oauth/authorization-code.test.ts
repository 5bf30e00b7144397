import { beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import { CODE_TTL_MS } from '../../app/oauth/issue-code.ts';
import { verifierMatches } from '../../app/oauth/pkce.ts';
import {
  answerOf,
  authorizeUrl,
  CHALLENGE,
  HOUR,
  REDIRECT_URI,
  RESOURCE,
  type Registered,
  TestBrowser,
  TestServer,
  type Tokens,
  VERIFIER,
} from './harness.ts';

let server: TestServer;
let client: Registered;

beforeEach(async () => {
  server = new TestServer();
  client = await server.register();
});

async function code(change: Record<string, string | undefined> = {}): Promise<string> {
  return (await server.signIn(client, change)).searchParams.get('code') ?? '';
}

const INVALID_GRANT = { status: 400, body: { error: 'invalid_grant' } };

describe('authorization code grant (OAuth 2.1 section 4.1.3), refused', () => {
  it('E6: for a code used twice, and ends the grant with all its tokens', async () => {
    const value = await code();
    const tokens = (await (await server.exchange(client, value)).json()) as Tokens;
    const [grant] = await server.grants();
    expect(await server.use(tokens.access_token)).toBe(true);
    expect(await answerOf(await server.exchange(client, value))).toMatchObject(INVALID_GRANT);
    expect(await server.use(tokens.access_token)).toBe(false);
    expect(await answerOf(await server.refresh(client, tokens.refresh_token))).toMatchObject(
      INVALID_GRANT,
    );
    expect(server.ended).toEqual([{ grantId: grant?.id ?? '', reason: 'code_reuse' }]);
    expect(await server.metrics.registry.metrics()).toContain(
      'fjmcp_grants_ended_total{reason="code_reuse"} 1',
    );
  });

  it('E6: for a used code an hour later too, with any verifier, and tells of the end once', async () => {
    const value = await code();
    await server.exchange(client, value);
    server.clock.advance(HOUR);
    const wrong = { code_verifier: VERIFIER.toUpperCase() };
    expect(await answerOf(await server.exchange(client, value, wrong))).toMatchObject(
      INVALID_GRANT,
    );
    expect(await answerOf(await server.exchange(client, value))).toMatchObject(INVALID_GRANT);
    expect(server.ended).toHaveLength(1);
  });

  it('E6: for the second of two exchanges that race, and ends the grant', async () => {
    const value = await code();
    const answers = await Promise.all([
      server.exchange(client, value),
      server.exchange(client, value),
    ]);
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 400]);
    expect(server.ended).toMatchObject([{ reason: 'code_reuse' }]);
    expect(await server.grants()).toHaveLength(0);
  });

  it('E6: at sixty seconds, and not a millisecond before', async () => {
    const [early, late] = [await code(), await code()];
    expect(CODE_TTL_MS).toBe(60_000);
    server.clock.advance(CODE_TTL_MS - 1);
    expect((await server.exchange(client, early)).status).toBe(200);
    server.clock.advance(1);
    expect(await answerOf(await server.exchange(client, late))).toMatchObject(INVALID_GRANT);
    expect(server.ended).toHaveLength(0);
  });

  it('E6: for the code of another client, which stays good for its own', async () => {
    const value = await code();
    const thief = await server.register({ client_name: 'A thief' });
    expect(await answerOf(await server.exchange(thief, value))).toMatchObject(INVALID_GRANT);
    expect((await server.exchange(client, value)).status).toBe(200);
  });

  it('E6: for a used code in the hands of another client, which cannot end the grant', async () => {
    const value = await code();
    await server.exchange(client, value);
    const thief = await server.register({ client_name: 'A thief' });
    expect(await answerOf(await server.exchange(thief, value))).toMatchObject(INVALID_GRANT);
    expect(server.ended).toHaveLength(0);
    expect(await server.grants()).toHaveLength(1);
  });

  it('E6: for an unknown code, and for the digest of a real one', async () => {
    const value = await code();
    for (const wrong of [
      `fjmcp_ac_${'x'.repeat(43)}`,
      digestOf(value),
      value.slice(9),
      `${value} `,
    ]) {
      expect(await answerOf(await server.exchange(client, wrong))).toMatchObject(INVALID_GRANT);
    }
    expect((await server.exchange(client, value)).status).toBe(200);
  });

  it('[CVE-2025-4143] for another redirect URI than that of the request, or none', async () => {
    const value = await code();
    for (const uri of [`${REDIRECT_URI}/`, 'https://evil.example/callback', '']) {
      const response = await server.exchange(client, value, { redirect_uri: uri });
      expect(await answerOf(response)).toMatchObject(INVALID_GRANT);
    }
    expect((await server.exchange(client, value)).status).toBe(200);
  });

  it('E7: for another loopback port than that of the request', async () => {
    client = await server.register({ redirect_uris: ['http://localhost/callback'] });
    const value = await code({ redirect_uri: 'http://localhost:1111/callback' });
    for (const uri of ['http://localhost:2222/callback', 'http://localhost/callback']) {
      const response = await server.exchange(client, value, { redirect_uri: uri });
      expect(await answerOf(response)).toMatchObject(INVALID_GRANT);
    }
    const right = { redirect_uri: 'http://localhost:1111/callback' };
    expect((await server.exchange(client, value, right)).status).toBe(200);
  });

  it('E3: for a verifier that does not match, is too short, too long or of another alphabet', async () => {
    const value = await code();
    for (const verifier of [
      `${VERIFIER}x`,
      VERIFIER.slice(0, 42),
      'v'.repeat(129),
      `${VERIFIER.slice(1)} `,
      CHALLENGE,
    ]) {
      const response = await server.exchange(client, value, { code_verifier: verifier });
      expect(await answerOf(response)).toMatchObject(INVALID_GRANT);
    }
    expect((await server.exchange(client, value)).status).toBe(200);
  });

  it('E5: for another resource, with invalid_target', async () => {
    const value = await code();
    const response = await server.exchange(client, value, {
      resource: 'https://other.example/mcp',
    });
    expect(await answerOf(response)).toMatchObject({
      status: 400,
      body: { error: 'invalid_target' },
    });
    expect((await server.exchange(client, value, { resource: `${RESOURCE}/` })).status).toBe(200);
  });

  it('E6: once its grant has ended', async () => {
    const value = await code();
    const [grant] = await server.grants();
    await server.store.grants.end(grant?.id ?? '', 'revoked');
    expect(await answerOf(await server.exchange(client, value))).toMatchObject(INVALID_GRANT);
  });

  it('tells the client nothing but the code, and the log the reason and whose request it was', async () => {
    const response = await server.exchange(client, 'unknown');
    expect(await response.json()).toEqual({
      error: 'invalid_grant',
      error_description: 'the authorization code is not good',
    });
    expect(server.log.of('token.refused')).toMatchObject([
      {
        ...{ level: 'warn', error: 'invalid_grant', reason: 'the code is unknown' },
        client: client.client_id,
      },
    ]);
    expect(await server.metrics.registry.metrics()).toContain(
      'fjmcp_tokens_refused_total{error="invalid_grant"} 1',
    );
  });
});

describe('authorization code grant (OAuth 2.1 section 4.1.3), granted', () => {
  it('E6: to the grant of the person who signed in, for the client that asked', async () => {
    const tokens = (await (await server.exchange(client, await code())).json()) as Tokens;
    const proof = await server.store.tokens.findAccess(digestOf(tokens.access_token));
    expect(proof).toMatchObject({
      accountId: 7,
      login: 'alice',
      clientId: client.client_id,
      scope: 'forgejo:read forgejo:write',
      permission: '{"scope":"forgejo:write","toolsets":"all","targets":"all"}',
      resource: RESOURCE,
      expiresAt: server.clock.now() + 8 * HOUR,
      unconfirmedAnswer: null,
    });
  });

  it('E5: with the one resource as audience, in whichever form it was asked for', async () => {
    for (const resource of [undefined, 'https://BROKER.example/', `${RESOURCE}/`]) {
      await server.exchange(client, await code({ resource }));
    }
    for (const grant of await server.grants()) expect(grant.resource).toBe(RESOURCE);
  });

  it('E7: without redirect_uri, or with the only one, when the request had none', async () => {
    const without = await code({ redirect_uri: undefined });
    expect((await server.exchange(client, without, { redirect_uri: '' })).status).toBe(200);
    const named = await code({ redirect_uri: undefined });
    const wrong = { redirect_uri: `${REDIRECT_URI}/` };
    expect(await answerOf(await server.exchange(client, named, wrong))).toMatchObject(
      INVALID_GRANT,
    );
    expect((await server.exchange(client, named)).status).toBe(200);
  });

  it('E3: with a verifier of the longest length', async () => {
    const verifier = 'v'.repeat(128);
    const value = await code({ code_challenge: digestOf(verifier) });
    expect((await server.exchange(client, value, { code_verifier: verifier })).status).toBe(200);
  });
});

describe('PKCE (RFC 7636 section 4.6)', () => {
  it('E3: matches the example of the RFC and nothing beside it', () => {
    const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
    const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';
    expect(verifierMatches(verifier, challenge)).toBe(true);
    expect(verifierMatches(`${verifier}x`, challenge)).toBe(false);
    expect(verifierMatches(challenge, challenge)).toBe(false);
  });

  it('E3: refuses a verifier of another length or alphabet though its digest is the challenge', () => {
    for (const verifier of [
      'v'.repeat(42),
      'v'.repeat(129),
      `${'v'.repeat(43)} `,
      'ä'.repeat(43),
    ]) {
      expect(verifierMatches(verifier, digestOf(verifier))).toBe(false);
    }
    for (const verifier of ['v'.repeat(43), 'v'.repeat(128), '-._~'.repeat(11)]) {
      expect(verifierMatches(verifier, digestOf(verifier))).toBe(true);
    }
  });

  it('[CVE-2025-4143] refuses a verifier where no challenge was kept', () => {
    expect(verifierMatches(VERIFIER, '')).toBe(false);
    expect(verifierMatches('', '')).toBe(false);
  });
});

describe('two people and two clients', () => {
  it('[ContextForge #1078/#5043] get tokens of their own account, never of another', async () => {
    const other = await server.register({ client_name: 'Another' });
    const seen = new Map<string, string>();
    for (const [id, login] of [
      [7, 'alice'],
      [8, 'bob'],
      [9, 'carol'],
    ] as const) {
      server.forge.user = { id, login, isAdmin: false };
      for (const of of [client, other]) {
        const url = await new TestBrowser(server).signIn(authorizeUrl(of.client_id));
        const answer = await server.exchange(of, url.searchParams.get('code') ?? '');
        const tokens = (await answer.json()) as Tokens;
        seen.set(tokens.access_token, `${login} ${of.client_id}`);
        seen.set(
          ((await (await server.refresh(of, tokens.refresh_token)).json()) as Tokens).access_token,
          `${login} ${of.client_id}`,
        );
      }
    }
    expect(seen.size).toBe(12);
    for (const [token, owner] of seen) {
      const proof = await server.store.tokens.findAccess(digestOf(token));
      expect(`${proof?.login} ${proof?.clientId}`).toBe(owner);
    }
  });
});
