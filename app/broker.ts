import { availableParallelism } from 'node:os';
import { createKeyring, type Keyring } from './base/keyring.ts';
import { createMetrics } from './base/metrics.ts';
import type { Random } from './base/secret.ts';
import { VERSION } from './base/version.ts';
import { findSandbox } from './child/find-sandbox.ts';
import type { Sandbox } from './child/sandbox.ts';
import { createSpawnBreaker } from './child/spawn-breaker.ts';
import { createSpawnQueue } from './child/spawn-queue.ts';
import { createSupervisor, type Supervisor } from './child/supervisor.ts';
import { tryChild } from './child/trial.ts';
import { createLiveConfig } from './config/live.ts';
import type { Config } from './config.ts';
import { createAccountTokens } from './forge/account-tokens.ts';
import { createBoundedFetch } from './forge/bounded-fetch.ts';
import type { Forge } from './forge/forge.ts';
import { createForgejo } from './forge/forgejo.ts';
import type { Built } from './mount.ts';
import {
  type BrokerParts,
  type ChildTrial,
  type RunningBroker,
  StartFailure,
} from './running-broker.ts';
import { type PreparedBroker, serveBroker } from './serving.ts';
import { createSessionRegistry, type SessionRegistry } from './session/registry.ts';
import { openStore, type Store } from './store/store.ts';
import { StoreOpenError } from './store/store-error.ts';
import { createCatalogue } from './tools/catalogue.ts';
import { allowedBy } from './tools/methods.ts';

export {
  type BrokerParts,
  type RunningBroker,
  type StartedSuccessor,
  StartFailure,
  SuccessorGone,
  type SuccessorStarter,
} from './running-broker.ts';

/** Session protocol revisions served, oldest first. */
const SERVER_VERSIONS = ['2025-03-26', '2025-06-18', '2025-11-25'] as const;

const DAY_MS = 24 * 3_600_000;
const RETENTION = { unusedClientMs: 90 * DAY_MS, tombstoneMs: 365 * DAY_MS };
/** A start is a burst of work for one core, with a wait for the forge in it. */
const SPAWNS_PER_CORE = 2;
const HANDSHAKE_TIMEOUT_MS = 20_000;
const USER_AGENT = `fjmcp-broker/${VERSION}`;

/** Builds every part in the order of dependency and listens. Throws `StartFailure`. */
export async function startBroker(config: Config, parts: BrokerParts): Promise<RunningBroker> {
  return (await prepareBroker(config, parts)).broker;
}

/**
 * As `startBroker`; but with an inheritance it starts beside the broker that runs on the same store:
 * it listens where nobody finds it, and leaves the duties to the other until `takeOver`.
 */
export async function prepareBroker(
  first: Config,
  parts: BrokerParts,
  inheritance?: { readonly storeKeys: readonly Uint8Array[] },
): Promise<PreparedBroker> {
  const live = createLiveConfig(first);
  const { config } = live;
  const { log, clock, random } = parts;
  const metrics = createMetrics();
  const keyring = keyringOf(inheritance?.storeKeys ?? storeKeysOf(config), random);
  const succeeds = inheritance !== undefined;
  const store = open(config, { ...parts, keyring, metrics }, succeeds ? 'later' : 'now');
  try {
    const forge = connectForge(config, { ...parts, metrics });
    const tokens = createAccountTokens({ forge, accounts: store.accounts, clock, log, metrics });
    const spawnBreaker = createSpawnBreaker({ clock, log, metrics });
    const sandbox = chooseSandbox(config);
    const catalogue = createCatalogue(config.toolsToml);
    if (!catalogue.ok) throw new StartFailure(catalogue.error.join('; '));
    const supervisor = superviseChildren(config, { ...parts, metrics, sandbox });
    const built = {
      ...{ ...parts, live, metrics, keyring, store, forge, tokens, spawnBreaker },
      catalogue: catalogue.value,
    };
    const sessions = createSessions(config, { ...built, supervisor });
    const trial = { supervisor, forge, clock };
    const all = { ...built, sandbox, sessions, tryChild: () => tryOneChild(trial) };
    return await serveBroker(all, SERVER_VERSIONS, succeeds);
  } catch (error) {
    await store.close();
    throw error;
  }
}

function storeKeysOf({ storeKey, storePreviousKey }: Config): readonly Uint8Array[] {
  return storePreviousKey === undefined ? [storeKey] : [storePreviousKey, storeKey];
}

/** The last key is the current one. */
function keyringOf(storeKeys: readonly Uint8Array[], random: Random): Keyring {
  const [first, ...later] = storeKeys;
  if (first === undefined) throw new StartFailure('There is no store key.');
  const keyring = createKeyring({ current: first, random });
  for (const key of later) keyring.adopt(key);
  return keyring;
}

function open(
  config: Config,
  parts: Pick<Built, 'log' | 'clock' | 'metrics' | 'keyring' | 'onMigration'>,
  lock: 'now' | 'later',
): Store {
  const { log, clock, metrics, keyring, onMigration } = parts;
  const forgeOrigin = new URL(config.forgejoUrl).origin;
  try {
    return openStore({
      ...{ path: config.storePath, forgeOrigin, keyring, clock, log, metrics },
      ...(onMigration && { onMigration }),
      lock,
      retention: { ...RETENTION, sessionMs: config.sessionTtlMs },
    });
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

function superviseChildren(
  config: Config,
  parts: Pick<Built, 'log' | 'clock' | 'metrics' | 'sandbox'>,
): Supervisor {
  return createSupervisor({
    command: config.childCommand,
    forgejoUrl: config.forgejoInternalUrl,
    userAgent: USER_AGENT,
    messageBytesMax: config.maxMessageBytes,
    pipeLimits: {
      backlogBytesMax: config.maxChildBacklogBytes,
      unaskedBytesPerSecond: config.maxChildOutputBytes,
    },
    stopGraceMs: config.stopGraceMs,
    ...parts,
  });
}

function chooseSandbox(config: Config): Sandbox {
  const { childSandbox: mode, childSandboxPaths: paths, childCommand } = config;
  const sandbox = findSandbox({ mode, paths, program: childCommand[0] ?? '' });
  if (!sandbox.ok) throw new StartFailure(sandbox.error);
  return sandbox.value;
}

/** A program that says nothing is one thing while Forgejo answers, and another while it is away. */
async function tryOneChild(
  parts: Pick<Built, 'forge' | 'clock'> & { readonly supervisor: Supervisor },
): Promise<ChildTrial> {
  const trial = await tryChild(parts.supervisor, parts.clock, HANDSHAKE_TIMEOUT_MS);
  if (trial.kind !== 'silent') return trial;
  return (await parts.forge.version()).ok ? trial : { kind: 'forge_away' };
}

function createSessions(
  config: Config,
  parts: Omit<Built, 'sessions' | 'sandbox' | 'tryChild'> & { readonly supervisor: Supervisor },
): SessionRegistry {
  const { log, clock, random, metrics, keyring, store, forge, tokens, spawnBreaker } = parts;
  const concurrency = config.spawnConcurrency ?? SPAWNS_PER_CORE * availableParallelism();
  const { supervisor, catalogue } = parts;
  return createSessionRegistry({
    ...{ store, tokens, supervisor, spawnBreaker, keyring, clock, random, log, metrics },
    spawnQueue: createSpawnQueue({
      ...{ concurrency, clock, metrics },
      waitingMax: config.maxSpawnsWaiting,
    }),
    stillAllowed: (permission, request) => allowedBy(permission, request, catalogue),
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
      streamAgeMsMax: config.maxStreamAgeMs,
      callsMax: config.maxCallsPerSession,
      storedPerUserMax: config.maxStoredSessionsPerUser,
      ttlMs: config.sessionTtlMs,
      idleTimeoutMs: config.sessionIdleTimeoutMs,
      handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
      stopGraceMs: config.stopGraceMs,
    },
    serverVersions: SERVER_VERSIONS,
  });
}
