import type { DemoClient } from '../../../app/demo/client.ts';
import type { HttpFetch } from '../../../app/demo/person.ts';
import { connected, MCP_URL } from './site.ts';

/** What became of the calls of a load, from its start to its end. */
export interface LoadReport {
  readonly calls: number;
  /** Answered with their own result. */
  readonly answered: number;
  /**
   * Refused for a moment: 503 with Retry-After and a JSON-RPC error that says so, or such an error
   * for a call that was not done in the time that a broker has which is stopped.
   */
  readonly refused: number;
  /** Neither of both: what a client cannot make sense of. Each with what came instead. */
  readonly lost: readonly string[];
  /** The longest that a call waited for its answer, and the 99th percentile. */
  readonly longestMs: number;
  readonly p99Ms: number;
}

/** Clients in sessions of their own, each of which calls a tool again and again. */
export interface Load {
  readonly sessionIds: readonly (string | undefined)[];
  /** Calls while `during` runs, and a moment before and after it. */
  around(during: () => Promise<void>): Promise<LoadReport>;
  /** Every session answers one more call, under its old id. */
  sessionsAnswer(): Promise<number>;
  close(): Promise<void>;
}

const PAUSE_MS = 10;
/** Calls in all before the event, and after it. */
const CALLS_AROUND = 400;
/** A call that is answered late is not lost; this ends one that never is. */
const CALL_MAX_MS = 120_000;
/** What the broker says of a call that it cannot wait for. */
const STOPPING = 'the broker is stopping';
/** As the broker's Retry-After would have it, only sooner. */
const RETRY_MS = 200;

/** Signs in and opens the sessions, half of them alice's and half bob's. */
export async function startLoad(httpFetch: HttpFetch, clients: number): Promise<Load> {
  const callers: Caller[] = [];
  for (let number = 0; number < clients; number += 1) {
    const client = await connected(httpFetch, number % 2 === 0 ? 'alice' : 'bob');
    callers.push(new Caller(client, httpFetch, number % 2 === 0 ? 'alice' : 'bob'));
  }
  return {
    sessionIds: callers.map(({ sessionId }) => sessionId),
    async around(during) {
      const tally = new Tally();
      const ending = new AbortController();
      const loops = callers.map((caller) => caller.loop(tally, ending.signal));
      await tally.reaches(CALLS_AROUND);
      await during();
      await tally.reaches(tally.calls + CALLS_AROUND);
      ending.abort();
      await Promise.all(loops);
      return tally.report();
    },
    async sessionsAnswer() {
      const tally = new Tally();
      await Promise.all(callers.map((caller) => caller.call(tally)));
      return tally.report().answered;
    },
    close: async () => void (await Promise.all(callers.map((caller) => caller.close()))),
  };
}

class Tally {
  calls = 0;
  #refused = 0;
  readonly #lost: string[] = [];
  readonly #tookMs: number[] = [];
  #waiting: { readonly calls: number; readonly resolve: () => void }[] = [];

  count(outcome: Outcome, tookMs: number): void {
    this.calls += 1;
    if (outcome.kind === 'answered') this.#tookMs.push(tookMs);
    if (outcome.kind === 'refused') this.#refused += 1;
    if (outcome.kind === 'lost') this.#lost.push(outcome.detail);
    for (const { resolve } of this.#waiting.filter(({ calls }) => this.calls >= calls)) resolve();
  }

  reaches(calls: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ calls, resolve });
    return promise;
  }

  report(): LoadReport {
    const sorted = this.#tookMs.toSorted((one, other) => one - other);
    return {
      calls: this.calls,
      answered: sorted.length,
      refused: this.#refused,
      lost: this.#lost,
      longestMs: Math.round(sorted.at(-1) ?? 0),
      p99Ms: Math.round(sorted[Math.floor(sorted.length * 0.99)] ?? 0),
    };
  }
}

type Outcome =
  | { readonly kind: 'answered' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'lost'; readonly detail: string };

class Caller {
  readonly #client: DemoClient;
  readonly #fetch: HttpFetch;
  readonly #login: string;
  #calls = 0;

  constructor(client: DemoClient, httpFetch: HttpFetch, login: string) {
    this.#client = client;
    this.#fetch = httpFetch;
    this.#login = login;
  }

  get sessionId(): string | undefined {
    return this.#client.sessionId;
  }

  async loop(tally: Tally, ending: AbortSignal): Promise<void> {
    while (!ending.aborted) {
      const { kind } = await this.call(tally);
      await Bun.sleep(kind === 'answered' ? PAUSE_MS : RETRY_MS);
    }
  }

  async call(tally: Tally): Promise<Outcome> {
    const startedAt = performance.now();
    const outcome = await this.#ask().catch(
      (error): Outcome => ({ kind: 'lost', detail: String(error) }),
    );
    tally.count(outcome, performance.now() - startedAt);
    return outcome;
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  /** Every tenth call goes through to the forge, the others end at the child. */
  async #ask(): Promise<Outcome> {
    this.#calls += 1;
    const id = `load-${this.#calls}`;
    const isWhoami = this.#calls % 10 === 0;
    const name = isWhoami ? 'get_my_user_info' : 'get_forgejo_mcp_server_version';
    const response = await this.#fetch(MCP_URL, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${this.#client.memory.current?.access_token ?? ''}`,
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        'mcp-protocol-version': '2025-11-25',
        'mcp-session-id': this.sessionId ?? '',
      },
      body: JSON.stringify({
        ...{ jsonrpc: '2.0', id, method: 'tools/call' },
        params: { name, arguments: {} },
      }),
      signal: AbortSignal.timeout(CALL_MAX_MS),
    });
    const text = await response.text();
    const said = `${response.status} ${text.slice(0, 200)}`;
    if (response.status === 503) {
      const isTold = response.headers.has('retry-after') && text.includes('"error"');
      return isTold ? { kind: 'refused' } : { kind: 'lost', detail: said };
    }
    if (text.includes(`"${id}"`) && text.includes('"error"') && text.includes(STOPPING)) {
      return { kind: 'refused' };
    }
    const expected = isWhoami ? this.#login : 'Forgejo MCP Server version';
    const isAnswer =
      text.includes(`"${id}"`) && text.includes('"result"') && text.includes(expected);
    return response.status === 200 && isAnswer
      ? { kind: 'answered' }
      : { kind: 'lost', detail: said };
  }
}
