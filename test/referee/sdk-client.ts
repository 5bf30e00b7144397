import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import type { ClientMemory } from '../../app/demo/client.ts';
import type { TestSystem } from '../support/system.ts';

/** What an exchange of the client looked like from outside. */
export interface Exchange {
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly contentType: string;
}

/** The SDK's transport with its own OAuth code, and a record of its exchanges. */
export class RefereeTransport extends StreamableHTTPClientTransport {
  readonly exchanges: readonly Exchange[];
  /** Resolves when the GET that follows an initialization was answered. */
  readonly streamAnswered: Promise<void>;

  constructor(mcpUrl: string, memory: ClientMemory, sessionId?: string) {
    const exchanges: Exchange[] = [];
    const streamAnswered = Promise.withResolvers<void>();
    super(new URL(mcpUrl), {
      authProvider: memory,
      ...(sessionId === undefined ? {} : { sessionId }),
      async fetch(url, init) {
        const response = await fetch(url, init);
        const [contentType = ''] = (response.headers.get('content-type') ?? '').split(';');
        const method = init?.method ?? 'GET';
        exchanges.push({ method, url: String(url), status: response.status, contentType });
        if (init?.method === 'GET') streamAnswered.resolve();
        return response;
      },
    });
    this.exchanges = exchanges;
    this.streamAnswered = streamAnswered.promise;
  }
}

/**
 * Connects a new SDK client; a transport that has a session id goes on in that session. After an
 * initialization the SDK's GET is waited for: a 401 to it starts a refresh beside the test's own.
 */
export async function connect(transport: RefereeTransport): Promise<Client> {
  const client = new Client({ name: 'referee', version: '1.0.0' });
  const goesOn = transport.sessionId !== undefined;
  // The SDK's own types disagree under exactOptionalPropertyTypes (sessionId).
  await client.connect(transport as Parameters<Client['connect']>[0]);
  if (!goesOn) await transport.streamAnswered;
  return client;
}

/** Calls a tool that answers `{"Result": ...}`, as all of forgejo-mcp do; throws on its error. */
export async function callFor<T>(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
): Promise<T> {
  const result = await client.callTool({ name, arguments: args });
  const text = textOf(result as CallToolResult);
  if (result.isError === true) throw new Error(`${name}: ${text}`);
  return JSON.parse(text).Result as T;
}

export function textOf(result: CallToolResult): string {
  return result.content.map((part) => (part.type === 'text' ? part.text : '')).join('');
}

/** Whose token the child has, by what the forge says to it. */
export async function whoIs(client: Client): Promise<string> {
  return (await callFor<{ login: string }>(client, 'get_my_user_info')).login;
}

/** The process id of the child that was started last. */
export function newestChild(system: TestSystem): number {
  const pid = eventsOf(system, 'child.started').at(-1)?.pid;
  // A signal to 0 or to a negative number would hit a whole group.
  if (typeof pid !== 'number' || pid <= 1) throw new Error('no child was started');
  return pid;
}

/** The log's lines of one event, parsed. */
export function eventsOf(system: TestSystem, event: string): Record<string, unknown>[] {
  return system.logLines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((line) => line.event === event);
}

/** RFC 7009: gives the refresh token back, which ends the grant. */
export async function revoke(system: TestSystem, memory: ClientMemory): Promise<void> {
  const answer = await fetch(`${system.origin}/oauth/revoke`, {
    method: 'POST',
    body: new URLSearchParams({
      token: memory.current?.refresh_token ?? '',
      client_id: memory.information?.client_id ?? '',
    }),
  });
  if (answer.status !== 200) throw new Error(`the revocation was answered with ${answer.status}`);
}

/** The headers with which the session of a client can be reached by hand. */
export function rawHeaders(memory: ClientMemory, sessionId: string) {
  return {
    authorization: `Bearer ${memory.current?.access_token ?? ''}`,
    'content-type': 'application/json',
    'mcp-session-id': sessionId,
  };
}
