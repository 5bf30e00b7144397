import type { DemoClient } from '../../app/demo/client.ts';
import type { TestSystem } from './system.ts';

const PROTOCOL_VERSION = '2025-11-25';

export interface RawMessage {
  readonly id?: string | number | null;
  readonly method?: string;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number; readonly message: string };
}

/** Signs in and gives the access token. */
export async function signedIn(
  system: TestSystem,
  login = 'alice',
  password = 'wonderland',
): Promise<string> {
  const client: DemoClient = system.client(`client of ${login}`);
  await client.authorize(system.person({ login, password }));
  const token = client.memory.current?.access_token;
  if (token === undefined) throw new Error(`${login} got no token`);
  return token;
}

/** One MCP session over plain `fetch`, without a client that would repair anything. */
export class RawSession {
  readonly #mcpUrl: string;
  readonly #token: string;
  #sessionId: string | undefined;
  #lastId = 0;

  constructor(mcpUrl: string, token: string) {
    this.#mcpUrl = mcpUrl;
    this.#token = token;
  }

  static async open(mcpUrl: string, token: string): Promise<RawSession> {
    const session = new RawSession(mcpUrl, token);
    const opened = await session.initialize();
    if (opened.status !== 200)
      throw new Error(`not opened: ${opened.status} ${await opened.text()}`);
    await opened.text();
    await session.send({ method: 'notifications/initialized' });
    return session;
  }

  /** Sends `initialize`; the answer is the caller's to read. */
  async initialize(): Promise<Response> {
    const response = await this.send({
      id: 0,
      method: 'initialize',
      params: {
        protocolVersion: PROTOCOL_VERSION,
        capabilities: {},
        clientInfo: { name: 'raw', version: '1' },
      },
    });
    this.#sessionId = response.headers.get('mcp-session-id') ?? undefined;
    return response;
  }

  /** Posts one message. */
  send(message: object): Promise<Response> {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message });
    return this.request('POST', { body });
  }

  request(method: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${this.#token}`);
    headers.set('content-type', 'application/json');
    if (!headers.has('accept')) headers.set('accept', 'application/json, text/event-stream');
    if (this.#sessionId !== undefined) {
      headers.set('mcp-session-id', this.#sessionId);
      headers.set('mcp-protocol-version', PROTOCOL_VERSION);
    }
    return fetch(this.#mcpUrl, { ...init, method, headers });
  }

  /** Sends a request and gives its answer, from JSON or from the end of an event stream. */
  async call(method: string, params: object = {}): Promise<RawMessage> {
    this.#lastId += 1;
    const response = await this.send({ id: this.#lastId, method, params });
    const text = await response.text();
    if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
      return JSON.parse(text) as RawMessage;
    }
    const data = text.split('\n').findLast((line) => line.startsWith('data: {'));
    return JSON.parse(data?.slice('data: '.length) ?? 'null') as RawMessage;
  }

  /** Calls a tool of the fixture child and gives what it gave. */
  async tool<T = unknown>(name: string, args: object = {}): Promise<T> {
    const { result, error } = await this.call('tools/call', { name, arguments: args });
    if (result === undefined) throw new Error(error?.message);
    return result['structuredContent'] as T;
  }

  async end(): Promise<number> {
    return (await this.request('DELETE')).status;
  }
}
