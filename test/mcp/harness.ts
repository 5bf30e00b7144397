import { Elysia } from 'elysia';
import { silentLog } from '../../app/base/log.ts';
import { type Message, RPC_ERROR, resultText } from '../../app/base/message.ts';
import { createMetrics } from '../../app/base/metrics.ts';
import type { RateLimits } from '../../app/base/rate-limits.ts';
import { err, ok, type Result } from '../../app/base/result.ts';
import { type Digest, digestOf } from '../../app/base/secret.ts';
import type { BearerGrant } from '../../app/mcp/bearer.ts';
import { createEnforcement } from '../../app/mcp/enforcement.ts';
import type { TransportParts } from '../../app/mcp/exchange.ts';
import { protectedResource } from '../../app/mcp/protected-resource.ts';
import { createStepUp } from '../../app/mcp/step-up.ts';
import type {
  Listening,
  OpenedSession,
  OpenFailure,
  OwnedSession,
  PostedCalls,
  RequestMessage,
  SessionOwner,
} from '../../app/session/registry.ts';
import type { AccessTokenProof } from '../../app/store/tokens.ts';
import { createScopeLimits } from '../../app/tools/scope-limits.ts';
import { reviewedCatalogue } from '../support/catalogue.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { PushSource } from '../support/push-source.ts';
import { passAll } from '../support/rate-limits.ts';

export const ORIGIN = 'https://broker.example';
export const VERSIONS = ['2025-03-26', '2025-06-18', '2025-11-25'];

/** A syntactically right access token; the store double decides whether it is good. */
export function tokenNamed(name: string): string {
  return `fjmcp_at_${name.padEnd(43, '0')}`;
}

export const ALICE = tokenNamed('alice');
export const BOB = tokenNamed('bob');

/** What the guard reads of the store, in memory. */
export class StoreDouble {
  readonly proofs = new Map<Digest, AccessTokenProof>();
  readonly confirmed: Digest[] = [];
  readonly usedGrants: string[] = [];
  lookups = 0;
  /** Thrown by every read, when set. */
  failure: Error | undefined;
  /** Thrown by every write, when set. */
  writeFailure: Error | undefined;

  readonly tokens = {
    findAccess: (digest: Digest) => {
      this.lookups += 1;
      if (this.failure !== undefined) return Promise.reject(this.failure);
      return Promise.resolve(this.proofs.get(digest));
    },
    confirmAnswer: (answer: Digest) => {
      if (this.writeFailure !== undefined) return Promise.reject(this.writeFailure);
      this.confirmed.push(answer);
      for (const [digest, proof] of this.proofs) {
        if (proof.unconfirmedAnswer !== answer) continue;
        this.proofs.set(digest, { ...proof, unconfirmedAnswer: null });
      }
      return Promise.resolve();
    },
  };

  readonly grants = {
    used: (id: string) => {
      this.usedGrants.push(id);
    },
  };

  put(token: string, proof: Partial<AccessTokenProof> = {}): void {
    const digest = digestOf(token);
    this.proofs.set(digest, {
      digest,
      grantId: 'grant-alice',
      accountId: 1,
      login: 'alice',
      accountState: 'active',
      clientId: 'client-1',
      scope: 'forgejo:delete',
      permission: null,
      resource: `${ORIGIN}/mcp`,
      expiresAt: Date.UTC(2100, 0, 1),
      grantEnded: false,
      unconfirmedAnswer: null,
      ...proof,
    });
  }
}

/** A session that answers when the test says so. */
export class SessionDouble implements OwnedSession {
  attached = false;
  readonly shortId = 'abcdefgh';
  protocolVersion = '2025-11-25';
  readonly calls: RequestMessage[] = [];
  readonly notified: Message[] = [];
  readonly ends: string[] = [];
  notifyResult: Result<void, 'gone' | 'full'> = ok(undefined);
  attachResult: Result<void, OpenFailure> = ok(undefined);
  /** What a call answers; by default at once. */
  respond: (request: RequestMessage) => Promise<string> = (request) =>
    Promise.resolve(resultText(request.id, { ok: true }));
  onEnd: () => Promise<void> = () => Promise.resolve();
  readonly listened: (string | undefined)[] = [];
  /** What the next GET gets. */
  listening: (lastEventId?: string) => Listening = () => ({ kind: 'nothing' });
  readonly owner: SessionOwner;
  #onCall = Promise.withResolvers<void>();

  constructor(owner: SessionOwner) {
    this.owner = owner;
  }

  /** Resolves with the next call. */
  get called(): Promise<void> {
    return this.#onCall.promise;
  }

  attach(): Promise<Result<void, OpenFailure>> {
    return Promise.resolve(this.attachResult);
  }

  call(requests: RequestMessage | readonly RequestMessage[]): PostedCalls {
    const list = Array.isArray(requests) ? requests : [requests];
    this.calls.push(...list);
    this.#onCall.resolve();
    this.#onCall = Promise.withResolvers();
    const answers = Promise.all(list.map((request) => this.respond(request)));
    const answer = answers.then((texts) => (Array.isArray(requests) ? `[${texts}]` : `${texts}`));
    let plain = false;
    const decided = answer.then(() => {
      plain = true;
    });
    const read = () => {
      const source = new PushSource();
      void answer.then((text) => {
        source.push(text);
        source.finish();
      });
      return source;
    };
    return {
      answer,
      decided,
      read,
      get plain() {
        return plain;
      },
    };
  }

  listen(lastEventId?: string): Listening {
    this.listened.push(lastEventId);
    return this.listening(lastEventId);
  }

  notify(message: Message): Result<void, 'gone' | 'full'> {
    this.notified.push(message);
    return this.notifyResult;
  }

  end(reason: string): Promise<void> {
    this.ends.push(reason);
    return this.onEnd();
  }

  /** The next calls wait until the returned function gives their answer. */
  hold(): (answer?: string) => void {
    const held = Promise.withResolvers<string>();
    this.respond = () => held.promise;
    return (answer = resultText(this.calls.at(-1)?.id ?? 0, { held: true })) =>
      held.resolve(answer);
  }
}

/** A registry in memory; `opening` decides how `initialize` goes. */
export class SessionsDouble {
  readonly sessions = new Map<string, SessionDouble>();
  readonly opened: SessionOwner[] = [];
  readonly found: string[] = [];
  opening: (initialize: RequestMessage) => Promise<OpenFailure | undefined> = () =>
    Promise.resolve(undefined);

  async open(
    owner: SessionOwner,
    initialize: RequestMessage,
  ): Promise<Result<OpenedSession, OpenFailure>> {
    this.opened.push(owner);
    const failure = await this.opening(initialize);
    if (failure !== undefined) return err(failure);
    const sessionId = `session-${this.opened.length}`;
    const session = this.add(sessionId, owner);
    const answer = resultText(initialize.id, { protocolVersion: '2025-11-25' });
    return ok({ sessionId, answer, session });
  }

  async find(sessionId: string, owner: SessionOwner): Promise<OwnedSession | undefined> {
    this.found.push(sessionId);
    const session = this.sessions.get(sessionId);
    const owned =
      session?.owner.accountId === owner.accountId && session.owner.clientId === owner.clientId;
    return owned ? session : undefined;
  }

  add(sessionId: string, owner: SessionOwner): SessionDouble {
    const session = new SessionDouble(owner);
    session.onEnd = () => {
      this.sessions.delete(sessionId);
      return Promise.resolve();
    };
    this.sessions.set(sessionId, session);
    return session;
  }
}

export interface SendOptions {
  readonly method?: string;
  readonly path?: string;
  /** null: no Authorization header. */
  readonly token?: string | null;
  readonly session?: string;
  readonly headers?: Record<string, string>;
  readonly body?: BodyInit;
  readonly signal?: AbortSignal;
}

/** The resource under test with doubles behind it; Alice has session `s-alice`, Bob `s-bob`. */
export function resourceUnderTest(
  options: { readonly bodyBytesMax?: number; readonly rateLimits?: RateLimits } = {},
) {
  const store = new StoreDouble();
  store.put(ALICE);
  store.put(BOB, { grantId: 'grant-bob', accountId: 2, login: 'bob' });
  const sessions = new SessionsDouble();
  const alice = sessions.add('s-alice', ownerNamed('alice', 1));
  const bob = sessions.add('s-bob', ownerNamed('bob', 2));
  const clock = new FakeClock();
  const metrics = createMetrics();
  const plugin = protectedResource({
    store,
    sessions,
    publicOrigin: ORIGIN,
    scopes: createScopeLimits(() => ({
      maxScope: 'forgejo:delete',
      defaultScope: 'forgejo:write',
    })),
    catalogue: reviewedCatalogue(),
    allowedOrigins: () => ['https://client.example'],
    serverVersions: VERSIONS,
    bodyBytesMax: options.bodyBytesMax ?? 64 * 1024,
    allowIdle: () => undefined,
    rateLimits: options.rateLimits ?? passAll,
    clock,
    log: silentLog,
    metrics,
  });
  const send = (message: unknown, how: SendOptions = {}) => plugin.handle(request(message, how));
  const challenge = () => 'Bearer';
  const transport: TransportParts = {
    sessions,
    enforcement: createEnforcement({
      ...{ catalogue: reviewedCatalogue(), ceiling: () => 'forgejo:delete', challenge },
      ...{ stepUp: createStepUp({ clock }), log: silentLog, metrics },
    }),
    stillGranted: () => Promise.resolve(ok({} as BearerGrant)),
    challenge,
    serverVersions: VERSIONS,
    bodyBytesMax: 1024,
    clock,
    log: silentLog,
    metrics,
  };
  return { plugin, transport, store, sessions, alice, bob, clock, metrics, send };
}

function ownerNamed(login: string, accountId: number): SessionOwner {
  return { login, accountId, clientId: 'client-1', grantId: `grant-${login}` };
}

/** A POST of `message` as Alice, unless `how` says otherwise. */
export function request(message: unknown, how: SendOptions = {}): Request {
  return new Request(`http://localhost${how.path ?? '/mcp'}`, requestInit(message, how));
}

export function requestInit(message: unknown, how: SendOptions = {}): RequestInit {
  const method = how.method ?? 'POST';
  const headers: Record<string, string> = {
    accept: 'application/json, text/event-stream',
    'content-type': 'application/json',
    ...how.headers,
  };
  const token = how.token === undefined ? ALICE : how.token;
  if (token !== null) headers.authorization ??= `Bearer ${token}`;
  if (how.session !== undefined) headers['mcp-session-id'] = how.session;
  const bare = method === 'GET' || method === 'HEAD' || (message === undefined && !how.body);
  return {
    method,
    headers,
    ...(how.signal === undefined ? {} : { signal: how.signal }),
    ...(bare ? {} : { body: how.body ?? JSON.stringify(message) }),
  };
}

/** Serves the resource on a port of the system's choice. */
export function listening(resource: ReturnType<typeof resourceUnderTest>) {
  const disconnected = Promise.withResolvers<void>();
  const app = new Elysia({ serve: { maxRequestBodySize: 1024 * 1024 } })
    .onRequest(({ request }) => {
      request.signal.addEventListener('abort', () => disconnected.resolve());
    })
    .use(resource.plugin)
    .listen({ hostname: '127.0.0.1', port: 0, reusePort: false });
  const port = app.server?.port ?? 0;
  const url = `http://127.0.0.1:${port}/mcp`;
  /** `disconnected` resolves when the server has seen the first client go. */
  return { port, url, disconnected: disconnected.promise, stop: () => app.stop(true) };
}

export const PING = { jsonrpc: '2.0', id: 7, method: 'ping' };

export const INITIALIZE = {
  jsonrpc: '2.0',
  id: 'init',
  method: 'initialize',
  params: {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'test', version: '1' },
  },
};

/** The JSON-RPC error of an answer; fails the test when it is not one. */
export async function rpcErrorOf(response: Response) {
  const body: unknown = await response.json();
  if (!isRpcError(body)) throw new Error(`not a JSON-RPC error: ${JSON.stringify(body)}`);
  return { id: body.id, code: body.error.code, message: body.error.message };
}

interface RpcErrorBody {
  readonly id: string | number | null;
  readonly error: { readonly code: number; readonly message: string };
}

function isRpcError(body: unknown): body is RpcErrorBody {
  if (typeof body !== 'object' || body === null) return false;
  if (!('jsonrpc' in body) || body.jsonrpc !== '2.0' || !('id' in body)) return false;
  return 'error' in body && typeof body.error === 'object' && body.error !== null;
}

export { RPC_ERROR };
