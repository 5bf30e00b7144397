import { PAGE_PATIENCE_MS } from './engine.ts';

/** What came to a redirect URI. */
export interface Arrival {
  readonly method: string;
  readonly url: URL;
  readonly referer: string | null;
}

/** The program that waits at a loopback redirect URI, as Claude Code and others do. */
export interface Landing {
  /** `http://127.0.0.1:<port>/callback` */
  readonly redirectUri: string;
  /** The next arrival that nobody has asked for yet; rejects when none comes. */
  arrival(): Promise<Arrival>;
  /** All arrivals so far. */
  readonly arrivals: readonly Arrival[];
  stop(): Promise<void>;
}

const PAGE = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Connected</title>
<link rel="icon" href="data:,"></head><body><h1>You may close this page</h1></body></html>`;

/**
 * Listens on loopback; every GET of the path counts as an arrival. A POST delivers a link that was
 * handed to a program: its body is the URL that arrived.
 */
export function startLanding(): Landing {
  const arrivals: Arrival[] = [];
  const waiting: ((arrival: Arrival) => void)[] = [];
  let asked = 0;
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const url = new URL(request.url);
      if (url.pathname !== '/callback') return new Response(null, { status: 404 });
      const opened = request.method === 'POST' ? new URL(await request.text()) : url;
      const referer = request.headers.get('referer');
      const arrival = { method: request.method, url: opened, referer };
      arrivals.push(arrival);
      waiting.shift()?.(arrival);
      return new Response(PAGE, { headers: { 'content-type': 'text/html; charset=utf-8' } });
    },
  });
  return {
    redirectUri: `http://127.0.0.1:${server.port}/callback`,
    arrivals,
    arrival() {
      const here = arrivals[asked];
      asked += 1;
      if (here !== undefined) return Promise.resolve(here);
      return new Promise((resolve, reject) => {
        const giveUp = () => reject(new Error(`nothing came to ${server.url.origin}`));
        const timer = setTimeout(giveUp, PAGE_PATIENCE_MS);
        waiting.push((arrival) => {
          clearTimeout(timer);
          resolve(arrival);
        });
      });
    },
    stop: () => server.stop(true),
  };
}
