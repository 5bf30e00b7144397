import { randomUUID } from 'node:crypto';
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import type { JSONRPCMessage, RequestId } from '@modelcontextprotocol/sdk/types.js';
import { stdioClient } from '../fixture/connect.ts';

const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '[::1]']);

export interface ReferenceBridge {
  readonly mcpUrl: string;
  /** The `Authorization` header of each request, in order. */
  readonly credentials: (string | null)[];
  stop(): Promise<void>;
}

interface Session {
  readonly http: WebStandardStreamableHTTPServerTransport;
  close(): Promise<void>;
}

/**
 * The plainest bridge that can be built on the official SDK's own transports: one child per
 * session, one fixed bearer. It exists to judge the judges: what it passes, the broker must pass.
 */
export function startReferenceBridge(
  command: readonly string[],
  bearer: string,
): Promise<ReferenceBridge> {
  const sessions = new Map<string, Session>();
  const credentials: (string | null)[] = [];
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const given = request.headers.get('authorization');
      credentials.push(given);
      if (!isLoopback(request)) return new Response(null, { status: 403 });
      if (given !== `Bearer ${bearer}`) return new Response(null, { status: 401 });
      const id = request.headers.get('mcp-session-id');
      if (id === null) return (await openSession(command, sessions)).http.handleRequest(request);
      const session = sessions.get(id);
      return session?.http.handleRequest(request) ?? new Response(null, { status: 404 });
    },
  });
  return Promise.resolve({
    mcpUrl: `http://127.0.0.1:${server.port}/mcp`,
    credentials,
    async stop() {
      await Promise.all([...sessions.values()].map((session) => session.close()));
      await server.stop(true);
    },
  });
}

/** MCP (basic/transports, Security Warning): a page that rebinds its name has another one. */
function isLoopback(request: Request): boolean {
  const host = request.headers.get('host') ?? '';
  const origin = request.headers.get('origin');
  const names = [`http://${host}`, ...(origin === null ? [] : [origin])];
  return names.every((name) => URL.canParse(name) && LOOPBACK_NAMES.has(new URL(name).hostname));
}

async function openSession(
  command: readonly string[],
  sessions: Map<string, Session>,
): Promise<Session> {
  const { transport: child } = stdioClient(command);
  const pending = new Set<RequestId>();
  const http = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => {
      sessions.set(id, session);
    },
    onsessionclosed: async (id) => {
      sessions.delete(id);
      await child.close();
    },
  });
  const session: Session = { http, close: () => child.close() };
  http.onmessage = (message) => {
    if ('id' in message && 'method' in message) pending.add(message.id);
    void child.send(message);
  };
  child.onmessage = (message) => {
    // What a child asks or says during a call goes out on that call's stream.
    const relatedRequestId = pending.values().next().value;
    if (isAnswer(message)) pending.delete(message.id);
    void http.send(message, relatedRequestId === undefined ? {} : { relatedRequestId });
  };
  await child.start();
  await http.start();
  return session;
}

function isAnswer(message: JSONRPCMessage): message is JSONRPCMessage & { id: RequestId } {
  return 'id' in message && !('method' in message);
}
