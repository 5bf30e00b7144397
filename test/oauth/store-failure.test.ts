import { afterEach, describe, expect, it, setDefaultTimeout } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '../../app/base/secret.ts';
import type { Store } from '../../app/store/store.ts';
import { StoreError } from '../../app/store/store-error.ts';
import {
  answerOf,
  authorizeUrl,
  REDIRECT_URI,
  type Shown,
  stateOf,
  TestBrowser,
  TestServer,
} from './harness.ts';

// A disk that is really full takes its time, on a machine that may have other work too.
setDefaultTimeout(30_000);

/** A store whose writes can be made to fail as they do on a full disk. */
function failing() {
  const fault: { kind: 'full' | 'busy' | 'broken' | undefined } = { kind: undefined };
  const guard = <Part extends object>(part: Part): Part =>
    new Proxy(part, {
      get(target, name) {
        const value = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) =>
          fault.kind === undefined
            ? Reflect.apply(value, target, args)
            : Promise.reject(new StoreError(fault.kind));
      },
    });
  const wrapStore = (store: Store): Store => ({
    ...store,
    clients: guard(store.clients),
    accounts: guard(store.accounts),
    authorizationRequests: guard(store.authorizationRequests),
    authorizationCodes: guard(store.authorizationCodes),
    browserSessions: guard(store.browserSessions),
    grants: guard(store.grants),
    tokens: guard(store.tokens),
  });
  return { fault, wrapStore };
}

const UNAVAILABLE = { status: 503, body: { error: 'temporarily_unavailable' } };

describe('a store that fails', () => {
  for (const kind of ['full', 'busy', 'broken'] as const) {
    it(`is 503 with an RFC body and Retry-After for programs (${kind})`, async () => {
      const { fault, wrapStore } = failing();
      const server = new TestServer({ wrapStore });
      const client = await server.register();
      const tokens = await server.connect(client);
      fault.kind = kind;
      const registration = server.fetch('/oauth/register', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ redirect_uris: [REDIRECT_URI] }),
      });
      const revocation = { client_id: client.client_id, token: tokens.refresh_token };
      for (const answer of [
        registration,
        server.exchange(client, 'x'),
        server.refresh(client, tokens.refresh_token),
        server.post('/oauth/revoke', revocation),
      ]) {
        const response = await answer;
        expect(response.headers.get('retry-after')).toBe('5');
        expect(await answerOf(response)).toMatchObject(UNAVAILABLE);
      }
      fault.kind = undefined;
      expect((await server.refresh(client, tokens.refresh_token)).status).toBe(200);
    });

    it(`is a page with 503 for people, at every step of a sign-in (${kind})`, async () => {
      const { fault, wrapStore } = failing();
      const server = new TestServer({ wrapStore });
      const client = await server.register();
      const browser = new TestBrowser(server);
      const failOnce = async (step: () => ReturnType<TestBrowser['get']>) => {
        fault.kind = kind;
        const page = await step();
        fault.kind = undefined;
        expect(page.response.status).toBe(503);
        expect(page.response.headers.get('retry-after')).toBe('5');
        expect(page.title).toBe('This server cannot work now');
        expect(page.text).not.toContain('disk');
        return page;
      };
      const away = await failOnce(() => browser.get(authorizeUrl(client.client_id)));
      expect(away.text).toContain('Try again');
      const consent = await browser.get(authorizeUrl(client.client_id));
      await failOnce(() => browser.press(consent, 'allow'));
      const gone = await browser.press(consent, 'allow');
      await failOnce(() => browser.comeBack(stateOf(gone)));
      const confirm = await browser.comeBack(stateOf(gone));
      await failOnce(() => browser.press(confirm, 'allow'));
      expect(await server.grants()).toHaveLength(0);
      expect((await browser.press(confirm, 'allow')).response.status).toBe(200);
      expect(await server.grants()).toHaveLength(1);
    });
  }

  it('offers the same authorization again when it could not be begun', async () => {
    const { fault, wrapStore } = failing();
    const server = new TestServer({ wrapStore });
    const client = await server.register();
    const browser = new TestBrowser(server);
    fault.kind = 'busy';
    const away = await browser.get(authorizeUrl(client.client_id));
    fault.kind = undefined;
    const href = /href="(https:[^"]*)"/.exec(away.text)?.[1]?.replaceAll('&amp;', '&') ?? '';
    expect((await browser.get(href)).title).toBe('Allow access to forge.example?');
  });

  it('leaves a bug to the error boundary, unanswered', async () => {
    const server = new TestServer({
      wrapStore: (store) => ({
        ...store,
        clients: { ...store.clients, find: () => Promise.reject(new TypeError('a bug')) },
      }),
    });
    const response = await server.fetch(authorizeUrl('x'));
    expect(response.status).toBe(500);
    expect((await server.post('/oauth/token', { client_id: 'x' })).status).toBe(500);
    expect(server.log.of('authorization.problem')).toHaveLength(0);
  });
});

describe('a disk that is really full', () => {
  let directory: string | undefined;
  afterEach(() => {
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  });

  it('issues whole answers or none, and an unanswered code is still good when there is room', async () => {
    directory = mkdtempSync(join(tmpdir(), 'fjmcp-oauth-'));
    const server = new TestServer({
      storeOptions: { path: join(directory, 'store.db'), pagesMax: 150 },
      limits: { clientsMax: 10, requestsMax: 100_000 },
    });
    const client = await server.register();
    const browser = new TestBrowser(server);
    const codes: string[] = [];
    for (let n = 0; n < 60; n += 1) {
      const url = await browser.signIn(authorizeUrl(client.client_id));
      codes.push(url.searchParams.get('code') ?? '');
    }
    const fillers: Shown[] = [];
    for (;;) {
      const state = 's'.repeat(4000);
      const filler = await browser.get(authorizeUrl(client.client_id, { state }));
      if (filler.response.status === 503) break;
      fillers.push(filler);
    }

    const refused: string[] = [];
    for (const code of codes) {
      const answer = await answerOf(await server.exchange(client, code));
      if (answer.status === 200) continue;
      expect(answer).toMatchObject(UNAVAILABLE);
      const kept = await server.store.authorizationCodes.find(digestOf(code));
      expect(kept).toMatchObject({ usedAt: null, grantEnded: false });
      refused.push(code);
    }
    expect(refused.length).toBeGreaterThan(0);

    for (const filler of fillers) await browser.press(filler, 'deny');
    for (const code of refused) expect((await server.exchange(client, code)).status).toBe(200);
    await server.store.close();
  });
});
