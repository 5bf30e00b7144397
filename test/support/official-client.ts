import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { ClientCapabilities, Notification } from '@modelcontextprotocol/sdk/types.js';
import type { TestSystem } from './system.ts';

/** One HTTP request of the client and what it got. */
export interface Asked {
  readonly method: string;
  readonly lastEventId: string | null;
  readonly status: number;
  readonly contentType: string | null;
}

/** The official client, signed in and connected, with everything it sees. */
export interface OfficialClient {
  readonly client: Client;
  readonly transport: StreamableHTTPClientTransport;
  /** What it complained about; an official client at peace has none. */
  readonly errors: Error[];
  readonly notifications: Notification[];
  readonly asked: Asked[];
  /** Resolves as soon as `found` gives something. */
  until<T>(found: () => T | undefined | false): Promise<T>;
  /** Breaks the streams that are open now, as a proxy does that gives up on them. */
  cut(): void;
  close(): Promise<void>;
}

/** Connects as alice; `prepare` sets handlers before `initialize`. */
export async function officialClient(
  system: TestSystem,
  capabilities: ClientCapabilities = {},
  prepare: (client: Client) => void = () => undefined,
): Promise<OfficialClient> {
  const signedIn = system.client();
  await signedIn.authorize(system.person());
  const client = new Client({ name: 'official-client', version: '1' }, { capabilities });
  const errors: Error[] = [];
  const notifications: Notification[] = [];
  const asked: Asked[] = [];
  const wires = new Set<() => void>();
  client.onerror = (error) => errors.push(error);
  client.fallbackNotificationHandler = async (notification) => {
    notifications.push(notification);
  };
  prepare(client);
  const watchedFetch = async (input: string | URL | Request, init?: RequestInit) => {
    const response = await fetch(input, init);
    asked.push({
      method: init?.method ?? 'GET',
      lastEventId: new Headers(init?.headers).get('last-event-id'),
      status: response.status,
      contentType: response.headers.get('content-type'),
    });
    return cuttable(response, wires);
  };
  const transport = new StreamableHTTPClientTransport(new URL(system.mcpUrl), {
    authProvider: signedIn.memory,
    fetch: watchedFetch,
  });
  // The SDK's own types disagree under exactOptionalPropertyTypes (sessionId).
  await client.connect(transport as Parameters<Client['connect']>[0]);
  return {
    ...{ client, transport, errors, notifications, asked },
    async until(found) {
      for (;;) {
        const value = found();
        if (value !== undefined && value !== false) return value;
        await Bun.sleep(5);
      }
    },
    cut: () => {
      for (const wire of wires) wire();
    },
    async close() {
      await transport.terminateSession();
      await client.close();
    },
  };
}

/** The response with a body that breaks when its wire is cut. */
function cuttable(response: Response, wires: Set<() => void>): Response {
  if (response.headers.get('content-type') !== 'text/event-stream') return response;
  const reader = response.body?.getReader();
  if (reader === undefined) return response;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const wire = () => {
        wires.delete(wire);
        void reader.cancel();
        controller.error(new Error('the wire was cut'));
      };
      wires.add(wire);
      const pump = async (): Promise<void> => {
        for (;;) {
          const { done, value } = await reader.read();
          if (!wires.has(wire)) return;
          if (!done) {
            controller.enqueue(value);
            continue;
          }
          wires.delete(wire);
          controller.close();
          return;
        }
      };
      pump().catch(() => wires.delete(wire) && controller.error(new Error('broken')));
    },
  });
  return new Response(body, { status: response.status, headers: response.headers });
}
