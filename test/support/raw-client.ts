/**
 * An MCP client that shows every answer as it came, for what a well-behaved client never sends or
 * never lets see.
 */
export class RawClient {
  readonly mcpUrl: string;
  readonly accessToken: string;
  sessionId: string | undefined;
  /** The id of the request sent last. */
  lastId = 0;

  constructor(mcpUrl: string, accessToken: string) {
    this.mcpUrl = mcpUrl;
    this.accessToken = accessToken;
  }

  /** A POST of `body`: text as it is, anything else as JSON. A header of null is left out. */
  post(body: unknown, headers: Readonly<Record<string, string | null>> = {}): Promise<Response> {
    return fetch(this.mcpUrl, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: this.headers({ 'content-type': 'application/json', ...headers }),
    });
  }

  headers(more: Readonly<Record<string, string | null>> = {}): Record<string, string> {
    const all: Record<string, string | null> = {
      authorization: `Bearer ${this.accessToken}`,
      accept: 'application/json, text/event-stream',
      'mcp-session-id': this.sessionId ?? null,
      ...more,
    };
    return Object.fromEntries(
      Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null),
    );
  }

  /** Sends `initialize` and keeps the session that it opens. */
  async initialize(): Promise<Response> {
    this.lastId += 1;
    const params = {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'raw', version: '1' },
    };
    const message = { jsonrpc: '2.0', id: this.lastId, method: 'initialize', params };
    const response = await this.post(message, { 'mcp-session-id': null });
    this.sessionId = response.headers.get('mcp-session-id') ?? undefined;
    return response;
  }

  /** Calls a tool; `accept` alone decides whether a slow answer comes as a stream. */
  call(name: string, args: object = {}, accept = 'application/json'): Promise<Response> {
    this.lastId += 1;
    const params = { name, arguments: args };
    const message = { jsonrpc: '2.0', id: this.lastId, method: 'tools/call', params };
    return this.post(message, { accept });
  }
}

/** A JSON-RPC answer, of which a test asserts what it expects. */
export interface RpcAnswer {
  readonly id: unknown;
  readonly result?: { readonly structuredContent?: unknown };
  readonly error?: { readonly code: number; readonly message: string };
}

/** The JSON-RPC answer of a response, whether it came as JSON or as the last event of a stream. */
export async function rpcAnswer(response: Response): Promise<RpcAnswer> {
  const text = await response.text();
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  const data = isStream ? [...text.matchAll(/^data: ?(.+)$/gm)].at(-1)?.[1] : text;
  return JSON.parse(data ?? '') as RpcAnswer;
}
