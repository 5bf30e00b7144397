import type { Socket } from 'bun';
import type { LoadSession } from './closed-loop.ts';

const PROTOCOL_VERSION = '2025-11-25';
const END_OF_HEAD = '\r\n\r\n';

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Opens one MCP session over a connection of its own, kept alive for all its calls. */
export async function openHttpSession(mcpUrl: string, bearer?: string): Promise<LoadSession> {
  const connection = new Connection(new URL(mcpUrl), bearer);
  const initialize = await connection.send(
    'POST',
    `{"jsonrpc":"2.0","id":"initialize","method":"initialize","params":{"protocolVersion":"${PROTOCOL_VERSION}","capabilities":{},"clientInfo":{"name":"bench","version":"1.0.0"}}}`,
  );
  const id = initialize.head.match(/^mcp-session-id:\s*(\S+)/im)?.[1];
  if (initialize.status !== 200 || id === undefined) throw failed('initialize', initialize);
  connection.sessionId = id;
  const started = await connection.send(
    'POST',
    '{"jsonrpc":"2.0","method":"notifications/initialized"}',
  );
  if (started.status !== 202) throw failed('notifications/initialized', started);
  return {
    async call(text) {
      const answer = await connection.send('POST', text);
      if (answer.status !== 200) throw failed('tools/call', answer);
      return messageOf(answer);
    },
    async close() {
      await connection.send('DELETE', '');
      connection.close();
    },
  };
}

function failed(what: string, { status, body }: Answer): Error {
  return new Error(`${what} was answered ${status}: ${body.slice(0, 200)}`);
}

/** The JSON-RPC message: the body, or the last event that has data (a priming event has none). */
function messageOf({ head, body }: Answer): string {
  if (!/^content-type:\s*text\/event-stream/im.test(head)) return body;
  const data = body.lastIndexOf('data: {');
  const end = body.indexOf('\n', data);
  return body.slice(data + 'data: '.length, end === -1 ? undefined : end);
}

/** HTTP/1.1 with one request at a time; reads no more of an answer than its frame. */
class Connection {
  sessionId: string | undefined;
  readonly #url: URL;
  readonly #fixedHead: string;
  #socket: Promise<Socket> | undefined;
  #received: Buffer = Buffer.alloc(0);
  #waiting: PromiseWithResolvers<Answer> | undefined;

  constructor(url: URL, bearer: string | undefined) {
    this.#url = url;
    this.#fixedHead = [
      `${url.pathname} HTTP/1.1`,
      `host: ${url.host}`,
      'accept: application/json, text/event-stream',
      'content-type: application/json',
      `mcp-protocol-version: ${PROTOCOL_VERSION}`,
      ...(bearer === undefined ? [] : [`authorization: Bearer ${bearer}`]),
    ].join('\r\n');
  }

  async send(method: 'POST' | 'DELETE', body: string): Promise<Answer> {
    this.#socket ??= this.#connect();
    const socket = await this.#socket;
    const waiting = Promise.withResolvers<Answer>();
    this.#waiting = waiting;
    const session = this.sessionId === undefined ? '' : `\r\nmcp-session-id: ${this.sessionId}`;
    // Every text here is ASCII, so characters are bytes.
    const length = `\r\ncontent-length: ${body.length}`;
    socket.write(`${method} ${this.#fixedHead}${session}${length}${END_OF_HEAD}${body}`);
    return waiting.promise;
  }

  close(): void {
    void this.#socket?.then((socket) => socket.end());
  }

  #connect(): Promise<Socket> {
    // A server may close a connection that idles: the next request opens another.
    const gone = () => {
      this.#socket = undefined;
      this.#waiting?.reject(new Error('the connection was closed during a call'));
    };
    return Bun.connect({
      hostname: this.#url.hostname,
      port: Number(this.#url.port),
      socket: {
        data: (_socket, chunk) => this.#receive(chunk),
        close: gone,
        error: gone,
      },
    });
  }

  #receive(chunk: Buffer): void {
    this.#received =
      this.#received.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#received, chunk]);
    const answer = readAnswer(this.#received);
    if (answer === undefined) return;
    this.#received = Buffer.alloc(0);
    this.#waiting?.resolve(answer);
    this.#waiting = undefined;
  }
}

/** The answer at the start of `bytes`; undefined while it is not complete (RFC 9112 section 6.3). */
function readAnswer(bytes: Buffer): Answer | undefined {
  const headEnd = bytes.indexOf(END_OF_HEAD);
  if (headEnd === -1) return undefined;
  const head = bytes.toString('latin1', 0, headEnd);
  const status = Number(head.slice(9, 12));
  const bodyStart = headEnd + END_OF_HEAD.length;
  if (status === 204) return { status, head, body: '' };
  if (/^transfer-encoding:\s*chunked/im.test(head)) {
    const body = readChunks(bytes, bodyStart);
    return body === undefined ? undefined : { status, head, body };
  }
  const length = Number(head.match(/^content-length:\s*(\d+)/im)?.[1] ?? 0);
  if (bytes.length < bodyStart + length) return undefined;
  return { status, head, body: bytes.toString('utf8', bodyStart, bodyStart + length) };
}

function readChunks(bytes: Buffer, start: number): string | undefined {
  let body = '';
  let at = start;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const next = lineEnd + 2 + size + 2;
    if (bytes.length < next) return undefined;
    if (size === 0) return body;
    body += bytes.toString('utf8', lineEnd + 2, lineEnd + 2 + size);
    at = next;
  }
}
