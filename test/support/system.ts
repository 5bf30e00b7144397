import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../app/base/clock.ts';
import { STORE_KEY_BYTES } from '../../app/base/keyring.ts';
import { createLog, type LogLevel } from '../../app/base/log.ts';
import { newToken, Secret, systemRandom } from '../../app/base/secret.ts';
import { type RunningBroker, startBroker } from '../../app/broker.ts';
import type { Config } from '../../app/config.ts';
import { ClientMemory, DemoClient } from '../../app/demo/client.ts';
import { type DemoForge, type DemoForgeOptions, startDemoForge } from '../../app/demo/forge.ts';
import { Person, type PersonOptions } from '../../app/demo/person.ts';
import { NO_RATE_LIMITS } from './rate-limits.ts';

export interface SystemOptions {
  /** In `childCommand`, `{forgejo_url}` stands for the demo Forgejo's address. */
  readonly config?: Partial<Config>;
  readonly forge?: Partial<DemoForgeOptions>;
  readonly clock?: Clock;
  readonly logLevel?: LogLevel;
}

/** A whole broker in this process, with a demo Forgejo and real children, on loopback. */
export interface TestSystem {
  readonly broker: RunningBroker;
  readonly forge: DemoForge;
  readonly config: Config;
  readonly origin: string;
  readonly mcpUrl: string;
  /** Every log line so far. */
  readonly logLines: readonly string[];
  /** Secrets that this system was made with; none may appear anywhere. */
  readonly clientSecret: string;
  person(options?: Partial<PersonOptions>): Person;
  client(name?: string, redirectUri?: string): DemoClient;
  /** A client that has signed in as alice and opened a session. */
  connected(): Promise<DemoClient>;
  /** Stops the broker and starts another one on the same store and address. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const CLIENT_ID = 'fjmcp-test';
const START_TRIES = 5;

/** The demo's child, as an argument vector. */
export const DEMO_CHILD = [
  process.execPath,
  Bun.fileURLToPath(new URL('../../app/demo/child.ts', import.meta.url)),
  '--transport',
  'stdio',
];

/** Starts it all; stop it in `afterAll` or `finally`. */
export async function startSystem(options: SystemOptions = {}): Promise<TestSystem> {
  const directory = mkdtempSync(join(tmpdir(), 'fjmcp-test-'));
  const clientSecret = newToken(systemRandom);
  const logLines: string[] = [];
  const log = createLog({
    level: options.logLevel ?? 'debug',
    format: 'json',
    sink: (line) => logLines.push(line),
  });
  const clock = options.clock ?? systemClock;
  const parts = { log, clock, random: systemRandom };
  const storeKey = systemRandom(STORE_KEY_BYTES);

  const start = async () => {
    // Another process may take a free port between the look and the bind.
    for (let attempt = 1; ; attempt += 1) {
      const port = freePort();
      const origin = `http://127.0.0.1:${port}`;
      const forge = await startDemoForge({
        clientId: CLIENT_ID,
        clientSecret,
        redirectUris: [`${origin}/oauth/callback`],
        ...options.forge,
      });
      const config = testConfig({ port, origin, forge, clientSecret, directory, storeKey });
      try {
        const merged = withForgeAddress({ ...config, ...options.config }, forge.url);
        return { forge, config: merged, broker: await startBroker(merged, parts) };
      } catch (error) {
        await forge.stop();
        if (attempt === START_TRIES) throw error;
      }
    }
  };

  const { forge, config, broker: first } = await start();
  let broker = first;
  const system: TestSystem = {
    get broker() {
      return broker;
    },
    forge,
    config,
    origin: config.publicOrigin,
    mcpUrl: `${config.publicOrigin}/mcp`,
    logLines,
    clientSecret,
    person: (person) => new Person({ login: 'alice', password: 'wonderland', ...person }),
    client: (name = 'Test client', redirectUri) =>
      new DemoClient(`${config.publicOrigin}/mcp`, new ClientMemory(name, redirectUri)),
    async connected() {
      const client = system.client();
      await client.authorize(system.person());
      await client.connect();
      return client;
    },
    async restart() {
      await broker.stop();
      broker = await startBroker(config, parts);
    },
    async stop() {
      await broker.stop();
      await forge.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return system;
}

/** The settings of a broker on loopback as a test wants them. */
export function testConfig(made: {
  readonly port: number;
  readonly origin: string;
  readonly forge: Pick<DemoForge, 'url'>;
  readonly clientSecret: string;
  readonly directory: string;
  readonly storeKey: Uint8Array;
}): Config {
  const minuteMs = 60_000;
  return {
    listen: { kind: 'tcp', hostname: '127.0.0.1', port: made.port },
    publicOrigin: made.origin,
    forgejoUrl: made.forge.url,
    forgejoInternalUrl: made.forge.url,
    forgejoClientId: CLIENT_ID,
    forgejoClientSecret: new Secret(made.clientSecret),
    forgejoScopes: ['read:user', 'write:repository', 'write:issue'],
    forgejoRefreshTokenTtlMs: 730 * 60 * minuteMs,
    storePath: join(made.directory, 'store.sqlite'),
    storeKey: made.storeKey,
    storePreviousKey: undefined,
    controlSocketPath: undefined,
    childCommand: [...DEMO_CHILD, '--url', made.forge.url],
    childSandbox: 'none',
    childSandboxPaths: [],
    maxSessions: 100,
    maxSessionsPerUser: 50,
    spawnConcurrency: undefined,
    sessionIdleTimeoutMs: 15 * minuteMs,
    sessionTtlMs: 30 * 24 * 60 * minuteMs,
    maxStoredSessionsPerUser: 200,
    accessTokenTtlMs: 8 * 60 * minuteMs,
    refreshTokenTtlMs: 90 * 24 * 60 * minuteMs,
    requestTimeoutMs: 5 * minuteMs,
    requestTimeoutTotalMs: 60 * minuteMs,
    stopGraceMs: 1500,
    maxBodyBytes: 4 * 1024 * 1024,
    maxBatchMessages: 64,
    maxMessageBytes: 32 * 1024 * 1024,
    maxStreamBufferBytes: 8 * 1024 * 1024,
    maxStreamAgeMs: 5 * 60_000,
    maxChildBacklogBytes: 8 * 1024 * 1024,
    maxChildOutputBytes: 8 * 1024 * 1024,
    maxChildLogLines: 50,
    maxCallsPerSession: 256,
    maxQuestionsPerSession: 64,
    maxHeldMessages: 64,
    maxSubscriptions: 256,
    maxSpawnsWaiting: 256,
    maxClients: 10_000,
    staticClients: [],
    redirectAllowlist: ['cursor://anysphere.cursor-mcp/oauth/callback'],
    allowedOrigins: [],
    // The fixtures' tools are not reviewed, so they need everything; a test of scopes says another.
    maxScope: 'forgejo:delete',
    toolsToml: undefined,
    defaultScope: 'forgejo:delete',
    trustedProxies: [],
    rateLimits: NO_RATE_LIMITS,
    metricsListen: undefined,
    metricsToken: undefined,
    logLevel: 'debug',
    logFormat: 'json',
  };
}

function withForgeAddress(config: Config, forgeUrl: string): Config {
  const childCommand = config.childCommand.map((word) =>
    word.replaceAll('{forgejo_url}', forgeUrl),
  );
  return { ...config, childCommand };
}

/** A loopback port that nothing listens on now. */
export function freePort(): number {
  const { port, release } = heldPort();
  release();
  return port;
}

/** A loopback port that nobody else gets until it is released. */
export function heldPort(): { readonly port: number; readonly release: () => void } {
  const probe = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
  return { port: probe.port, release: () => probe.stop(true) };
}
