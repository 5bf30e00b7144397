import type { Keyring } from './base/keyring.ts';
import type { Metrics } from './base/metrics.ts';
import { ownRevision, VERSION } from './base/version.ts';
import type { Sandbox } from './child/sandbox.ts';
import type { SpawnBreaker } from './child/spawn-breaker.ts';
import type { LiveConfig } from './config/live.ts';
import type { Config } from './config.ts';
import type { AccountTokens } from './forge/account-tokens.ts';
import type { Forge } from './forge/forge.ts';
import { apiReference } from './http/api-reference.ts';
import { createClientAddresses } from './http/client-address.ts';
import { createRateLimits } from './http/rate-limits.ts';
import { authorizationPages } from './pages/authorization-pages.ts';
import type { BrokerParts, ChildTrial } from './running-broker.ts';
import { createServer } from './server.ts';
import type { SessionRegistry } from './session/registry.ts';
import type { Store } from './store/store.ts';
import { StoreError } from './store/store-error.ts';
import type { Catalogue } from './tools/catalogue.ts';
import { createScopeLimits } from './tools/scope-limits.ts';

const AUTHORIZATION_REQUESTS_MAX = 10_000;

/** The HTTP side of the broker: every part given to the plugin that needs it. */
export function mount(
  config: Config,
  built: Built & { readonly serverVersions: readonly string[] },
  is: { readonly stopping: () => boolean; readonly succeeded: () => boolean },
) {
  const { publicOrigin } = config;
  // Live settings are asked for at each use.
  const allowedOrigins = () => config.allowedOrigins;
  const { log, clock, metrics, store, forge, tokens, sessions } = built;
  const scopes = createScopeLimits(() => config);
  const addresses = createClientAddresses({ trustedProxies: () => config.trustedProxies, log });
  const rules = () => config.rateLimits;
  const rateLimits = createRateLimits({ rules, addresses, clock, log, metrics });
  const status = {
    version: VERSION,
    git: ownRevision(),
    store,
    probeForge: async () => ((await forge.version()).ok ? ('up' as const) : ('away' as const)),
    spawnsBlocked: () => built.spawnBreaker.open,
    stopping: is.stopping,
    clock,
  };
  return createServer({
    publicOrigin,
    succeeded: is.succeeded,
    boundary: {
      log,
      storeFailure: (error) => (error instanceof StoreError ? error.kind : undefined),
      renderErrorPage: ({ status, title, detail }) =>
        authorizationPages.problem({ status, title, paragraphs: [sentence(detail)], links: [] }),
    },
    requestLog: { log, clock, metrics, addresses },
    addresses,
    status,
    authorizationServer: {
      ...built,
      scopes,
      publicOrigin,
      allowedOrigins,
      accountTokens: tokens,
      pages: authorizationPages,
      forgejoUrl: config.forgejoUrl,
      accessTokenTtlMs: config.accessTokenTtlMs,
      refreshTokenTtlMs: config.refreshTokenTtlMs,
      limits: { clientsMax: config.maxClients, requestsMax: AUTHORIZATION_REQUESTS_MAX },
      rateLimits,
      redirectAllowlist: () => config.redirectAllowlist,
      onGrantEnded: (grantId, reason) => {
        sessions.endGrant(grantId, reason).catch((err: unknown) => {
          log.error('session.end_failed', { grant: grantId, err });
        });
      },
    },
    protectedResource: {
      ...{ store, sessions, publicOrigin, allowedOrigins, scopes, clock, log, metrics },
      ...{ rateLimits, catalogue: built.catalogue },
      serverVersions: built.serverVersions,
      bodyBytesMax: config.maxBodyBytes,
      batchMax: config.maxBatchMessages,
    },
    apiReference: (routes) => apiReference({ routes, publicOrigin, version: VERSION }),
  });
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** Every part of the broker, as `startBroker` builds them. */
export interface Built extends BrokerParts {
  readonly live: LiveConfig;
  readonly metrics: Metrics;
  readonly keyring: Keyring;
  readonly store: Store;
  readonly forge: Forge;
  readonly tokens: AccountTokens;
  readonly spawnBreaker: SpawnBreaker;
  readonly sessions: SessionRegistry;
  readonly catalogue: Catalogue;
  readonly tryChild: () => Promise<ChildTrial>;
  readonly sandbox: Sandbox;
}
