/** A request on its way through the proxy, by its place in their order. */
export interface ProxiedFault {
  readonly method: string;
  readonly url: string;
  readonly reason: string;
}

/**
 * Stands where a web server stands before the broker: a port, and for each request a connection of
 * its own to the broker's unix socket, which is never used twice. Nothing is tried again.
 */
export class SocketProxy {
  readonly #server: ReturnType<typeof Bun.serve>;
  /** Requests that got no answer from behind. */
  readonly faults: ProxiedFault[] = [];

  constructor(address: { readonly hostname: string; readonly port: number }, path: string) {
    this.#server = Bun.serve({
      ...address,
      idleTimeout: 0,
      fetch: async (request) => {
        const { method, headers, body, signal } = request;
        const url = new URL(request.url);
        try {
          const answer = await fetch(`http://${url.host}${url.pathname}${url.search}`, {
            ...{ unix: path, method, headers, body, signal },
            ...{ keepalive: false, redirect: 'manual', decompress: false },
          });
          return new Response(answer.body, { status: answer.status, headers: answer.headers });
        } catch (error) {
          if (!signal.aborted) {
            this.faults.push({ method, url: request.url, reason: String(error) });
          }
          return new Response('bad gateway', { status: 502 });
        }
      },
    });
  }

  close(): Promise<void> {
    return this.#server.stop(true);
  }
}
