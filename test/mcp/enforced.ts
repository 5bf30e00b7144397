import { createMetrics } from '../../app/base/metrics.ts';
import { protectedResource } from '../../app/mcp/protected-resource.ts';
import { allowedBy } from '../../app/tools/methods.ts';
import { EVERYTHING, type Permission, serializePermission } from '../../app/tools/permission.ts';
import { createScopeLimits } from '../../app/tools/scope-limits.ts';
import type { Scope } from '../../app/tools/scopes.ts';
import { forgejoMcpList } from '../fixture/forgejo-mcp-tools.ts';
import { reviewedCatalogue } from '../support/catalogue.ts';
import type { FakeChild } from '../support/fake-child.ts';
import { passAll } from '../support/rate-limits.ts';
import { bench } from '../support/session-registry.ts';
import { ALICE, ORIGIN, request, type SendOptions, StoreDouble, VERSIONS } from './harness.ts';

type Json = Record<string, unknown>;

/** A child with all of forgejo-mcp's tools, resources and prompts, which answers at once. */
function forgejoMcp(tools: () => unknown): (child: FakeChild) => void {
  return (child) => {
    const answer = (message: Json) => {
      const { id, method, params } = message;
      if (id === undefined) return;
      child.says({ jsonrpc: '2.0', id, result: resultOf(String(method), params, tools) });
    };
    for (const message of child.messages) answer(message);
    const send = child.send.bind(child);
    child.send = (text) => {
      queueMicrotask(() => answer(JSON.parse(text) as Json));
      return send(text);
    };
  };
}

function resultOf(method: string, params: unknown, tools: () => unknown): unknown {
  switch (method) {
    case 'initialize':
      return {
        protocolVersion: (params as Json).protocolVersion,
        capabilities: { tools: { listChanged: true }, resources: {}, prompts: {}, logging: {} },
      };
    case 'tools/list':
      return tools();
    default:
      return { asked: method };
  }
}

/** `/mcp` with a real registry; only the store and the processes are played. */
export async function enforced(
  options: { readonly tools?: () => unknown; readonly version?: string } = {},
) {
  const made = bench({
    script: forgejoMcp(options.tools ?? forgejoMcpList),
    stillAllowed: (permission, request) => allowedBy(permission, request, reviewedCatalogue()),
  });
  const { registry: sessions, clock, memory } = made;
  const store = new StoreDouble();
  store.put(ALICE);
  const operator: { maxScope: Scope; defaultScope: Scope } = {
    maxScope: 'forgejo:delete',
    defaultScope: 'forgejo:write',
  };
  const metrics = createMetrics();
  const plugin = protectedResource({
    ...{ store, sessions, clock, log: memory.log, metrics },
    publicOrigin: ORIGIN,
    scopes: createScopeLimits(() => operator),
    catalogue: reviewedCatalogue(),
    allowedOrigins: () => [],
    serverVersions: VERSIONS,
    allowIdle: () => undefined,
    rateLimits: passAll,
    bodyBytesMax: 8 * 1024 * 1024,
  });
  let session: string | undefined;
  /** Sends a message, or the exact text of one. */
  const send = (message: unknown, how: SendOptions = {}) => {
    const body = typeof message === 'string' ? { body: message } : {};
    const sent = session === undefined ? {} : { session };
    return plugin.handle(request(message, { ...sent, ...body, ...how }));
  };
  const params = {
    protocolVersion: options.version ?? '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'some client', version: '3' },
  };
  const opened = await send({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
  session = opened.headers.get('mcp-session-id') ?? '';
  await send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  return {
    ...{ send, operator, store, memory, metrics, sessions, sessionId: session },
    /** What the person allows from now on, and what the token says of it. */
    allow: (permission: Partial<Permission>, scope?: Scope) =>
      store.put(ALICE, {
        permission: serializePermission({ ...EVERYTHING, ...permission }),
        ...(scope === undefined ? {} : { scope }),
      }),
    ask: (method: string, asked: unknown = {}, how?: SendOptions) =>
      send({ jsonrpc: '2.0', id: 1, method, params: asked }, how),
    call: (name: string, args: unknown = {}, how?: SendOptions) =>
      send({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } }, how),
    /** The methods that children were asked since the last time. */
    seen: () =>
      made.supervisor.children.flatMap((child) =>
        child.sent.splice(0).map((text) => (JSON.parse(text) as Json).method),
      ),
    children: () => made.supervisor.children.length,
    endChild: () => made.supervisor.last.exit(1),
    forge: made.forge,
  };
}

/** The answer of a POST, from JSON or from the last event of a stream. */
export async function answerOf(response: Response): Promise<Json> {
  const text = await response.text();
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
    return JSON.parse(text) as Json;
  }
  return messagesOf(text).at(-1) ?? {};
}

/** The messages of an event stream. */
export function messagesOf(text: string): Json[] {
  const data = text.split('\n').filter((line) => line.startsWith('data: {'));
  return data.map((line) => JSON.parse(line.slice('data: '.length)) as Json);
}
