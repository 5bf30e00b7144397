import { Elysia } from 'elysia';
import type { Clock } from '../base/clock.ts';
import { preflightResponse } from '../base/cors.ts';
import type { Log } from '../base/log.ts';
import { RPC_ERROR } from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import type { RateLimits } from '../base/rate-limits.ts';
import { err } from '../base/result.ts';
import type { SessionRegistry } from '../session/registry.ts';
import type { Store } from '../store/store.ts';
import type { Catalogue } from '../tools/catalogue.ts';
import type { ScopeLimits } from '../tools/scope-limits.ts';
import { scopesUpTo, scopeText } from '../tools/scopes.ts';
import { DELETE_DETAIL, GET_DETAIL, POST_DETAIL } from './api-detail.ts';
import { type BearerGrant, createBearerCheck } from './bearer.ts';
import { bearerGuard, refusalResponse, withCors } from './bearer-guard.ts';
import { createEnforcement } from './enforcement.ts';
import type { Exchange, TransportParts } from './exchange.ts';
import { rpcRefusal } from './json-rpc-response.ts';
import { listenToSession } from './listen.ts';
import { RESOURCE_METADATA_PATH, resourceMetadata } from './resource-metadata.ts';
import { deleteSession, postMessage } from './session-transport.ts';
import { createStepUp } from './step-up.ts';
import { bearerChallenge } from './www-authenticate.ts';

export interface ProtectedResourceOptions {
  readonly store: {
    readonly tokens: Pick<Store['tokens'], 'findAccess' | 'confirmAnswer'>;
    readonly grants: Pick<Store['grants'], 'used'>;
  };
  readonly sessions: Pick<SessionRegistry, 'open' | 'find'>;
  /** Scheme and host without a trailing slash; the resource is this with `/mcp`. */
  readonly publicOrigin: string;
  /** What the operator lets people allow. */
  readonly scopes: ScopeLimits;
  readonly catalogue: Catalogue;
  /** Origins of browser clients besides the public one. */
  readonly allowedOrigins: () => readonly string[];
  /** The protocol versions that the registry serves. */
  readonly serverVersions: readonly string[];
  readonly bodyBytesMax: number;
  /**
   * Sets the seconds that a connection may be silent. Not read from a handler's context: Elysia
   * defines `server` anew on each one that does, which costs more than what it is used for.
   */
  readonly allowIdle: (request: Request, seconds: number) => void;
  readonly rateLimits: RateLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

const PATH = '/mcp';
const METHODS = ['GET', 'POST', 'DELETE', 'OPTIONS'] as const;

/**
 * The protected resource of MCP: `/mcp` by Streamable HTTP with sessions, and its metadata
 * documents. Each answer to `/mcp` is JSON-RPC, and nothing is read, looked up or started for a
 * request before its token was found good.
 */
export function protectedResource(options: ProtectedResourceOptions) {
  const { publicOrigin, clock, log, metrics } = options;
  const exchangeOf = (request: Request, grant: BearerGrant): Exchange => ({
    ...{ request, grant },
    allowIdle: (seconds) => options.allowIdle(request, seconds),
  });
  const origins = () => [publicOrigin, ...options.allowedOrigins()];
  const challenge = bearerChallenge({
    metadataUrl: `${publicOrigin}${RESOURCE_METADATA_PATH}`,
    scope: () => scopeText(options.scopes.default()),
  });
  const { tokens, grants } = options.store;
  const resource = `${publicOrigin}${PATH}`;
  const ceiling = options.scopes.max;
  const { catalogue } = options;
  const check = createBearerCheck({ tokens, grants, resource, ceiling, clock, log, metrics });
  const transport: TransportParts = {
    ...{ clock, log, metrics, challenge },
    enforcement: createEnforcement({
      ...{ catalogue, ceiling, challenge, log, metrics },
      stepUp: createStepUp({ clock }),
    }),
    sessions: options.sessions,
    stillGranted: async (request) => {
      const checked = await check(request.headers);
      return checked.ok ? checked : err(refusalResponse(checked.error, challenge));
    },
    serverVersions: options.serverVersions,
    bodyBytesMax: options.bodyBytesMax,
  };
  return (
    new Elysia()
      .use(resourceMetadata({ publicOrigin, scopes: () => scopesUpTo(options.scopes.default()) }))
      // Before the guard: a browser sends no credentials with a preflight (Fetch section 4.8).
      .options(PATH, ({ request }) => preflight(request, origins()), { detail: { hide: true } })
      .use(bearerGuard({ check, challenge, origins, rateLimits: options.rateLimits, log }))
      .post(
        PATH,
        async ({ request, grant }) => {
          const response = await postMessage(exchangeOf(request, grant), transport);
          return withCors(response, request, origins());
        },
        { parse: 'none', detail: POST_DETAIL },
      )
      .get(
        PATH,
        async ({ request, grant }) => {
          const response = await listenToSession(exchangeOf(request, grant), transport);
          return withCors(response, request, origins());
        },
        { parse: 'none', detail: GET_DETAIL },
      )
      .delete(
        PATH,
        async ({ request, grant }) => {
          const response = await deleteSession(exchangeOf(request, grant), transport);
          return withCors(response, request, origins());
        },
        { parse: 'none', detail: DELETE_DETAIL },
      )
      .all(PATH, ({ request }) => withCors(wrongMethod(), request, origins()), {
        parse: 'none',
        detail: { hide: true },
      })
  );
}

function preflight(request: Request, origins: readonly string[]): Response {
  return preflightResponse(request.headers.get('origin'), origins, METHODS);
}

function wrongMethod(): Response {
  return rpcRefusal({
    status: 405,
    id: null,
    code: RPC_ERROR.invalidRequest,
    message: 'this method is not served here',
    headers: { allow: METHODS.join(', ') },
  });
}
