import type { ErrorKind } from './faults.ts';

/** A JSON-RPC message as a client reads it. */
export interface RpcMessage {
  readonly id?: string | number;
  readonly method?: string;
  readonly result?: { readonly content?: readonly { readonly text?: string }[] };
  readonly error?: { readonly code: number; readonly message: string };
}

/** What became of one request. */
export type Outcome =
  | { readonly kind: 'answered'; readonly message: RpcMessage; readonly sessionId: string | null }
  | { readonly kind: 'failed'; readonly error: ErrorKind; readonly detail: string };

export interface WireOptions {
  readonly mcpUrl: string;
  readonly bearer: () => string;
  readonly sessionId: () => string | undefined;
  readonly onResume: () => void;
  /** Gets another access token when one is too old. */
  readonly refresh: () => Promise<void>;
}

const PROTOCOL_VERSION = '2025-11-25';
/** Twice as long as the broker lets a call wait for its turn and its program, on any machine. */
const TIMEOUT_MS = 60_000;
const RESUMES_MAX = 40;
const REFRESHES_MAX = 2;
const RESUME_PAUSE_MS = 200;

/** An MCP client's HTTP, a connection for each request, so that none is left at the end. */
export class Wire {
  readonly #options: WireOptions;

  constructor(options: WireOptions) {
    this.#options = options;
  }

  /**
   * Sends a request and reads until its answer, over as many connections as it takes. With
   * `breakOnce` it hangs up after the first event that it can resume from.
   */
  async ask(id: string, body: string, breakOnce = false): Promise<Outcome> {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    let lastEventId: string | undefined;
    let breaks = breakOnce;
    let refreshes = 0;
    for (let attempt = 0; attempt <= RESUMES_MAX; attempt += 1) {
      if (attempt > 0 && lastEventId !== undefined) {
        this.#options.onResume();
        await Bun.sleep(RESUME_PAUSE_MS);
      }
      try {
        const response =
          lastEventId === undefined
            ? await this.send('POST', body, signal)
            : await this.send('GET', undefined, signal, lastEventId);
        if (response.status === 401 && refreshes < REFRESHES_MAX) {
          // Refused before anything was done, so the same may be sent again.
          await response.arrayBuffer();
          await this.#options.refresh();
          refreshes += 1;
          continue;
        }
        if (response.status !== 200) {
          const detail = (await response.text()).slice(0, 200);
          const where = lastEventId === undefined ? 'POST' : 'GET with Last-Event-ID';
          if (response.status === 503 && lastEventId !== undefined) continue;
          return failed(`http_${response.status}`, `${where}: ${detail}`);
        }
        const sessionId = response.headers.get('mcp-session-id');
        for await (const event of messagesOf(response)) {
          lastEventId = event.id ?? lastEventId;
          if (event.message !== undefined && event.message.id === id && !event.message.method) {
            return { kind: 'answered', message: event.message, sessionId };
          }
          if (breaks && lastEventId !== undefined) {
            breaks = false;
            break;
          }
        }
        if (lastEventId === undefined) return failed('network', 'the body ended without an answer');
      } catch (error) {
        if (signal.aborted) return failed('timeout', `no answer in ${TIMEOUT_MS} ms`);
        if (lastEventId === undefined) return failed('network', String(error));
      }
    }
    return failed('network', 'the stream was resumed in vain');
  }

  /** One HTTP request. */
  send(
    method: 'POST' | 'GET' | 'DELETE',
    body: string | undefined,
    signal: AbortSignal,
    lastEventId?: string,
  ): Promise<Response> {
    const sessionId = this.#options.sessionId();
    return fetch(this.#options.mcpUrl, {
      method,
      keepalive: false,
      signal,
      headers: {
        authorization: `Bearer ${this.#options.bearer()}`,
        accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
        'mcp-protocol-version': PROTOCOL_VERSION,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(sessionId === undefined ? {} : { 'mcp-session-id': sessionId }),
        ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
      },
      ...(body === undefined ? {} : { body }),
    });
  }

  /** The `initialize` request. */
  open(id: string): Promise<Outcome> {
    const clientInfo = { name: 'soak', version: '1.0.0' };
    const params = { protocolVersion: PROTOCOL_VERSION, capabilities: {}, clientInfo };
    return this.ask(id, request(id, 'initialize', params));
  }
}

export function request(id: string, method: string, params: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method, params });
}

function failed(error: ErrorKind, detail: string): Outcome {
  return { kind: 'failed', error, detail };
}

interface StreamedMessage {
  readonly id: string | undefined;
  readonly message: RpcMessage | undefined;
}

/** The message of a JSON body, or those of an event stream; leaving the loop hangs up. */
async function* messagesOf(response: Response): AsyncGenerator<StreamedMessage> {
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
    yield { id: undefined, message: JSON.parse(await response.text()) };
    return;
  }
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  let text = '';
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      text += next.value;
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) yield parseEvent(event);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function parseEvent(event: string): StreamedMessage {
  const data = event.match(/^data: (.+)$/m)?.[1];
  return {
    id: event.match(/^id: ?(.+)$/m)?.[1],
    message: data === undefined ? undefined : JSON.parse(data),
  };
}
