import { afterEach, describe, expect, it } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMetrics } from '../../app/base/metrics.ts';
import { Secret } from '../../app/base/secret.ts';
import type { Supervisor, SupervisorOptions } from '../../app/child/supervisor.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  CANARY,
  fixtureCommand,
  fixtureSupervisor,
  LOG_LINES_PER_SECOND,
  PIPE_LIMITS,
  Talk,
} from '../support/fixture-supervisor.ts';
import type { MemoryLog } from '../support/memory-log.ts';
import {
  commandLine,
  descriptorCount,
  isAlive,
  untilGone,
  zombieCount,
} from '../support/processes.ts';

const open: Supervisor[] = [];

function setUp(
  flags: readonly string[] = [],
  options: Partial<SupervisorOptions> = {},
): { readonly supervisor: Supervisor; readonly memory: MemoryLog } {
  const made = fixtureSupervisor(flags, options);
  open.push(made.supervisor);
  return made;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((supervisor) => supervisor.stopAll('test_over')));
});

/** Time for a child to do each step of its end by itself, as long as that takes. */
const patient = (): Partial<SupervisorOptions> => ({ clock: new FakeClock() });

const request = { token: new Secret(CANARY), label: 'label123', onLine: () => undefined };

interface Self {
  readonly environment: Record<string, string>;
  readonly argv: string[];
  readonly directory: string;
  readonly pid: number;
  readonly group: number;
}

describe('environment and arguments of a child', () => {
  it('[CVE-2026-61560] builds the environment from a fixed list and inherits nothing', async () => {
    const before = { ...process.env };
    process.env.FORGEJO_MCP_ALLOW_FILE_PATH_UPLOAD = 'true';
    process.env.FORGEJO_MCP_UPLOAD_ROOT = '/';
    process.env.FORGEJO_DEBUG = 'true';
    process.env.GITEA_ACCESS_TOKEN = 'other';
    process.env.FJMCP_FORGEJO_CLIENT_SECRET = 'broker-secret';
    try {
      const { environment } = await new Talk(setUp().supervisor).tool<Self>('self');
      expect(environment).toEqual({
        FORGEJO_ACCESS_TOKEN: CANARY,
        FORGEJO_URL: 'http://127.0.0.1:1',
        FORGEJO_USER_AGENT: 'fjmcp-broker/test',
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: '/dev/null',
        LANG: 'C.UTF-8',
      });
    } finally {
      for (const name of Object.keys(process.env)) {
        if (before[name] === undefined) delete process.env[name];
      }
    }
  });

  it('[CVE-2026-55887] passes the configured arguments and nothing of a request', async () => {
    const { argv, directory } = await new Talk(setUp(['--one', 'two']).supervisor).tool<Self>(
      'self',
    );
    expect(argv).toEqual(['--one', 'two']);
    expect(directory).toBe('/');
  });

  it('[OX STDIO cluster Apr 2026] runs no shell: its syntax arrives as it stands', async () => {
    const hostile = ['$(touch /tmp/x)', '; exit 1', '`id`', '*', 'a b', "'", '"', '|', '&&'];
    const { argv } = await new Talk(setUp(hostile).supervisor).tool<Self>('self');
    expect(argv).toEqual(hostile);
  });

  it('S11: refuses a command whose program is no absolute path', () => {
    expect(() => setUp([], { command: ['forgejo-mcp', '--transport', 'stdio'] })).toThrow(
      RangeError,
    );
    expect(() => setUp([], { command: [] })).toThrow(RangeError);
  });

  it('P4: gives the token by the environment and shows it in no command line or log', async () => {
    const { supervisor, memory } = setUp();
    const talk = new Talk(supervisor);
    const { pid } = await talk.tool<Self>('self');
    expect(commandLine(pid)).toContain('fixture-child.ts');
    expect(commandLine(pid)).not.toContain(CANARY);
    await talk.child.stop('test');
    expect(memory.text()).not.toContain(CANARY);
  });

  it('P4: gives two children a token each and neither the other', async () => {
    const { supervisor } = setUp();
    const one = new Talk(supervisor, 'token-of-one');
    const two = new Talk(supervisor, 'token-of-two');
    const self = await Promise.all([one.tool<Self>('self'), two.tool<Self>('self')]);
    expect(self.map((s) => s.environment.FORGEJO_ACCESS_TOKEN)).toEqual([
      'token-of-one',
      'token-of-two',
    ]);
  });

  it('S11: logs each start and each end with program, process and session', async () => {
    const { supervisor, memory } = setUp([], patient());
    const { child } = new Talk(supervisor);
    await child.stop('idle');
    const both = { session: 'label123', pid: child.pid };
    expect(memory.of('child.started')).toMatchObject([{ ...both, program: process.execPath }]);
    expect(memory.of('child.exited')).toMatchObject([{ ...both, code: 0, reason: 'idle' }]);
  });
});

describe('a child that cannot start', () => {
  it('S11: tells a missing program, also one that was removed later, from other faults', () => {
    const directory = mkdtempSync(join(tmpdir(), 'fjmcp-'));
    const program = join(directory, 'program');
    writeFileSync(program, '#!/bin/sh\ncat\n');
    chmodSync(program, 0o755);
    const { supervisor } = setUp([], { command: [program] });
    expect(supervisor.spawn(request).ok).toBe(true);
    rmSync(directory, { recursive: true });
    expect(supervisor.spawn(request)).toMatchObject({ error: { kind: 'program_missing' } });
  });

  it('S11: tells what the system refuses, and counts no child for it', () => {
    const spawn = (() => {
      throw Object.assign(new Error('too many'), { code: 'EMFILE' });
    }) as unknown as typeof Bun.spawn;
    const { supervisor } = setUp([], { spawn });
    expect(supervisor.spawn(request)).toEqual({
      ok: false,
      error: { kind: 'system', detail: 'EMFILE' },
    });
    expect(supervisor.running).toBe(0);
  });

  it('S11: starts none while it stops', async () => {
    const { supervisor } = setUp();
    await supervisor.stopAll('stopping');
    expect(supervisor.spawn(request)).toMatchObject({ error: { kind: 'stopping' } });
  });
});

describe('stdin of a child (MCP transports, stdio)', () => {
  it('P1: sends a message with line feeds between its tokens as one line', async () => {
    const talk = new Talk(setUp().supervisor);
    talk.child.send('{\n  "jsonrpc": "2.0",\r\n  "method": "notifications/initialized"\n}');
    const received = await talk.tool<string[]>('received');
    expect(received).toHaveLength(2);
    expect(JSON.parse(received[0] ?? '')).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/initialized',
    });
  });

  it('P1: carries long multi-byte messages exactly, both ways', async () => {
    const talk = new Talk(setUp([], { messageBytesMax: 32 * 1024 * 1024 }).supervisor);
    const text = 'žluťoučký 🐎 漢字\u2028'.repeat(50_000);
    expect(await talk.tool<object>('echo', { text })).toEqual({ text });
  });

  it('P1: keeps the order of messages', async () => {
    const talk = new Talk(setUp().supervisor);
    for (let i = 0; i < 500; i += 1) talk.child.send(`{"jsonrpc":"2.0","method":"n/${i}"}`);
    const received = await talk.tool<string[]>('received');
    expect(received.slice(0, -1)).toEqual(
      Array.from({ length: 500 }, (_, i) => `{"jsonrpc":"2.0","method":"n/${i}"}`),
    );
  });

  it('holds what fits for a child that does not read, and refuses the byte beyond', async () => {
    const talk = new Talk(setUp(['--never-read']).supervisor);
    await talk.line();
    const half = PIPE_LIMITS.backlogBytesMax / 2 - 1;
    expect(talk.child.send('x'.repeat(half)).ok).toBe(true);
    expect(talk.child.send('x'.repeat(half)).ok).toBe(true);
    expect(talk.child.send('')).toEqual({ ok: false, error: 'full' });
  });

  it('takes one message that is longer than the bound when nothing waits', async () => {
    const talk = new Talk(setUp(['--never-read']).supervisor);
    await talk.line();
    expect(talk.child.send('x'.repeat(PIPE_LIMITS.backlogBytesMax + 1)).ok).toBe(true);
    expect(talk.child.send('x')).toEqual({ ok: false, error: 'full' });
  });

  it('counts nothing any more once the child has read', async () => {
    const talk = new Talk(setUp([], { messageBytesMax: 32 * 1024 * 1024 }).supervisor);
    const text = 'x'.repeat(PIPE_LIMITS.backlogBytesMax - 1000);
    expect(await talk.tool<object>('echo', { text })).toEqual({ text });
    expect(await talk.tool<object>('echo', { text })).toEqual({ text });
  });

  it('is gone, and no promise is left to end the broker, when a child dies on unread input', async () => {
    const talk = new Talk(setUp(['--never-read']).supervisor);
    await talk.line();
    talk.child.send('x'.repeat(2_000_000));
    process.kill(talk.child.pid, 'SIGKILL');
    expect(await talk.child.exited).toMatchObject({ signal: 'SIGKILL', reason: 'exited' });
    expect(talk.child.send('{}')).toEqual({ ok: false, error: 'gone' });
  });

  it('stops a child that has closed its stdin but lives on', async () => {
    const talk = new Talk(setUp(['--close-stdin']).supervisor);
    await talk.line();
    while (talk.child.send('{}').ok) await Bun.sleep(1);
    expect(await talk.child.exited).toMatchObject({ reason: 'closed_its_stdin' });
  });
});

describe('stdout of a child (MCP transports, stdio)', () => {
  it('passes a line of exactly the limit', async () => {
    const talk = new Talk(setUp([], { messageBytesMax: 5000 }).supervisor);
    talk.start('line', { bytes: 5000 });
    expect(await talk.line()).toHaveLength(5000);
  });

  it('stops a child whose line is one byte beyond the limit', async () => {
    const talk = new Talk(setUp([], { messageBytesMax: 5000 }).supervisor);
    talk.start('line', { bytes: 5001 });
    expect(await talk.child.exited).toMatchObject({ reason: 'line_too_long' });
  });

  it('stops a child that has closed its stdout and lives on', async () => {
    const talk = new Talk(setUp().supervisor);
    await talk.tool('echo');
    talk.start('mute');
    expect(await talk.child.exited).toMatchObject({ reason: 'closed_its_stdout' });
  });

  it('holds a child back that writes without end, says so once, and reads its answers', async () => {
    const { supervisor, memory } = setUp();
    const talk = new Talk(supervisor);
    await talk.tool('flood', { to: 'stdout', text: 'x'.repeat(1000) });
    while (memory.of('child.held_back').length === 0) await Bun.sleep(5);
    talk.start('echo', { still: 'here' });
    for (let line = ''; !line.includes('still'); ) line = await talk.line();
    await talk.child.stop('test');
    expect(memory.of('child.held_back')).toMatchObject([{ limit: 'CHILD_STDOUT' }]);
  });

  it('does not hold a child back for what it was asked', async () => {
    // An answer can be here before the write of its question is known to be done.
    const pipeLimits = { ...PIPE_LIMITS, backlogBytesMax: 64 * 1024 * 1024 };
    const { supervisor, memory } = setUp([], { messageBytesMax: 64 * 1024 * 1024, pipeLimits });
    const talk = new Talk(supervisor);
    for (let n = 0; n < 3; n += 1) {
      const text = 'x'.repeat(5 * 1024 * 1024);
      expect(await talk.tool<object>('echo', { text })).toEqual({ text });
    }
    expect(memory.of('child.held_back')).toEqual([]);
  });

  it('P5: drains a flood on stderr, logs a bounded part of it and goes on answering', async () => {
    const { supervisor, memory } = setUp();
    const talk = new Talk(supervisor);
    await talk.tool('stderr', { text: `${'noise '.repeat(2000)}\n`, times: 2000 });
    expect(await talk.tool<object>('echo', { still: 'here' })).toEqual({ still: 'here' });
    await talk.child.stop('test');
    const logged = memory.of('child.stderr').length;
    // The flood may reach into a few seconds, each with its own allowance.
    expect(logged).toBeLessThan(LOG_LINES_PER_SECOND * 20);
    expect(memory.of('child.stderr_left_out').length).toBeGreaterThan(0);
  });

  it('P5: does not take output on stderr for a failure', async () => {
    const talk = new Talk(setUp().supervisor);
    await talk.tool('stderr', { text: 'ERROR everything is broken\n' });
    expect(await talk.tool<object>('echo', { fine: true })).toEqual({ fine: true });
  });
});

describe('the end of a child (MCP lifecycle, Shutdown)', () => {
  it('P6: closes stdin first, and a good child leaves by itself', async () => {
    const talk = new Talk(setUp([], patient()).supervisor);
    await talk.tool('echo');
    expect(await talk.child.stop('idle')).toEqual({ code: 0, signal: null, reason: 'idle' });
  });

  it('P6: sends SIGTERM to a child that ignores the end of its stdin', async () => {
    const talk = new Talk(setUp(['--ignore-stdin-end']).supervisor);
    await talk.tool('echo');
    expect(await talk.child.stop('idle')).toMatchObject({ signal: 'SIGTERM', reason: 'idle' });
  });

  it('P6: sends SIGKILL to a child that ignores both', async () => {
    const talk = new Talk(setUp(['--ignore-stdin-end', '--ignore-sigterm']).supervisor);
    await talk.tool('echo');
    expect(await talk.child.stop('idle')).toMatchObject({ signal: 'SIGKILL', reason: 'idle' });
  });

  it('P6: stops once, keeps the first reason and answers every caller', async () => {
    const talk = new Talk(setUp().supervisor);
    const [first, second] = await Promise.all([talk.child.stop('one'), talk.child.stop('two')]);
    expect(first).toEqual(second);
    expect(first.reason).toBe('one');
    expect((await talk.child.stop('three')).reason).toBe('one');
  });

  it('P6: takes no message from the moment of the stop', () => {
    const talk = new Talk(setUp().supervisor);
    void talk.child.stop('idle');
    expect(talk.child.send('{}')).toEqual({ ok: false, error: 'gone' });
  });

  it('P6: runs each child in a group of its own and ends what it has started', async () => {
    const talk = new Talk(setUp().supervisor);
    const { pid, group } = await talk.tool<Self>('self');
    expect(group).toBe(pid);
    expect(pid).toBe(talk.child.pid);
    const grandchild = await talk.tool<number>('grandchild');
    expect(isAlive(grandchild)).toBe(true);
    await talk.child.stop('idle');
    await untilGone(grandchild);
  });

  it('P6: ends what a child has started when the child dies by itself', async () => {
    const talk = new Talk(setUp().supervisor);
    const grandchild = await talk.tool<number>('grandchild', { holdsPipes: true });
    talk.start('die');
    expect(await talk.child.exited).toEqual({ code: 3, signal: null, reason: 'exited' });
    await untilGone(grandchild);
  });

  it('takes the exit for the end although an escaped grandchild holds the pipes', async () => {
    const { supervisor } = setUp();
    const talk = new Talk(supervisor);
    const grandchild = await talk.tool<number>('grandchild', { escapes: true, holdsPipes: true });
    try {
      talk.start('die');
      expect(await talk.child.exited).toEqual({ code: 3, signal: null, reason: 'exited' });
      expect(isAlive(grandchild)).toBe(true);
      expect(supervisor.running).toBe(0);
    } finally {
      process.kill(grandchild, 'SIGKILL');
    }
  });

  it('reads what a child has written before it died', async () => {
    const lines: string[] = [];
    const { supervisor } = setUp([], {
      command: ['/bin/sh', '-c', 'printf "one\\ntwo\\nhalf"; exit 4'],
    });
    const spawned = supervisor.spawn({ ...request, onLine: (line) => lines.push(line) });
    if (!spawned.ok) throw new Error('not started');
    expect(await spawned.value.exited).toMatchObject({ code: 4 });
    expect(lines).toEqual(['one', 'two']);
  });

  it('counts children while they run, and ends all at once', async () => {
    const metrics = createMetrics();
    const { supervisor } = setUp(['--ignore-stdin-end'], { metrics });
    const talks = [1, 2, 3].map(() => new Talk(supervisor));
    expect(supervisor.running).toBe(3);
    await supervisor.stopAll('stopping');
    expect(supervisor.running).toBe(0);
    expect(talks.some((talk) => isAlive(talk.child.pid))).toBe(false);
    expect(await metrics.registry.getSingleMetricAsString('fjmcp_children')).toContain(
      'fjmcp_children 0',
    );
  });

  it('leaves no descriptor and no zombie over 100 starts and stops', async () => {
    const { supervisor } = setUp([], { command: ['/bin/cat'] });
    const cycle = async () => {
      const spawned = supervisor.spawn(request);
      if (!spawned.ok) throw new Error(spawned.error.detail);
      await spawned.value.stop('idle');
    };
    await cycle();
    const before = descriptorCount();
    for (let i = 0; i < 100; i += 1) await cycle();
    // A leak of one a cycle would be a hundred; this process has descriptors of other suites too.
    expect(descriptorCount() - before).toBeLessThan(20);
    // One of another suite may have ended just now; the time limit of the test is the bound.
    while (zombieCount() > 0) await Bun.sleep(5);
  });
});

describe('a command that is not ours', () => {
  it('is started with exactly the configured words', async () => {
    const seen: string[][] = [];
    const spawn = ((command: string[], options: never) => {
      seen.push(command);
      return Bun.spawn(command, options);
    }) as unknown as typeof Bun.spawn;
    const { supervisor } = setUp(['--flag'], { spawn });
    supervisor.spawn(request);
    expect(seen[0]?.slice(-3)).toEqual(fixtureCommand('--flag'));
  });
});
