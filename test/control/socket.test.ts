import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../app/base/clock.ts';
import { createMetrics } from '../../app/base/metrics.ts';
import { ok } from '../../app/base/result.ts';
import type { ControlActions } from '../../app/control/actions.ts';
import { askControl } from '../../app/control/ask.ts';
import {
  ControlListenError,
  type ControlListener,
  listenControl,
} from '../../app/control/listener.ts';
import {
  CONTROL_TIMEOUT_MS,
  CONTROL_VERSION,
  type ControlQuestion,
  QUESTION_BYTES_MAX,
} from '../../app/control/protocol.ts';
import { StoreError } from '../../app/store/store-error.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { createMemoryLog } from '../support/memory-log.ts';

const QUESTION = { action: 'sessions', filter: {} } as const;
const EMPTY = { rows: [], more: false };

let directory = '';
let path = '';
let listener: ControlListener | undefined;
const asked: ControlQuestion[] = [];
const memory = createMemoryLog();
const clock = new FakeClock();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-control-'));
  path = join(directory, 'store.sqlite.control');
  asked.length = 0;
});

afterEach(async () => {
  await listener?.stop();
  listener = undefined;
  rmSync(directory, { recursive: true, force: true });
});

const answersEmpty: ControlActions = async (question) => {
  asked.push(question);
  return ok(EMPTY);
};

async function listen(actions = answersEmpty, at = path, metrics = createMetrics()) {
  listener = await listenControl({ path: at, actions, clock, log: memory.log, metrics });
  return listener;
}

async function refusal(at = path): Promise<string> {
  try {
    const second = await listenControl({
      ...{ path: at, actions: answersEmpty, clock, log: memory.log, metrics: createMetrics() },
    });
    await second.stop();
  } catch (error) {
    if (error instanceof ControlListenError) return error.message;
    throw error;
  }
  throw new Error('it listens');
}

/** Sends bytes as they are and gives the lines that come back until the end. */
async function say(...texts: string[]): Promise<unknown[]> {
  const socket = connect(path);
  for (const text of texts) socket.write(text);
  socket.end();
  let heard = '';
  for await (const chunk of socket) heard += String(chunk);
  return heard
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

const line = (value: unknown) => `${JSON.stringify(value)}\n`;

describe('the place of the control socket', () => {
  it('is a socket of its owner alone, in a directory of its owner alone', async () => {
    const deep = join(directory, 'new', 'broker.control');
    const umask = process.umask(0);
    try {
      await listen(answersEmpty, deep);
      expect(statSync(deep).mode & 0o777).toBe(0o600);
      expect(statSync(join(directory, 'new')).mode & 0o777).toBe(0o700);
      expect(process.umask()).toBe(0);
    } finally {
      process.umask(umask);
    }
  });

  it('is refused where others may write, since they could put their own in its place', async () => {
    for (const mode of [0o720, 0o702, 0o1777]) {
      chmodSync(directory, mode);
      expect(await refusal()).toContain(`others may write to ${directory}`);
      expect(existsSync(path)).toBe(false);
    }
    chmodSync(directory, 0o755);
    await listen();
  });

  it('is taken over from a process that was killed, and left alone while one answers', async () => {
    const script = `require('node:net').createServer().listen(process.argv[1], () => {
      console.log('up'); });`;
    const dead = Bun.spawn([process.execPath, '-e', script, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await dead.stdout.getReader().read();
    expect(await refusal()).toContain('another broker answers there');
    dead.kill('SIGKILL');
    await dead.exited;
    expect(statSync(path).isSocket()).toBe(true);
    await listen();
    expect(await askControl(path, QUESTION, systemClock)).toEqual(ok(EMPTY));
  });

  it('is never made over a file, a directory or a link', async () => {
    writeFileSync(path, 'kept');
    expect(await refusal()).toContain('something that is no socket is there');
    rmSync(path);
    mkdirSync(path);
    expect(await refusal()).toContain('something that is no socket is there');
    rmSync(path, { recursive: true });
    symlinkSync('/dev/null', path);
    expect(await refusal()).toContain('something that is no socket is there');
  });

  it('has a path that a socket can have, of 102 bytes at most', async () => {
    const longest = join(directory, 'x'.repeat(102 - directory.length - 1));
    await listen(answersEmpty, longest);
    const sentence = await refusal(`${longest}x`);
    expect(sentence).toContain('at most 102 bytes');
    for (const spelling of ['--control-socket', 'FJMCP_CONTROL_SOCKET', 'control_socket']) {
      expect(sentence).toContain(spelling);
    }
  });

  it('is gone after the stop, with those that were connected', async () => {
    const { stop } = await listen();
    const socket = connect(path);
    await new Promise((resolve) => socket.once('connect', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await stop();
    await closed;
    listener = undefined;
    expect(existsSync(path)).toBe(false);
  });
});

describe('the control protocol', () => {
  it('answers each line with one line, in order', async () => {
    await listen();
    const question = line({ version: CONTROL_VERSION, ...QUESTION });
    const answer = { version: CONTROL_VERSION, ok: true, result: EMPTY };
    expect(await say(question, question.slice(0, 9), question.slice(9))).toEqual([answer, answer]);
    expect(asked).toHaveLength(2);
  });

  it('refuses what it cannot read, in a sentence, and goes on', async () => {
    await listen();
    const bad = [
      'no json',
      '[]',
      'null',
      line({ version: 1, action: 'sessions', filter: [] }).trim(),
      line({ version: 1, action: 'sessions', filter: { login: 7 } }).trim(),
      line({ version: 1, action: 'revoke' }).trim(),
      line({ version: 1, action: 'revoke', target: { kind: 'grant' } }).trim(),
      line({ version: 1, action: 'revoke', target: { kind: 'grant', id: '' } }).trim(),
      line({
        version: 1,
        action: 'revoke',
        target: { kind: 'session', shortId: '1234567' },
      }).trim(),
      line({ version: 1, action: 'revoke', target: { kind: 'everything' } }).trim(),
    ];
    const answers = await say(...bad.map((text) => `${text}\n`));
    expect(answers).toHaveLength(bad.length);
    for (const answer of answers) {
      expect(answer).toMatchObject({
        version: CONTROL_VERSION,
        ok: false,
        fault: { kind: 'malformed', message: expect.stringMatching(/^[A-Z].*\.$/) },
      });
    }
    expect(asked).toEqual([]);
  });

  it('tells another release, and an action of another release, that it is one', async () => {
    await listen();
    const [other, unknown] = await say(
      line({ version: CONTROL_VERSION + 1, ...QUESTION }),
      line({ version: CONTROL_VERSION, action: 'hand-over' }),
    );
    expect(other).toMatchObject({ ok: false, fault: { kind: 'version' } });
    expect(unknown).toMatchObject({ ok: false, fault: { kind: 'unknown_action' } });
  });

  it('takes a question of the longest size, and ends the connection at one more', async () => {
    await listen();
    const question = JSON.stringify({ version: CONTROL_VERSION, ...QUESTION });
    const longest = question.padEnd(QUESTION_BYTES_MAX, ' ');
    expect(await say(`${longest}\n`)).toMatchObject([{ ok: true }]);
    const tooLong = {
      ok: false,
      fault: { kind: 'malformed', message: 'The question is too long.' },
    };
    expect(await say(`${longest} \n${question}\n`)).toMatchObject([tooLong]);
    expect(await say('x'.repeat(QUESTION_BYTES_MAX + 1))).toMatchObject([tooLong]);
  });

  it('passes a long answer whole', async () => {
    const rows = Array.from({ length: 10_000 }, (_, index) => ({
      id: `${index}`.padEnd(200, 'ä'),
    }));
    await listen(async () => ok({ rows, more: true } as never));
    expect(await askControl(path, QUESTION, systemClock)).toEqual(
      ok({ rows, more: true }) as never,
    );
  });

  it('hears so many at once and tells the one beyond to try again', async () => {
    const metrics = createMetrics();
    await listen(answersEmpty, path, metrics);
    const held = Array.from({ length: 16 }, () => connect(path));
    await Promise.all(held.map((one) => new Promise((resolve) => one.once('connect', resolve))));
    const beyond = await askControl(path, QUESTION, systemClock);
    expect(beyond).toMatchObject({ ok: false, error: expect.stringContaining('try again') });
    expect(await metrics.registry.metrics()).toContain(
      'fjmcp_limits_reached_total{limit="CONTROL_CONNECTIONS_MAX"} 1',
    );
    for (const one of held) one.destroy();
    await Promise.all(held.map((one) => new Promise((resolve) => one.once('close', resolve))));
    while (!(await askControl(path, QUESTION, systemClock)).ok) await Bun.sleep(5);
  });

  it('leaves one that asks nothing', async () => {
    await listen();
    const socket = connect(path);
    await new Promise((resolve) => socket.once('connect', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write('{"ver');
    // The listener has it as soon as it answers another one.
    await askControl(path, QUESTION, systemClock);
    clock.advance(CONTROL_TIMEOUT_MS);
    await closed;
  });

  it('tells nothing of a failure but that the log has it', async () => {
    await listen(async () => {
      throw new StoreError('full', new Error('canary'));
    });
    const failed = await askControl(path, QUESTION, systemClock);
    expect(failed).toEqual({
      ok: false,
      error: 'The broker could not do it; its log says why.',
    });
  });
});

describe('a question to a broker', () => {
  it('that is not there, or not any more, is a sentence with the path', async () => {
    const missing = await askControl(path, QUESTION, systemClock);
    const sentence = missing.ok ? '' : missing.error;
    expect(sentence).toContain(`No broker runs that listens on ${path}.`);
    expect(sentence).toContain('--control-socket');
  });

  it.each([
    ['nothing', ''],
    ['no JSON', 'hello\n'],
    ['null', 'null\n'],
    ['another version', '{"version":2,"ok":true,"result":{}}\n'],
  ])('that answers %s is a sentence', async (_, text) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.resume();
      socket.end(text);
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const answer = await askControl(path, QUESTION, systemClock);
    expect(answer).toMatchObject({ ok: false, error: expect.stringMatching(/^(What|The) .*\.$/) });
    await new Promise((resolve) => server.close(resolve));
  });

  it('that never answers ends after a time', async () => {
    const server = createServer((socket) => socket.on('error', () => undefined).resume());
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const waiting = new FakeClock();
    const answer = askControl(path, QUESTION, waiting);
    while (waiting.pending === 0) await Bun.sleep(1);
    waiting.advance(CONTROL_TIMEOUT_MS);
    expect(await answer).toMatchObject({ ok: false });
    await new Promise((resolve) => server.close(resolve));
  });
});
