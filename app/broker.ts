import { availableParallelism } from 'node:os';
import { within } from './base/clock.ts';
import { createKeyring } from './base/keyring.ts';
import { createMetrics } from './base/metrics.ts';
import { asDigest } from './base/secret.ts';
import { VERSION } from './base/version.ts';
import { createSpawnBreaker } from './child/spawn-breaker.ts';
import { createSpawnQueue } from './child/spawn-queue.ts';
import { createSupervisor } from './child/supervisor.ts';
import type { Config } from './config.ts';
import { createControlActions } from './control/actions.ts';
import { ControlListenError, type ControlListener, listenControl } from './control/listener.ts';
import { createAccountTokens } from './forge/account-tokens.ts';
import { createBoundedFetch } from './forge/bounded-fetch.ts';
import type { Forge } from './forge/forge.ts';
import { createForgejo } from './forge/forgejo.ts';
import { type Built, mount } from './mount.ts';
import { type BrokerParts, type RunningBroker, StartFailure } from './running-broker.ts';
import { createSessionRegistry, type SessionRegistry } from './session/registry.ts';
import { openStore, type Store } from './store/store.ts';
import { StoreOpenError } from './store/store-error.ts';
import { createCatalogue } from './tools/catalogue.ts';

export { type BrokerParts, type RunningBroker, StartFailure } from './running-broker.ts';

/** Session protocol revisions served, oldest first. */
const SERVER_VERSIONS = ['2025-03-26', '2025-06-18', '2025-11-25'] as const;

const DAY_MS = 24 * 3_600_000;
const RETENTION = { unusedClientMs: 90 * DAY_MS, tombstoneMs: 365 * DAY_MS };
const PRUNE_EVERY_MS = 10 * 60_000;
/** A start is a burst of work for one core, with a wait for the forge in it. */
const SPAWNS_PER_CORE = 2;
const HANDSHAKE_TIMEOUT_MS = 20_000;
/** What answers that are ready need at least; the process has two seconds from the signal. */
const FLUSH_MS = 200;
const USER_AGENT = `fjmcp-broker/${VERSION}`;

/** Builds every part in the order of dependency and listens. Throws `StartFailure`. */
export async function startBroker(config: Config, parts: BrokerParts): Promise<RunningBroker> {
  const { log, clock, random } = parts;
  const metrics = createMetrics();
  const keyring = createKeyring({ current: config.storeKey, random });
  const store = open(config, { ...parts, keyring, metrics });
  try {
    const removed = await store.clients.syncStatic(
      config.staticClients.map(({ secretSha256, ...client }) => ({
        ...client,
        secretDigest: secretSha256 === null ? null : asDigest(secretSha256),
      })),
    );
    for (const grant of removed) {
      await store.sessions.endGrant(grant);
      log.info('grant.ended', { grant, reason: 'client_removed' });
    }
    const forge = connectForge(config, { ...parts, metrics });
    const tokens = createAccountTokens({ forge, accounts: store.accounts, clock, log, metrics });
    const spawnBreaker = createSpawnBreaker({ clock, log, metrics });
    const catalogue = createCatalogue(config.toolsToml);
    if (!catalogue.ok) throw new StartFailure(catalogue.error.join('; '));
    const built = {
      ...{ ...parts, metrics, keyring, store, forge, tokens, spawnBreaker },
      catalogue: catalogue.value,
    };
    return await listen(config, { ...built, sessions: createSessions(config, built) });
  } catch (error) {
    await store.close();
    throw error;
  }
}

function open(config: Config, parts: Pick<Built, 'log' | 'clock' | 'metrics' | 'keyring'>): Store {
  const { log, clock, metrics, keyring } = parts;
  const forgeOrigin = new URL(config.forgejoUrl).origin;
  try {
    const options = { path: config.storePath, forgeOrigin, keyring, clock, log, metrics };
    return openStore({ ...options, retention: { ...RETENTION, sessionMs: config.sessionTtlMs } });
  } catch (error) {
    if (error instanceof StoreOpenError) throw new StartFailure(error.message, { cause: error });
    throw error;
  }
}

function connectForge(config: Config, parts: Pick<Built, 'log' | 'clock' | 'metrics'>): Forge {
  const { log, clock, metrics } = parts;
  return createForgejo({
    url: config.forgejoUrl,
    internalUrl: config.forgejoInternalUrl,
    clientId: config.forgejoClientId,
    clientSecret: config.forgejoClientSecret,
    scopes: config.forgejoScopes,
    redirectUri: `${config.publicOrigin}/oauth/callback`,
    refreshTokenTtlMs: config.forgejoRefreshTokenTtlMs,
    fetch: createBoundedFetch({ fetch, clock, userAgent: USER_AGENT }),
    clock,
    metrics,
    log,
  });
}

function createSessions(config: Config, parts: Omit<Built, 'sessions'>): SessionRegistry {
  const { log, clock, random, metrics, keyring, store, forge, tokens, spawnBreaker } = parts;
  const concurrency = config.spawnConcurrency ?? SPAWNS_PER_CORE * availableParallelism();
  const supervisor = createSupervisor({
    command: config.childCommand,
    forgejoUrl: config.forgejoInternalUrl,
    userAgent: USER_AGENT,
    messageBytesMax: config.maxMessageBytes,
    stopGraceMs: config.stopGraceMs,
    clock,
    log,
    metrics,
  });
  return createSessionRegistry({
    ...{ store, tokens, supervisor, spawnBreaker, keyring, clock, random, log, metrics },
    spawnQueue: createSpawnQueue({ concurrency, clock, metrics }),
    probeForge: async (token) => {
      const user = await forge.user(token);
      if (user.ok || user.error.kind === 'misconfigured') return 'up';
      return user.error.kind === 'sign_in_again' ? 'token_refused' : 'away';
    },
    limits: {
      sessionsMax: config.maxSessions,
      sessionsPerUserMax: config.maxSessionsPerUser,
      requestTimeoutMs: config.requestTimeoutMs,
      requestTimeoutTotalMs: config.requestTimeoutTotalMs,
      streamBufferBytesMax: config.maxStreamBufferBytes,
      storedPerUserMax: config.maxStoredSessionsPerUser,
      ttlMs: config.sessionTtlMs,
      idleTimeoutMs: config.sessionIdleTimeoutMs,
      handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
      stopGraceMs: config.stopGraceMs,
    },
    serverVersions: SERVER_VERSIONS,
  });
}

async function listen(config: Config, built: Built): Promise<RunningBroker> {
  const { log, clock, metrics, store, tokens, sessions } = built;
  let stopping: Promise<void> | undefined;
  const app = await mount(
    config,
    { ...built, serverVersions: SERVER_VERSIONS },
    () => stopping !== undefined,
  );
  const control = await openControl(config, built);
  const { hostname, port } = config.listen;
  try {
    app.listen({ hostname, port });
  } catch (error) {
    await control?.stop();
    throw new StartFailure(
      `Cannot listen on ${hostname}:${port} (${codeOf(error)}). Is another broker running? ` +
        'Stop it, or choose another address with --listen, FJMCP_LISTEN or the key listen.',
      { cause: error },
    );
  }
  const stopPruning = clock.every(PRUNE_EVERY_MS, () => {
    store.prune().catch((err: unknown) => log.error('store.prune_failed', { err }));
  });
  const stopSweeps = sessions.sweep();
  log.info('broker.listening', { origin: config.publicOrigin, hostname, port: app.server?.port });

  const stop = async () => {
    const startedAt = clock.now();
    const leftMs = () => Math.max(0, config.stopGraceMs - (clock.now() - startedAt));
    stopPruning();
    stopSweeps();
    // No new connections; resolves when all open requests are answered, a person's way back too.
    const drained = app.server?.stop(false) ?? Promise.resolve();
    await sessions.stop();
    await within(clock, Math.max(FLUSH_MS, leftMs()), drained);
    await app.server?.stop(true);
    await control?.stop();
    await within(clock, leftMs(), tokens.idle());
    await store.close();
    log.info('broker.stopped', { ms: clock.now() - startedAt });
  };
  return {
    origin: config.publicOrigin,
    port: app.server?.port ?? port,
    metrics,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

async function openControl(config: Config, built: Built): Promise<ControlListener | undefined> {
  const { controlSocketPath: path } = config;
  if (path === undefined) return undefined;
  try {
    return await listenControl({ ...built, path, actions: createControlActions(built) });
  } catch (error) {
    if (error instanceof ControlListenError)
      throw new StartFailure(error.message, { cause: error });
    throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
}
