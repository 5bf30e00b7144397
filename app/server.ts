import { type AnyElysia, Elysia } from 'elysia';
import type { ClientAddresses } from './http/client-address.ts';
import { drainBody } from './http/drain-body.ts';
import { type ErrorBoundaryOptions, errorBoundary } from './http/error-boundary.ts';
import { hostGuard } from './http/host-guard.ts';
import { type RequestLogOptions, requestLog } from './http/request-log.ts';
import { type ProtectedResourceOptions, protectedResource } from './mcp/protected-resource.ts';
import { authorizationServer } from './oauth/authorization-server.ts';
import type { AuthorizationServerParts } from './oauth/parts.ts';
import { type StatusOptions, status } from './status/status.ts';

export interface ServerParts {
  readonly publicOrigin: string;
  /** Whether another broker has taken over. */
  readonly succeeded: () => boolean;
  readonly boundary: ErrorBoundaryOptions;
  readonly requestLog: RequestLogOptions;
  readonly addresses: ClientAddresses;
  readonly status: StatusOptions;
  readonly authorizationServer: AuthorizationServerParts;
  readonly protectedResource: Omit<ProtectedResourceOptions, 'allowIdle'>;
  /** Made from the route declarations of the plugins; see `publicRoutes`. */
  readonly apiReference: (routes: () => AnyElysia) => AnyElysia;
}

/**
 * Bytes of any request body at which the runtime itself hangs up, at least: the last wall, not the
 * limit, so it stands well behind a `MAX_BODY` of any size.
 */
const BODY_BYTES_BACKSTOP = 64 * 1024 * 1024;

/** Seconds of silence on a connection; calls that take longer lift it for themselves. */
const IDLE_TIMEOUT_S = 60;

/**
 * The root: guards first, then the plugins, each with its own routes. Nothing here listens; the
 * composition root does.
 */
export function createServer(parts: ServerParts) {
  const { succeeded } = parts;
  const root: { app?: AnyElysia } = {};
  const allowIdle = (request: Request, seconds: number) =>
    root.app?.server?.timeout(request, seconds);
  const routes = () => publicRoutes(parts, allowIdle);
  const app = new Elysia({
    serve: {
      // Bun would let a second broker share the port silently, and sessions would be lost at random.
      reusePort: false,
      // Its error pages show source code to whoever provokes one.
      development: false,
      idleTimeout: IDLE_TIMEOUT_S,
      maxRequestBodySize: Math.max(BODY_BYTES_BACKSTOP, 2 * parts.protectedResource.bodyBytesMax),
    },
  })
    .onRequest(({ set }) => {
      // Who keeps connections open must make its next request where the successor listens.
      if (succeeded()) set.headers.connection = 'close';
    })
    .use(errorBoundary(parts.boundary))
    .use(requestLog(parts.requestLog))
    .use(drainBody(parts.requestLog))
    .use(hostGuard({ publicOrigin: parts.publicOrigin }))
    .use(routes())
    .use(parts.apiReference(routes));
  root.app = app;
  parts.addresses.listenWith(() => app.server);
  return app;
}

/** Every route that a client, a person or an admin may use, without guards and without state. */
function publicRoutes(
  parts: ServerParts,
  allowIdle: ProtectedResourceOptions['allowIdle'],
): AnyElysia {
  return new Elysia()
    .use(status(parts.status))
    .use(authorizationServer(parts.authorizationServer))
    .use(protectedResource({ ...parts.protectedResource, allowIdle }));
}
