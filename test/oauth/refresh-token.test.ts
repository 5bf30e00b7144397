import { beforeEach, describe, expect, it } from 'bun:test';
import { createKeyring, STORE_KEY_BYTES } from '../../app/base/keyring.ts';
import { digestOf, systemRandom } from '../../app/base/secret.ts';
import { ANSWERS_MAX } from '../../app/oauth/refresh-token.ts';
import {
  answerOf,
  DAY,
  HOUR,
  keyringOf,
  type Registered,
  TestServer,
  type Tokens,
} from './harness.ts';

let server: TestServer;
let client: Registered;
let first: Tokens;

beforeEach(async () => {
  server = new TestServer();
  client = await server.register();
  first = await server.connect(client);
});

async function refresh(token: string): Promise<Tokens> {
  const response = await server.refresh(client, token);
  if (response.status !== 200) throw new Error(`refused: ${await response.text()}`);
  return (await response.json()) as Tokens;
}

const INVALID_GRANT = { status: 400, body: { error: 'invalid_grant' } };

async function refused(token: string, of: Registered = client): Promise<void> {
  expect(await answerOf(await server.refresh(of, token))).toMatchObject(INVALID_GRANT);
}

describe('refresh token grant (RFC 6749 section 6), theft', () => {
  it('E9: ends the grant when a predecessor comes after its successor was used', async () => {
    const second = await refresh(first.refresh_token);
    const third = await refresh(second.refresh_token);
    await refused(first.refresh_token);
    expect(server.ended).toMatchObject([{ reason: 'refresh_reuse' }]);
    for (const { access_token } of [first, second, third]) {
      expect(await server.use(access_token)).toBe(false);
    }
    await refused(third.refresh_token);
    expect(await server.metrics.registry.metrics()).toContain(
      'fjmcp_grants_ended_total{reason="refresh_reuse"} 1',
    );
  });

  it('E9: ends the grant when a predecessor comes after an access token of the answer was used', async () => {
    const second = await refresh(first.refresh_token);
    expect(await server.use(second.access_token)).toBe(true);
    await refused(first.refresh_token);
    expect(server.ended).toHaveLength(1);
    expect(await server.use(second.access_token)).toBe(false);
  });

  it('E9: ends it also when the access token of a repeated answer was the one used', async () => {
    await refresh(first.refresh_token);
    const repeated = await refresh(first.refresh_token);
    await server.use(repeated.access_token);
    await refused(first.refresh_token);
    expect(server.ended).toHaveLength(1);
  });

  it('E9: does not end the grant for another client that holds a spent token', async () => {
    const second = await refresh(first.refresh_token);
    await server.use(second.access_token);
    await refused(first.refresh_token, await server.register({ client_name: 'A thief' }));
    expect(server.ended).toHaveLength(0);
    expect(await server.use(second.access_token)).toBe(true);
  });

  it('E9: gives another client nothing for a good token, which stays good', async () => {
    await refused(first.refresh_token, await server.register({ client_name: 'A thief' }));
    await refresh(first.refresh_token);
  });

  it('E9: sees a theft though the key of the successor is gone', async () => {
    const second = await refresh(first.refresh_token);
    await server.use(second.access_token);
    const rotated = new TestServer({ keyring: keyringOf(9), wrapStore: () => server.store });
    const answer = await answerOf(await rotated.refresh(client, first.refresh_token));
    expect(answer).toMatchObject(INVALID_GRANT);
    expect(rotated.ended).toMatchObject([{ reason: 'refresh_reuse' }]);
  });
});

describe('refresh token grant (RFC 6749 section 6), lost answers and races', () => {
  it('E9: gives the same successor again until it is used, each time with a new access token', async () => {
    const answers = [];
    for (let n = 0; n < ANSWERS_MAX; n += 1) answers.push(await refresh(first.refresh_token));
    expect(new Set(answers.map((answer) => answer.refresh_token)).size).toBe(1);
    expect(new Set(answers.map((answer) => answer.access_token)).size).toBe(ANSWERS_MAX);
    for (const answer of answers) expect(await server.use(answer.access_token)).toBe(true);
    expect(answers[0]?.refresh_token).not.toBe(first.refresh_token);
  });

  it('E9: gives it five times and not a sixth; the grant and the five stay', async () => {
    const answers = [];
    for (let n = 0; n < ANSWERS_MAX; n += 1) answers.push(await refresh(first.refresh_token));
    expect(ANSWERS_MAX).toBe(5);
    await refused(first.refresh_token);
    expect(server.ended).toHaveLength(0);
    expect(await server.use(answers[0]?.access_token ?? '')).toBe(true);
    await refresh(answers[0]?.refresh_token ?? '');
    expect(await server.metrics.registry.metrics()).toContain(
      'fjmcp_limits_reached_total{limit="REFRESH_ANSWERS"} 1',
    );
  });

  it('E9: gives processes that race the same successor', async () => {
    const answers = await Promise.all([1, 2, 3, 4].map(() => refresh(first.refresh_token)));
    expect(new Set(answers.map((answer) => answer.refresh_token)).size).toBe(1);
    expect(server.ended).toHaveLength(0);
  });

  it('E9: repeats an answer by the key that made it, after the key was changed', async () => {
    const second = await refresh(first.refresh_token);
    const key = (byte: number) => new Uint8Array(STORE_KEY_BYTES).fill(byte);
    const keyring = createKeyring({ current: key(9), previous: key(7), random: systemRandom });
    const later = new TestServer({ keyring, wrapStore: () => server.store });
    const repeated = (await (await later.refresh(client, first.refresh_token)).json()) as Tokens;
    expect(repeated.refresh_token).toBe(second.refresh_token);
    const without = new TestServer({ keyring: keyringOf(9), wrapStore: () => server.store });
    const answer = await answerOf(await without.refresh(client, first.refresh_token));
    expect(answer).toMatchObject(INVALID_GRANT);
    expect(without.ended).toHaveLength(0);
  });

  it('E9: keeps the access tokens that were given before', async () => {
    const second = await refresh(first.refresh_token);
    expect(await server.use(first.access_token)).toBe(true);
    expect(await server.use(second.access_token)).toBe(true);
  });

  it('E9: takes the successor, which is worth nothing to who does not know the key', async () => {
    const second = await refresh(first.refresh_token);
    for (const guess of [
      digestOf(first.refresh_token),
      keyringOf(1).refreshSuccessor(first.refresh_token)?.token,
    ]) {
      await refused(`fjmcp_rt_${guess}`);
    }
    const third = await refresh(second.refresh_token);
    expect(third.refresh_token).toMatch(/^fjmcp_rt_[A-Za-z0-9_-]{43}$/);
  });
});

describe('refresh token grant (RFC 6749 section 6), time', () => {
  it('E9: slides: each successor lives its full time from its first issue', async () => {
    server.clock.advance(89 * DAY);
    const second = await refresh(first.refresh_token);
    server.clock.advance(89 * DAY);
    await refresh(second.refresh_token);
  });

  it('E9: does not let a repeated answer live longer than the first', async () => {
    server.clock.advance(DAY);
    const second = await refresh(first.refresh_token);
    server.clock.advance(80 * DAY);
    expect((await refresh(first.refresh_token)).refresh_token).toBe(second.refresh_token);
    server.clock.advance(10 * DAY);
    await refused(second.refresh_token);
  });

  it('E9: never takes a predecessor beyond its own expiry', async () => {
    server.clock.advance(90 * DAY - 1);
    await refresh(first.refresh_token);
    server.clock.advance(1);
    await refused(first.refresh_token);
    expect(server.ended).toHaveLength(0);
  });

  it('gives access tokens of eight hours', async () => {
    const second = await refresh(first.refresh_token);
    expect(second.expires_in).toBe((8 * HOUR) / 1000);
    server.clock.advance(8 * HOUR - 1);
    expect(await server.use(second.access_token)).toBe(true);
    server.clock.advance(1);
    expect(await server.use(second.access_token)).toBe(false);
  });
});

describe('refresh token grant (RFC 6749 section 6), otherwise refused', () => {
  it('E9: for unknown tokens and for the access token', async () => {
    for (const token of [
      'x',
      `fjmcp_rt_${'x'.repeat(43)}`,
      first.access_token,
      digestOf(first.refresh_token),
    ]) {
      await refused(token);
    }
  });

  it('E9: while the account needs to sign in or is disabled; the grant stays and works later', async () => {
    for (const state of ['needs_sign_in', 'disabled'] as const) {
      const account = await server.store.accounts.find(7);
      await server.store.accounts.setState(7, state, account?.generation ?? 0);
      await refused(first.refresh_token);
      expect(server.log.of('token.refused').at(-1)).toMatchObject({
        reason: `the account is ${state}`,
      });
      expect(server.ended).toHaveLength(0);
      await server.store.accounts.setState(7, 'active', account?.generation ?? 0);
    }
    await refresh(first.refresh_token);
  });

  it('E9: once the grant has ended', async () => {
    const [grant] = await server.grants();
    await server.store.grants.end(grant?.id ?? '', 'revoked');
    await refused(first.refresh_token);
    expect(server.ended).toHaveLength(0);
  });

  it('E5: for another resource, with invalid_target, and the token stays good', async () => {
    const other = { resource: 'https://other.example/mcp' };
    const answer = await answerOf(await server.refresh(client, first.refresh_token, other));
    expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_target' } });
    const ours = { resource: 'https://broker.example/mcp/' };
    expect((await server.refresh(client, first.refresh_token, ours)).status).toBe(200);
  });

  it('E10: narrows an access token to the scope that is asked, and only that token', async () => {
    const scopeOf = async (tokens: { access_token: string }) =>
      (await server.store.tokens.findAccess(digestOf(tokens.access_token)))?.scope;
    const narrow = { scope: 'forgejo:read offline_access' };
    const answer = await server.refresh(client, first.refresh_token, narrow);
    const second = (await answer.json()) as Tokens;
    expect(second.scope).toBe('forgejo:read');
    expect(await scopeOf(second)).toBe('forgejo:read');
    expect(await scopeOf(first)).toBe('forgejo:read forgejo:write');
    // RFC 6749 section 6: the refresh token keeps the scope of the grant.
    const whole = (await (await server.refresh(client, second.refresh_token)).json()) as Tokens;
    expect(whole.scope).toBe('forgejo:read forgejo:write');
  });

  it('E10: never widens: the grant is the most, and the ceiling of this moment', async () => {
    const ask = async (scope: string) => {
      const answer = await server.refresh(client, first.refresh_token, { scope });
      return ((await answer.json()) as Tokens).scope;
    };
    expect(await ask('forgejo:read forgejo:write forgejo:delete')).toBe(
      'forgejo:read forgejo:write',
    );
    server.scopes = { ...server.scopes, maxScope: 'forgejo:read' };
    expect(await ask('forgejo:write')).toBe('forgejo:read');
    expect(await ask('')).toBe('forgejo:read');
    server.scopes = { ...server.scopes, maxScope: 'forgejo:delete' };
    expect(await ask('')).toBe('forgejo:read forgejo:write');
  });

  it('E11: not for a scope, known or not; the answer tells what is granted', async () => {
    for (const scope of ['', 'offline_access', 'forgejo:delete', 'admin']) {
      const answer = await answerOf(await server.refresh(client, first.refresh_token, { scope }));
      const body = { scope: 'forgejo:read forgejo:write' };
      expect(answer).toMatchObject({ status: 200, body });
    }
  });
});
