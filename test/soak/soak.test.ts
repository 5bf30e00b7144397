import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Faults } from './faults.ts';
import { Chance } from './random.ts';
import { readBroker } from './readings.ts';
import { Tally } from './tally.ts';
import { type RunFacts, verdict } from './verdict.ts';
import { Wire } from './wire.ts';

const READING = { rssMb: 80, descriptors: ['socket', 'socket', 'store'], children: [], zombies: 0 };
const GREEN: RunFacts = {
  start: READING,
  end: READING,
  memoryMb: { early: 80, late: 88 },
  doubles: 0,
  missing: 0,
  errorsNotInjected: 0,
  answered: 1,
};

describe('the verdict of a soak', () => {
  it('is green when nothing differs and memory grew by no more than a tenth', () => {
    expect(verdict(GREEN)).toEqual([]);
    expect(verdict({ ...GREEN, memoryMb: { early: 80, late: 60 } })).toEqual([]);
  });

  it.each([
    ['descriptors (-1 store)', { end: { ...READING, descriptors: ['socket', 'socket'] } }],
    [
      'descriptors (+1 socket, +1 file)',
      { end: { ...READING, descriptors: ['socket', 'socket', 'socket', 'store', 'file'] } },
    ],
    ['zombies', { end: { ...READING, zombies: 1 } }],
    ['children', { end: { ...READING, children: [1] } }],
    ['memory', { memoryMb: { early: 80, late: 88.1 } }],
    ['memory', { memoryMb: { early: 0, late: 0 } }],
    ['executions', { doubles: 1 }],
    ['executions', { missing: 1 }],
    ['errors', { errorsNotInjected: 1 }],
    ['calls', { answered: 0 }],
  ])('tells of %s', (what, change) => {
    const faults = verdict({ ...GREEN, ...change });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toStartWith(`${what}: `);
  });
});

const personOf = (session: number) => `person ${session % 2}`;

describe('what was injected', () => {
  const during = () => ({ from: Date.now(), to: Date.now() });
  const afterwards = () => ({ from: Date.now() + 60_000, to: Date.now() + 60_001 });

  it('explains that a broker is away, and never that it forgot a session or a sign-in', () => {
    const faults = new Faults(personOf);
    expect(faults.explain('network', 1, during())).toBe(false);
    const outage = faults.brokerDown();
    for (const kind of ['network', 'http_503', 'rpc_-32000', 'health'] as const) {
      expect(faults.explain(kind, 1, afterwards())).toBe(true);
    }
    for (const kind of ['http_404', 'http_401', 'refresh_refused', 'timeout'] as const) {
      expect(faults.explain(kind, 1, during())).toBe(false);
    }
    outage.back();
    expect(faults.explain('network', 1, during())).toBe(true);
    expect(faults.explain('network', 1, afterwards())).toBe(false);
  });

  it('explains that one person lost a pair when a kill came upon an answer with tokens', () => {
    const refused = (faults: Faults, session: number, span = during()) =>
      faults.explain('refresh_refused', session, span);
    const stopped = new Faults(personOf);
    stopped.brokerDown().back();
    expect(refused(stopped, 1)).toBe(false);
    const later = new Faults(personOf);
    later.brokerDown(Date.now() - 60_000).back();
    expect(refused(later, 1)).toBe(false);
    const faults = new Faults(personOf);
    faults.brokerDown(Date.now()).back();
    expect(refused(faults, 1)).toBe(true);
    expect(refused(faults, 1)).toBe(false);
    expect(refused(faults, 3)).toBe(true);
    expect(refused(faults, 2)).toBe(false);
    const tooLate = Date.now() + 10 * 60_000;
    expect(refused(faults, 5, { from: tooLate, to: tooLate })).toBe(false);
  });

  it('explains the end of a call of the session whose child died, and of no other', () => {
    const faults = new Faults(personOf);
    expect(faults.explain('rpc_-32000', 1, during())).toBe(false);
    const death = faults.childDies(1);
    expect(faults.explain('rpc_-32000', 1, during())).toBe(true);
    expect(faults.explain('rpc_-32000', 1, afterwards())).toBe(true);
    expect(faults.explain('rpc_-32000', 2, during())).toBe(false);
    expect(faults.explain('network', 1, during())).toBe(false);
    death.over();
    expect(faults.explain('rpc_-32000', 1, during())).toBe(true);
    expect(faults.explain('rpc_-32000', 1, afterwards())).toBe(false);
  });

  it('is repeatable, and as frequent as it is planned', () => {
    const pick = (seed: number) => {
      const chance = new Chance(seed);
      return Array.from({ length: 2000 }, () => chance.pick({ often: 3, seldom: 1, never: 0 }));
    };
    expect(pick(1)).toEqual(pick(1));
    expect(pick(1)).not.toEqual(pick(2));
    const seldom = pick(3).filter((name) => name === 'seldom').length;
    expect(seldom).toBeGreaterThan(400);
    expect(seldom).toBeLessThan(600);
    expect(pick(3)).not.toContain('never');
  });
});

describe('the count of a soak', () => {
  let directory = '';

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'fjmcp-soak-test-'));
  });

  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('finds calls that ran twice, and answers to calls that never ran', () => {
    const file = join(directory, 'executions');
    writeFileSync(file, 'a\nb\na\na\n');
    const tally = new Tally(new Faults(personOf), file);
    tally.ok('a');
    tally.ok('c');
    expect(tally.executions()).toEqual({ total: 4, doubles: 2, missing: 1 });
  });

  it('sees children of this run, alive, and zombies of the broker', async () => {
    const child = Bun.spawn(['sleep', '1000'], { argv0: `${directory}/sleep` });
    // For a moment a new process has no command line, and one of another suite may be a zombie.
    const seen = () => readBroker(process.pid, directory);
    while (seen().children.length === 0 || seen().zombies > 0) await Bun.sleep(5);
    expect(seen().children).toEqual([child.pid]);
    child.kill('SIGKILL');
    await child.exited;
    expect(readBroker(process.pid, directory).children).toEqual([]);
    // A shell that becomes another program never waits for what it started.
    const parent = Bun.spawn(['sh', '-c', 'true & exec sleep 1000']);
    while (readBroker(parent.pid, directory).zombies !== 1) await Bun.sleep(5);
    parent.kill('SIGKILL');
    await parent.exited;
  });
});

describe('the client of a soak', () => {
  const answer = '{"jsonrpc":"2.0","id":"1","result":{}}';

  async function ask(serve: (request: Request, count: number) => Response, breakOnce = false) {
    let count = 0;
    const server = Bun.serve({
      port: 0,
      fetch: (request) => {
        count += 1;
        return serve(request, count);
      },
    });
    const wire = new Wire({
      mcpUrl: server.url.href,
      bearer: () => 'token',
      sessionId: () => undefined,
      onResume: () => undefined,
      refresh: async () => undefined,
    });
    try {
      return await wire.ask('1', '{}', breakOnce);
    } finally {
      await server.stop(true);
    }
  }

  const events = (...texts: string[]) =>
    new Response(texts.join(''), { headers: { 'content-type': 'text/event-stream' } });

  it('reads an answer as JSON and behind other messages of a stream', async () => {
    const message = JSON.parse(answer);
    expect(await ask(() => Response.json(message))).toMatchObject({ kind: 'answered', message });
    const progress = 'id: a\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n';
    expect(await ask(() => events(progress, `id: b\ndata: ${answer}\n\n`))).toMatchObject({
      kind: 'answered',
      message,
    });
  });

  it('goes on behind the last event when the stream ends, or when it hangs up itself', async () => {
    const serve = (request: Request, count: number) => {
      if (count === 1) return events('id: a\nretry: 1\ndata:\n\n');
      expect([request.method, request.headers.get('last-event-id')]).toEqual(['GET', 'a']);
      return events(`id: b\ndata: ${answer}\n\n`);
    };
    expect(await ask(serve)).toMatchObject({ kind: 'answered' });
    expect(await ask(serve, true)).toMatchObject({ kind: 'answered' });
  });

  it('gets another token and resumes with it, or asks again what was refused', async () => {
    const refused = () => new Response('', { status: 401 });
    const methods: string[] = [];
    const outcome = await ask((request, count) => {
      methods.push(request.method);
      if (count === 1 || count === 3) return refused();
      return events(count === 2 ? 'id: a\ndata:\n\n' : `id: b\ndata: ${answer}\n\n`);
    });
    expect(outcome).toMatchObject({ kind: 'answered' });
    expect(methods).toEqual(['POST', 'POST', 'GET', 'GET']);
    expect(await ask(refused)).toMatchObject({ kind: 'failed', error: 'http_401' });
  });

  it('never sends a call twice', async () => {
    let posts = 0;
    const outcome = await ask(() => {
      posts += 1;
      return events('');
    });
    expect(outcome).toMatchObject({ kind: 'failed', error: 'network' });
    expect(posts).toBe(1);
    expect(await ask(() => new Response('gone', { status: 404 }))).toMatchObject({
      error: 'http_404',
    });
  });
});
