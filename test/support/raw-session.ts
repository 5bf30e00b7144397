import { RawClient, rpcAnswer } from './raw-client.ts';

const PROTOCOL_VERSION = '2025-11-25';

/** One open MCP session of a client that repairs nothing. */
export class RawSession {
  readonly #client: RawClient;

  private constructor(client: RawClient) {
    this.#client = client;
  }

  /** Opens a session; throws when it does not open. */
  static async open(mcpUrl: string, accessToken: string): Promise<RawSession> {
    const client = new RawClient(mcpUrl, accessToken);
    const opened = await client.initialize();
    const text = await opened.text();
    if (opened.status !== 200) throw new Error(`not opened: ${opened.status} ${text}`);
    const session = new RawSession(client);
    await session.send({ method: 'notifications/initialized' });
    return session;
  }

  /** Posts one message. */
  send(message: object): Promise<Response> {
    const version = { 'mcp-protocol-version': PROTOCOL_VERSION };
    return this.#client.post({ jsonrpc: '2.0', ...message }, version);
  }

  /** Calls a tool of the fixture child and gives what it gave; throws with the error's message. */
  async tool<T = unknown>(name: string, args: object = {}): Promise<T> {
    const accept = 'application/json, text/event-stream';
    const answer = await rpcAnswer(await this.#client.call(name, args, accept));
    if (answer.result === undefined) throw new Error(answer.error?.message);
    return answer.result.structuredContent as T;
  }

  /**
   * Makes the fixture child flood one of its outputs. The answer may drown in it: what the child
   * writes goes to the stream of its only call, and a client that reads too slowly loses that one.
   */
  async flood(args: object): Promise<void> {
    await this.tool('flood', args).catch(() => undefined);
  }

  /** Opens the listening stream, or takes it up behind an event. */
  listen(signal: AbortSignal, lastEventId?: string): Promise<Response> {
    const headers = this.headers({
      accept: 'text/event-stream',
      'last-event-id': lastEventId ?? null,
    });
    return fetch(this.#client.mcpUrl, { headers, signal });
  }

  /** The headers that every request of this session carries. */
  headers(more: Readonly<Record<string, string | null>> = {}): Record<string, string> {
    return this.#client.headers({ 'mcp-protocol-version': PROTOCOL_VERSION, ...more });
  }

  /** Ends the session and gives the status. */
  async end(): Promise<number> {
    const headers = this.headers();
    return (await fetch(this.#client.mcpUrl, { method: 'DELETE', headers })).status;
  }
}
