import { ClientMemory, DemoClient } from '../../app/demo/client.ts';
import { type HttpFetch, Person } from '../../app/demo/person.ts';
import { untilGone } from '../support/processes.ts';
import type { ErrorKind, Faults } from './faults.ts';
import type { Chance } from './random.ts';
import type { Tally } from './tally.ts';
import { type Outcome, request, Wire } from './wire.ts';

/** What all sessions of a run share. */
export interface World {
  readonly origin: string;
  readonly mcpUrl: string;
  readonly tally: Tally;
  readonly faults: Faults;
  readonly chance: Chance;
  /** Aborted when no new calls shall begin. */
  readonly ending: AbortSignal;
  /** Whether that process is a child of this run. */
  readonly isChild: (pid: number) => boolean;
}

/** How often each thing is done. */
const PLAN = {
  count: 60,
  whoami: 10,
  wait: 10,
  disconnect: 8,
  walkAway: 4,
  die: 3,
  kill: 4,
  rest: 0.2,
} as const;

const PAUSE_MS = { min: 20, max: 250 };
/** Longer than the idle time-out of the run and the sweep that follows it. */
const REST_MS = { min: 20_000, max: 50_000 };
const RETRY_MS = 300;
const LISTEN_PAUSE_MS = 300;

/** A connection that is kept open for the next request would be counted as the broker's. */
const closingFetch: HttpFetch = (url, init) => fetch(url, { ...init, keepalive: false });

/** One person's client that works with its session until the end, whatever happens meanwhile. */
export class SoakSession {
  readonly #number: number;
  readonly #login: string;
  readonly #password: string;
  readonly #world: World;
  readonly #client: DemoClient;
  readonly #wire: Wire;
  readonly #listening = new AbortController();
  #sessionId: string | undefined;
  #pid: number | undefined;
  #calls = 0;

  constructor(
    number: number,
    person: { readonly login: string; readonly password: string },
    world: World,
  ) {
    this.#number = number;
    this.#login = person.login;
    this.#password = person.password;
    this.#world = world;
    this.#client = new DemoClient(
      world.mcpUrl,
      new ClientMemory(`Soak client ${number}`),
      closingFetch,
    );
    this.#wire = new Wire({
      mcpUrl: world.mcpUrl,
      bearer: () => this.#client.memory.current?.access_token ?? '',
      sessionId: () => this.#sessionId,
      onResume: () => {
        world.tally.resumes += 1;
      },
      refresh: () => this.#refresh(),
    });
  }

  async signIn(): Promise<void> {
    this.#client.memory.current = undefined;
    const [login, password] = [this.#login, this.#password];
    await this.#client.authorize(new Person({ login, password, fetch: closingFetch }));
    this.#world.tally.signIns += 1;
  }

  /** Opens a session, as often as it takes. */
  async open(): Promise<void> {
    this.#sessionId = undefined;
    for (;;) {
      const outcome = await this.#asked((id) => this.#wire.open(id));
      if (outcome.kind === 'answered' && outcome.sessionId !== null && outcome.message.result) {
        this.#sessionId = outcome.sessionId;
        const text = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
        const response = await this.#wire
          .send('POST', text, AbortSignal.timeout(RETRY_MS * 10))
          .catch(() => undefined);
        await response?.arrayBuffer().catch(() => undefined);
        return;
      }
      await Bun.sleep(RETRY_MS);
    }
  }

  /** Random work until the end of the run. */
  async run(): Promise<void> {
    const { chance, ending } = this.#world;
    const listening = this.#number % 2 === 0 ? this.#listen() : Promise.resolve();
    while (!ending.aborted) {
      await Bun.sleep(chance.between(PAUSE_MS.min, PAUSE_MS.max));
      await this.#do(chance.pick(PLAN));
    }
    this.#listening.abort();
    await listening;
  }

  /** A call that must be answered. */
  count(): Promise<boolean> {
    return this.#call('count', {});
  }

  /** DELETE, as often as it takes. */
  async close(): Promise<void> {
    for (let attempt = 0; attempt < 10; attempt += 1) {
      try {
        const signal = AbortSignal.timeout(RETRY_MS * 10);
        const response = await this.#wire.send('DELETE', undefined, signal);
        await response.arrayBuffer();
        if (response.status === 401) await this.#refresh();
        else if (response.status < 500) return;
      } catch {
        await Bun.sleep(RETRY_MS);
      }
    }
  }

  async #do(what: keyof typeof PLAN): Promise<void> {
    const { chance, faults } = this.#world;
    switch (what) {
      case 'count':
        await this.count();
        return;
      case 'whoami':
        await this.#call('whoami', {});
        return;
      case 'wait':
        await this.#call('wait', { ms: chance.between(200, 2500) });
        return;
      case 'disconnect':
        await this.#call('wait', { ms: chance.between(500, 2000), breakOnce: true });
        return;
      case 'walkAway':
        await this.#walkAway();
        return;
      case 'die': {
        const death = faults.childDies(this.#number);
        await this.#call('die', {});
        death.over();
        return;
      }
      case 'kill':
        this.#killChild();
        return;
      case 'rest':
        await this.#rest(chance.between(REST_MS.min, REST_MS.max));
        return;
    }
  }

  async #call(
    name: string,
    options: { readonly ms?: number; readonly breakOnce?: boolean },
  ): Promise<boolean> {
    const { ms, breakOnce } = options;
    const startedAt = Date.now();
    const key = `${this.#number}-${this.#calls + 1}`;
    const outcome = await this.#asked((id) => {
      const _meta = ms === undefined ? {} : { _meta: { progressToken: id } };
      const params = { name, arguments: { key, ms }, ..._meta };
      return this.#wire.ask(id, request(id, 'tools/call', params), breakOnce);
    });
    if (outcome.kind === 'failed') return false;
    const fault = this.#read(outcome, name, key);
    if (fault === undefined) {
      this.#world.tally.ok(key);
      return true;
    }
    this.#failed(fault.kind, startedAt, fault.detail);
    return false;
  }

  /** What is wrong with an answer, if anything. */
  #read(
    { message }: Extract<Outcome, { kind: 'answered' }>,
    name: string,
    key: string,
  ): { readonly kind: ErrorKind; readonly detail: string } | undefined {
    if (message.error !== undefined) {
      const { code, message: text } = message.error;
      return { kind: `rpc_${code}`, detail: `${name}: ${text}` };
    }
    const text = message.result?.content?.[0]?.text ?? '{}';
    const said: { readonly key?: string; readonly pid?: number; readonly login?: string } =
      JSON.parse(text);
    this.#pid = said.pid;
    if (said.key !== key) return { kind: 'wrong_answer', detail: `${text}, not ${key}` };
    if (name !== 'whoami' || said.login === this.#login) return undefined;
    return said.login?.startsWith('refused') === true
      ? { kind: 'dead_token', detail: said.login }
      : { kind: 'wrong_answer', detail: `${said.login}, not ${this.#login}` };
  }

  /** Asks, and opens a new session when this one is unknown. */
  async #asked(ask: (id: string) => Promise<Outcome>): Promise<Outcome> {
    const startedAt = Date.now();
    this.#calls += 1;
    this.#world.tally.calls += 1;
    const id = `${this.#number}-${this.#calls}`;
    const outcome = await ask(id);
    if (outcome.kind === 'failed') {
      this.#failed(outcome.error, startedAt, outcome.detail);
      if (outcome.error === 'http_404' && this.#sessionId !== undefined) await this.open();
    }
    return outcome;
  }

  /** A new access token (RFC 6749 section 6), asked for until it comes. */
  async #refresh(): Promise<void> {
    const { memory } = this.#client;
    const startedAt = Date.now();
    for (let attempt = 0; attempt < 60; attempt += 1) {
      try {
        const response = await fetch(`${this.#world.origin}/oauth/token`, {
          method: 'POST',
          keepalive: false,
          signal: AbortSignal.timeout(RETRY_MS * 20),
          body: new URLSearchParams({
            grant_type: 'refresh_token',
            client_id: memory.information?.client_id ?? '',
            refresh_token: memory.current?.refresh_token ?? '',
          }),
        });
        const answer = await response.json();
        if (response.status === 200) {
          memory.saveTokens(answer);
          this.#world.tally.refreshes += 1;
          return;
        }
        if (response.status < 500) {
          this.#failed('refresh_refused', startedAt, JSON.stringify(answer.error));
          await this.signIn();
          return;
        }
      } catch {
        // The broker is away; the same token is good for the next attempt.
      }
      await Bun.sleep(RETRY_MS);
    }
    this.#failed('timeout', startedAt, 'no answer to a refresh');
  }

  async #listen(): Promise<void> {
    while (!this.#listening.signal.aborted) {
      if (this.#sessionId === undefined || this.#client.memory.current === undefined) {
        await Bun.sleep(LISTEN_PAUSE_MS);
        continue;
      }
      const startedAt = Date.now();
      try {
        const { signal } = this.#listening;
        const response = await this.#wire.send('GET', undefined, signal);
        if (response.status === 200) {
          for await (const _ of response.body ?? []);
        } else {
          const detail = `listening: ${(await response.text()).slice(0, 200)}`;
          // The worker of this session refreshes and opens; here it only shows.
          if (response.status !== 401) this.#failed(`http_${response.status}`, startedAt, detail);
        }
      } catch (error) {
        if (!this.#listening.signal.aborted) this.#failed('network', startedAt, String(error));
      }
      await Bun.sleep(LISTEN_PAUSE_MS);
    }
  }

  /** A client that hangs up and never asks what became of its call. */
  async #walkAway(): Promise<void> {
    this.#calls += 1;
    this.#world.tally.calls += 1;
    const id = `${this.#number}-${this.#calls}`;
    const params = { name: 'wait', arguments: { key: id, ms: 300 } };
    const signal = AbortSignal.timeout(Math.ceil(this.#world.chance.between(1, 40)));
    const response = await this.#wire
      .send('POST', request(id, 'tools/call', params), signal)
      .catch(() => undefined);
    await response?.body?.cancel().catch(() => undefined);
  }

  #killChild(): void {
    const pid = this.#pid;
    if (pid === undefined || !this.#world.isChild(pid)) return;
    const death = this.#world.faults.childDies(this.#number);
    process.kill(pid, 'SIGKILL');
    this.#pid = undefined;
    // Nobody waits for that here: the next call may meet a child that is dying.
    void untilGone(pid).then(() => death.over());
  }

  async #rest(ms: number): Promise<void> {
    const { ending } = this.#world;
    const over = new Promise((resolve) => ending.addEventListener('abort', resolve));
    await Promise.race([Bun.sleep(ms), over]);
  }

  #failed(kind: ErrorKind, from: number, detail: string): void {
    this.#world.tally.failed(kind, this.#number, { from, to: Date.now() }, detail);
  }
}
