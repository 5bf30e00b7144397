import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { digestOf, newToken, Secret, systemRandom } from '../../app/base/secret.ts';
import {
  addClient,
  answerOf,
  Directory,
  issueCode,
  newClient,
  newRequest,
  open,
  rotation,
  STORED_MAX,
  sessionOf,
} from './harness.ts';

let directory: Directory;

beforeEach(() => {
  directory = new Directory();
});

afterEach(() => {
  directory.remove();
});

const names = [
  'access',
  'refresh',
  'successor access',
  'successor',
  'code',
  'client secret',
  'session',
  'browser',
  'transaction',
  'approval',
  'upstream state',
  'client state',
  'upstream access',
  'upstream refresh',
  'upstream access, renewed',
] as const;

/** One value of each kind that the store hears of, each one unlike anything else in the file. */
function canaries(): Record<(typeof names)[number], string> {
  const entries = names.map((name) => [name, newToken(systemRandom)]);
  return Object.fromEntries(entries) as Record<(typeof names)[number], string>;
}

/** The value itself, and what it looks like when it was stored as bytes or in another alphabet. */
function forms(clear: string): readonly Buffer[] {
  const raw = Buffer.from(clear, 'base64url');
  const text = Buffer.from(clear);
  return [text, raw, Buffer.from(raw.toString('hex')), Buffer.from(text.toString('hex'))];
}

describe('the bytes of the store', () => {
  it('[logging class] hold no clear token, in the log ahead and in the closed file', async () => {
    const opened = open({ path: directory.store });
    const { store, clock } = opened;
    const canary = canaries();
    const digest = (name: (typeof names)[number]) => digestOf(canary[name]);
    const upstream = (access: string) => ({
      accessToken: new Secret(access),
      refreshToken: new Secret(canary['upstream refresh']),
      accessExpiresAt: 1,
      refreshExpiresAt: 2,
    });
    const anna = { id: 1, login: 'anna', isAdmin: false };

    await addClient(store, 'client-1');
    const secretDigest = digest('client secret');
    const authMethod = 'client_secret_basic' as const;
    await store.clients.register(newClient({ id: 'client-2', authMethod, secretDigest }), 10);
    const request = newRequest(clock, {
      digest: digest('transaction'),
      clientState: canary['client state'],
      browserDigest: digest('browser'),
    });
    const later = clock.now() + 1_000;
    const requests = store.authorizationRequests;
    await requests.create(request, digest('approval'), 10);
    await requests.approve(request.digest, {
      approvalDigest: digest('approval'),
      upstreamStateDigest: digest('upstream state'),
      permission: '{}',
      expiresAt: later,
    });
    await requests.takeCallback(digest('upstream state'));
    await store.accounts.storeTokens(anna, upstream(canary['upstream access']));
    await store.accounts.storeTokens(anna, upstream(canary['upstream access, renewed']));
    await store.browserSessions.signIn(digest('browser'), 1, later);
    const grant = await issueCode(opened, canary.code);
    const answer = answerOf(clock, canary.access, canary.refresh);
    await store.authorizationCodes.redeem(digest('code'), answer);
    await store.tokens.rotate(
      rotation(clock, canary.refresh, canary.successor, canary['successor access']),
    );
    await store.sessions.insert(sessionOf(clock, grant, canary.session), STORED_MAX);
    const found = await requests.find(request.digest);
    expect(found?.clientState).toBe(canary['client state']);

    const running = directory.bytesOfOpenStore();
    await store.close();
    const closed = directory.bytes();
    for (const bytes of [running, closed]) {
      // The search does find what is there.
      expect(bytes.includes('client-1')).toBe(true);
      expect(bytes.includes(digest('successor'))).toBe(true);
      for (const name of names) {
        const found = forms(canary[name]).filter((form) => bytes.includes(form));
        expect({ name, times: found.length }).toEqual({ name, times: 0 });
      }
    }
    for (const name of names) expect(opened.log.text()).not.toContain(canary[name]);
  });
});
