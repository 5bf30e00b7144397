import { type Clock, systemClock } from '../../app/base/clock.ts';
import { createMetrics } from '../../app/base/metrics.ts';
import { Secret } from '../../app/base/secret.ts';
import { type DemoForge, type DemoForgeOptions, startDemoForge } from '../../app/demo/forge.ts';
import { Person } from '../../app/demo/person.ts';
import { createBoundedFetch } from '../../app/forge/bounded-fetch.ts';
import type { Forge } from '../../app/forge/forge.ts';
import { createForgejo, type ForgejoOptions } from '../../app/forge/forgejo.ts';
import { createMemoryLog, type MemoryLog } from '../support/memory-log.ts';

export const CLIENT_ID = '7c9e6679-7425-40de-944b-e07fc1f90ae7';
export const CLIENT_SECRET = 'gto_canary-client-secret-of-the-forge-tests';
export const REDIRECT_URI = 'http://127.0.0.1:8080/oauth/callback';
export const TOKEN_PATH = '/login/oauth/access_token';
export const USER_PATH = '/api/v1/user';
export const VERIFIER = 'v'.repeat(43);

export interface ForgeSetup {
  readonly demo: DemoForge;
  readonly forge: Forge;
  readonly logged: MemoryLog;
  readonly metrics: ReturnType<typeof createMetrics>;
  /** Walks a person through Forgejo's own pages and returns the code that came back. */
  code(login: string): Promise<Secret>;
}

/** A demo forge, and Forgejo as the broker sees it, in front of it. */
export async function setUpForge(
  demoOptions: Partial<DemoForgeOptions> = {},
  forgejoOptions: Partial<ForgejoOptions> = {},
  clock: Clock = systemClock,
): Promise<ForgeSetup> {
  const demo = await startDemoForge({
    clientId: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    redirectUris: [REDIRECT_URI],
    ...demoOptions,
  });
  const logged = createMemoryLog();
  const metrics = createMetrics();
  const forge = createForgejo({
    url: demo.url,
    internalUrl: demo.url,
    clientId: CLIENT_ID,
    clientSecret: new Secret(CLIENT_SECRET),
    scopes: ['read:user', 'write:issue'],
    redirectUri: REDIRECT_URI,
    refreshTokenTtlMs: 1000,
    fetch: createBoundedFetch({ fetch: (url, init) => fetch(url, init), clock, userAgent: 'test' }),
    clock,
    metrics,
    log: logged.log,
    ...forgejoOptions,
  });
  const people = new Map<string, Person>();
  return {
    demo,
    forge,
    logged,
    metrics,
    async code(login) {
      const password = demo.users.find((user) => user.login === login)?.password ?? '';
      const person = people.get(login) ?? new Person({ login, password });
      people.set(login, person);
      const url = forge.authorizationUrl({ state: 'the-state', codeVerifier: VERIFIER });
      const back = await person.authorize(url, REDIRECT_URI);
      return new Secret(back.searchParams.get('code') ?? '');
    },
  };
}

/** The value of a success; fails the test with the error otherwise. */
export function succeeded<T>(
  result:
    | { readonly ok: true; readonly value: T }
    | { readonly ok: false; readonly error: unknown },
): T {
  if (!result.ok) throw new Error(`expected a success: ${JSON.stringify(result.error)}`);
  return result.value;
}
