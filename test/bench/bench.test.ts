import { afterEach, describe, expect, it } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lightChild } from '../support/light-child.ts';
import { closedLoop, type LoadSession, quantile } from './closed-loop.ts';
import { floodTable, measureFloods, worstRatio } from './floods.ts';
import { openHttpSession } from './http-session.ts';
import { processUsage } from './process-usage.ts';
import { type Row, summarize, table } from './summary.ts';
import { type Turn, takeTurn } from './turn.ts';

const MAIN = new URL('main.ts', import.meta.url).pathname;
const BENCH_MS_MAX = 120_000;
const OPTIONS = {
  childCommand: lightChild().command,
  busy: 1,
  sessions: 2,
  seconds: 0.05,
  warmupSeconds: 0.01,
};

/** The id of a request as the load client writes it, and its right answer. */
function rightAnswer(request: string): string {
  const { id } = JSON.parse(request);
  return JSON.stringify({
    jsonrpc: '2.0',
    id,
    result: { content: [{ type: 'text', text: 'ok' }] },
  });
}

describe('load client: what it does not let pass', () => {
  it('counts an answer with another id, with other content, and one that is no message', async () => {
    const answers = [
      (text: string) => rightAnswer(text),
      (text: string) => rightAnswer(text.replace('"id":"', '"id":"other')),
      (text: string) => rightAnswer(text).replace('ok', 'not ok'),
      () => '{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"no"}}',
      () => '<html>',
    ];
    let calls = 0;
    const session: LoadSession = {
      call: async (text) => {
        const answer = answers[calls % answers.length] as (text: string) => string;
        calls += 1;
        await Bun.sleep(0);
        return answer(text);
      },
      close: async () => {},
    };
    const result = await closedLoop([session], 0.05, 'test');
    expect(result.calls).toBe(calls);
    expect(calls - result.wrong).toBe(Math.ceil(calls / answers.length));
    expect(result.firstWrong).toContain('"id":"other');
  });

  it('fails the turn where the bridge refuses, and reports it where the bridge confuses', async () => {
    const bridge = (answer: (text: string) => Response) => {
      const server = Bun.serve({
        hostname: '127.0.0.1',
        port: 0,
        async fetch(request) {
          const text = await request.text();
          if (text.includes('"noop"')) return answer(text);
          if (text.includes('notifications/')) return new Response(null, { status: 202 });
          return Response.json({}, { headers: { 'mcp-session-id': 'one' } });
        },
      });
      const start = async () => ({
        mcpUrl: `http://127.0.0.1:${server.port}/mcp`,
        pid: process.pid,
        bearer: () => 'a-bearer',
        stop: () => server.stop(true),
      });
      return { kind: 'bridge', name: 'fake', start } as const;
    };
    const refused = bridge(() => new Response('go away', { status: 401 }));
    await expect(takeTurn(refused, OPTIONS)).rejects.toThrow('the load client failed at fake');
    const confused = bridge(() => new Response('{"id":"of another session"}'));
    const turn = await takeTurn(confused, OPTIONS);
    expect(turn.wrong).toBe(turn.calls);
    expect(turn.firstWrong).toBe('{"id":"of another session"}');
  });
});

describe('load client: HTTP by hand', () => {
  let server: Server | undefined;

  afterEach(() => {
    server?.close();
  });

  /** A server that answers each request with the bytes of the next text, `size` at a time. */
  async function serve(answers: string[], size: number): Promise<string> {
    server = createServer((socket) => {
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
      socket.on('data', async () => {
        const answer = answers.shift() ?? 'HTTP/1.1 204 No Content\r\n\r\n';
        for (let at = 0; at < answer.length; at += size) {
          socket.write(answer.slice(at, at + size));
          await new Promise(setImmediate);
        }
      });
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/mcp`;
  }

  const opened = [
    'HTTP/1.1 200 OK\r\nMCP-Session-Id: abc\r\nContent-Length: 2\r\n\r\n{}',
    'HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ];
  const message = '{"jsonrpc":"2.0","id":"1","result":{}}';

  for (const size of [1, 7, 100_000]) {
    it(`reads answers of each frame that come ${size} bytes at a time`, async () => {
      const event = `event: message\nid: 1\ndata: ${message}\n\n`;
      const half = event.slice(0, 20);
      const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
      const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n';
      const chunked = `${head}transfer-encoding: chunked\r\n\r\n${chunk('id: 0\ndata: \n\n')}${chunk(half)}${chunk(event.slice(20))}0\r\n\r\n`;
      const whole = `${head}content-length: ${event.length}\r\n\r\n${event}`;
      const plain = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${message.length}\r\n\r\n${message}`;
      const url = await serve([...opened, chunked, whole, plain], size);
      const session = await openHttpSession(url);
      for (let call = 0; call < 3; call += 1) expect(await session.call('{}')).toBe(message);
      await session.close();
    });
  }

  it('refuses to open a session without an id, and a call that is not 200', async () => {
    const without = await serve(['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'], 100);
    await expect(openHttpSession(without)).rejects.toThrow('initialize was answered 200: {}');
    server?.close();
    const gone = 'HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone';
    const session = await openHttpSession(await serve([...opened, gone], 100));
    await expect(session.call('{}')).rejects.toThrow('tools/call was answered 404: gone');
    await session.close();
  });
});

describe('figures', () => {
  it('takes a quantile that no fewer than its share reach', () => {
    const values = Array.from({ length: 100 }, (_, index) => index + 1);
    expect(quantile(values, 0.5)).toBe(50);
    expect(quantile(values, 0.99)).toBe(99);
    expect(quantile([5], 0.99)).toBe(5);
    expect(quantile([], 0.5)).toBeNaN();
  });

  it('takes the median of the rounds and the ratio at the same number of sessions', () => {
    const turn = (name: string, sessions: number, callsPerSecond: number): Turn => ({
      ...{ name, sessions, callsPerSecond, seconds: 1, calls: 10, wrong: 0, firstWrong: undefined },
      ...{
        p50Ms: 1,
        p99Ms: 2,
        clientCpuMs: 500,
        cpuUsPerCall: undefined,
        systemUsPerCall: undefined,
      },
      ...{ idleRssMb: 50, openRssMb: 60, loadedRssMb: 70 },
    });
    const rows = summarize([
      ...[turn('pipe', 1, 400), turn('pipe', 20, 8000)],
      ...[turn('supergateway', 1, 10), turn('supergateway', 1, 100), turn('supergateway', 1, 90)],
      ...[turn('broker', 1, 180)],
    ]);
    expect(
      rows.map((row: Row) => [row.name, row.sessions, row.rounds, row.callsPerSecond]),
    ).toEqual([
      ['pipe', 1, 1, 400],
      ['pipe', 20, 1, 8000],
      ['supergateway', 1, 3, 90],
      ['broker', 1, 1, 180],
    ]);
    expect(rows[2]).toMatchObject({ calls: 30, clientCpu: 0.5, cpuUsPerCall: undefined });
    const broker = table(rows)
      .split('\n')
      .at(-1)
      ?.trim()
      .split(/\s{2,}/);
    expect(broker?.slice(0, 5)).toEqual(['1', 'broker', '180', '0.45', '2.00']);
    expect(broker?.[9]).toBe('10240.0');
  });

  it('reads memory and CPU time of a process, and nothing of one that is gone', async () => {
    if (process.platform === 'linux') {
      expect(processUsage(process.pid)?.rssMb).toBeGreaterThan(1);
      expect(processUsage(process.pid)?.cpuMs).toBeGreaterThan(0);
    }
    const child = Bun.spawn(['true']);
    await child.exited;
    expect(processUsage(child.pid)).toBeUndefined();
  });
});

describe('bun run bench', () => {
  it('refuses flags that name nothing', async () => {
    for (const flags of [
      ['--only', 'nothing'],
      ['--only', 'pipe,nothing'],
      ['--seconds', '0'],
      ['--sessions', '1,x'],
    ]) {
      const bench = Bun.spawn([process.execPath, MAIN, ...flags], { stderr: 'ignore' });
      expect(await bench.exited).toBe(2);
    }
  });

  it(
    'measures the pipe, a bare bridge, supergateway and this broker in turns and writes the figures',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'fjmcp-bench-'));
      const json = join(folder, 'figures.json');
      const flags = ['--seconds', '0.2', '--warmup', '0.1', '--rounds', '1', '--sessions', '1,3'];
      flags.push('--busy', '2', '--token-rows', '50');
      const bench = Bun.spawn([process.execPath, MAIN, ...flags, '--json', json], {
        stdout: 'pipe',
        stderr: 'ignore',
      });
      const printed = await new Response(bench.stdout).text();
      expect(await bench.exited).toBe(0);
      const { rows } = (await Bun.file(json).json()) as { rows: Row[] };
      rmSync(folder, { recursive: true });
      expect(rows.map(({ name, sessions }) => [sessions, name])).toEqual([
        [1, 'pipe'],
        [1, 'bare'],
        [1, 'supergateway'],
        [1, 'broker'],
        [3, 'pipe'],
        [3, 'bare'],
        [3, 'supergateway'],
        [3, 'broker'],
      ]);
      for (const row of rows) {
        expect(row.calls).toBeGreaterThan(0);
        expect(row.wrong).toBe(0);
        expect(row.p99Ms).toBeGreaterThanOrEqual(row.p50Ms);
      }
      expect(printed).toContain('supergateway');
    },
    BENCH_MS_MAX,
  );
});

describe('the flood', () => {
  it('is refused, and the people beside it get their answers', async () => {
    const rows = await measureFloods({
      ...{ childCommand: OPTIONS.childCommand, sessions: 2, seconds: 0.2, warmupSeconds: 0.01 },
      ...{ rounds: 1, pauseMs: 5, connections: 4 },
      rateLimits: 'register=3/1h authorize=3/1h unauthorized=3/1h account_mcp=off',
    });
    expect(rows.map(({ kind }) => kind)).toEqual(['register', 'authorize', 'bad_token']);
    const good = { register: '201', authorize: '200', bad_token: '401' };
    for (const { kind, before, during, flood } of rows) {
      expect([before.wrong, during.wrong]).toEqual([0, 0]);
      expect(Math.min(before.calls, during.calls)).toBeGreaterThan(0);
      // What passes is what is allowed, and would have been a good one.
      expect(flood.answers).toEqual({ [good[kind]]: 3, '429': expect.any(Number) });
    }
    expect(floodTable(rows).split('\n')).toHaveLength(5);
    expect(worstRatio(rows)).toBeGreaterThan(0);
  }, 60_000);
});
