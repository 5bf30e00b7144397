import { afterEach, beforeEach, expect, it } from 'bun:test';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Clock, systemClock } from '../../app/base/clock.ts';
import { findSandbox } from '../../app/child/find-sandbox.ts';
import type { Supervisor } from '../../app/child/supervisor.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { CANARY, fixtureSupervisor, Talk } from '../support/fixture-supervisor.ts';
import { childrenOf, commandLine, isAlive, untilGone } from '../support/processes.ts';
import { bwrap, describeWith } from '../support/requirements.ts';

const SUPPORT = new URL('../support/', import.meta.url).pathname;
const HOSTILE = join(SUPPORT, 'hostile-child.ts');
/** What an attempt gives whose object is not there at all. */
const ABSENT = 'ENOENT';

let directory = '';
let supervisor: Supervisor;
let hostile: Talk;
const listeners: { stop(force: boolean): void }[] = [];

/** A broker's own files and sockets, a child that holds a token, and a hostile child. */
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-sandbox-'));
  for (const name of ['store.db', 'store-key', 'config.toml']) {
    writeFileSync(join(directory, name), `canary of ${name}`);
  }
  for (const name of ['control.sock', 'http.sock', 'metrics.sock']) {
    const unix = join(directory, name);
    listeners.push(Bun.listen({ unix, socket: { data: () => undefined } }));
  }
  supervisor = sandboxed(process.execPath, [SUPPORT], HOSTILE);
  hostile = new Talk(supervisor, 'token-of-the-hostile-one');
});

afterEach(async () => {
  await supervisor.stopAll('test_over');
  for (const listener of listeners.splice(0)) listener.stop(true);
  rmSync(directory, { recursive: true, force: true });
});

function sandboxed(program: string, paths: readonly string[], ...args: string[]): Supervisor {
  return sandboxedBy(systemClock, program, paths, ...args);
}

function sandboxedBy(clock: Clock, program: string, paths: readonly string[], ...args: string[]) {
  const found = findSandbox({ mode: 'bwrap', program, paths });
  if (!found.ok) throw new Error(found.error);
  const command = [program, ...args];
  return fixtureSupervisor([], { sandbox: found.value, command, clock }).supervisor;
}

/** Every process below this one, as the machine's own numbers. */
function descendants(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendants(child)]);
}

async function innermost(pid: number): Promise<number> {
  for (;;) {
    const last = descendants(pid).at(-1);
    if (last !== undefined && commandLine(last).includes(HOSTILE)) return last;
    await Bun.sleep(5);
  }
}

describeWith(bwrap, 'a hostile child in its sandbox', () => {
  it("cannot read another child's environment: it sees no process but its own", async () => {
    const victim = new Talk(supervisor, CANARY);
    expect(await victim.tool('environment')).toMatchObject({ FORGEJO_ACCESS_TOKEN: CANARY });
    const pid = await innermost(victim.child.pid);
    expect(await hostile.tool<string>('read', { path: `/proc/${pid}/environ` })).toBe(ABSENT);
    const seen = await hostile.tool<string[]>('processes');
    // The first process of its namespace is bwrap's, which has the environment that it was given.
    expect(seen.length).toBeLessThanOrEqual(2);
    expect(seen.join()).not.toContain(CANARY);
  });

  it('[CVE-2026-61560] cannot read store, key or configuration, nor list where they are', async () => {
    for (const name of ['store.db', 'store-key', 'config.toml']) {
      expect(await hostile.tool<string>('read', { path: join(directory, name) })).toBe(ABSENT);
    }
    expect(await hostile.tool<string>('list', { path: directory })).toBe(ABSENT);
  });

  it('sees a file system with nothing in it but what is named', async () => {
    const list = (path: string) => hostile.tool<string[]>('list', { path });
    const ofProgram = dirname(process.execPath).split('/')[1] ?? '';
    const ofScript = SUPPORT.split('/')[1] ?? '';
    const usual = ['dev', 'etc', 'lib', 'lib32', 'lib64', 'proc', 'tmp', 'usr'];
    const allowed = new Set([...usual, ofProgram, ofScript]);
    expect((await list('/')).filter((name) => !allowed.has(name))).toEqual([]);
    const etc = await list('/etc');
    expect(etc).toContain('resolv.conf');
    for (const absent of ['passwd', 'shadow', 'fjmcp-broker', 'machine-id', 'systemd']) {
      expect(etc).not.toContain(absent);
    }
    for (const path of ['/var', '/run', '/home', '/root', '/sys', '/usr/bin', '/etc/ssl/private']) {
      if ([process.execPath, SUPPORT].some((shown) => shown.startsWith(path))) continue;
      const seen = await hostile.tool<string>('list', { path });
      expect({ path, seen }).toEqual({ path, seen: ABSENT });
    }
  });

  it('[CVE-2025-49596] reaches no socket of the broker', async () => {
    for (const name of ['control.sock', 'http.sock', 'metrics.sock']) {
      const reached = await hostile.tool<string>('connect', { path: join(directory, name) });
      expect({ name, reached }).toEqual({ name, reached: ABSENT });
    }
  });

  it('can signal neither the broker nor another child', async () => {
    const victim = new Talk(supervisor, CANARY);
    await victim.tool('environment');
    for (const pid of [process.pid, victim.child.pid, await innermost(victim.child.pid)]) {
      expect(await hostile.tool<string>('signal', { pid, signal: 'SIGKILL' })).toBe('ESRCH');
    }
    await hostile.tool('signal', { pid: -1, signal: 'SIGCONT' });
    expect(await victim.tool('environment')).toMatchObject({ FORGEJO_ACCESS_TOKEN: CANARY });
  });

  it('can change no file: not its program, not its libraries, not what it may read', async () => {
    const places = ['/x', '/usr/lib/x', '/etc/hosts', '/dev/x', process.execPath, HOSTILE];
    for (const path of places) {
      const outcome = await hostile.tool<string>('write', { path });
      expect({ path, outcome }).toEqual({
        path,
        outcome: expect.stringMatching(/^(EROFS|EACCES|EPERM|ETXTBSY)$/),
      });
    }
  });

  it('has every namespace of its own but the network', async () => {
    const ofTheChild = await hostile.tool<Record<string, string>>('namespaces');
    for (const kind of ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts']) {
      const shared = ofTheChild[kind] === readlinkSync(`/proc/self/ns/${kind}`);
      expect({ kind, shared }).toEqual({ kind, shared: kind === 'net' });
    }
  });

  it('has a /tmp of its own, which nobody else sees', async () => {
    const path = join('/tmp', `of-the-hostile-one-${process.pid}`);
    expect(await hostile.tool<string>('write', { path })).toBe('done');
    expect(existsSync(path)).toBe(false);
    expect(await new Talk(supervisor).tool<string>('read', { path })).toBe(ABSENT);
  });

  for (const place of ['/tmp', '/dev/shm']) {
    it(`cannot fill the memory of the machine by way of ${place}`, async () => {
      const path = `${place}/large`;
      expect(await hostile.tool<string>('write', { path, bytes: 64 * 1024 * 1024 })).toBe('done');
      const more = { path: `${place}/more`, bytes: 64 * 1024 };
      expect(await hostile.tool<string>('write', more)).toBe('ENOSPC');
    });
  }

  it('has no capability, gets none, and makes no namespace in which it would have some', async () => {
    const status = await hostile.tool<string>('status');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      expect(status).toMatch(new RegExp(`^${set}:\\s+0+$`, 'm'));
    }
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(await hostile.tool<number>('mount')).toBe(-1);
    expect(await hostile.tool<number>('namespace')).toBe(-1);
  });

  it('P4: has its own environment and nothing of the broker, and no command line shows it', async () => {
    const before = { ...process.env };
    process.env.FJMCP_FORGEJO_CLIENT_SECRET = 'canary-of-the-broker';
    try {
      const talk = new Talk(supervisor, CANARY);
      const environment = await talk.tool<Record<string, string>>('environment');
      expect(Object.keys(environment).sort()).toEqual([
        ...['FORGEJO_ACCESS_TOKEN', 'FORGEJO_URL', 'FORGEJO_USER_AGENT', 'HOME', 'LANG', 'PATH'],
        // What bwrap adds: the directory that it was told to start in.
        'PWD',
      ]);
      const pids = [talk.child.pid, ...descendants(talk.child.pid)];
      expect(pids.length).toBeGreaterThan(1);
      expect(pids.map(commandLine).join()).not.toContain(CANARY);
    } finally {
      for (const name of Object.keys(process.env)) {
        if (before[name] === undefined) delete process.env[name];
      }
    }
  });

  it('S11: takes all that it leaves behind with it, also in a session of its own', async () => {
    await hostile.tool('leaveBehind');
    const all = [hostile.child.pid, ...descendants(hostile.child.pid)];
    expect(all.length).toBeGreaterThanOrEqual(4);
    await hostile.child.stop('test');
    await Promise.all(all.map(untilGone));
  });

  it('S11: is stopped although it holds the process that was to bury it', async () => {
    const inside = await innermost(hostile.child.pid);
    expect(await hostile.tool<number>('holdFirst')).toBe(0);
    await hostile.child.stop('test');
    await untilGone(inside);
  });

  it('S11: ends with the broker, whatever it has left behind', async () => {
    const argv = [process.execPath, join(SUPPORT, 'sandboxed-process.ts')];
    const broker = Bun.spawn(argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    const { value } = await broker.stdout.getReader().read();
    expect(new TextDecoder().decode(value)).toBe('ready\n');
    const all = descendants(broker.pid);
    expect(all.length).toBeGreaterThanOrEqual(4);
    broker.kill('SIGKILL');
    await Promise.all(all.map(untilGone));
  });
});

describeWith(bwrap, 'a child in its sandbox', () => {
  it('reaches the network, which Forgejo is in', async () => {
    const forge = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('forge') });
    try {
      expect(await hostile.tool<string>('fetch', { url: forge.url.href })).toBe('forge');
    } finally {
      await forge.stop(true);
    }
  });

  it('finds what it needs to look up hosts and to trust certificates', async () => {
    for (const path of ['/etc/resolv.conf', '/etc/hosts', '/etc/ssl/certs/ca-certificates.crt']) {
      if (!existsSync(path)) continue;
      expect(await hostile.tool<string>('read', { path })).toBe(await Bun.file(path).text());
    }
  });

  it('is the program that its path names now, also after an upgrade', async () => {
    const program = join(directory, 'program');
    copyFileSync('/bin/echo', program);
    const upgraded = sandboxed(program, [], 'first');
    try {
      expect(await new Talk(upgraded).line()).toBe('first');
      rmSync(program);
      copyFileSync('/bin/pwd', program);
      expect(await new Talk(upgraded).line()).toBe('/');
    } finally {
      await upgraded.stopAll('test_over');
    }
  });

  it('stops when its stdin ends, and is gone at once', async () => {
    // As long as that takes: by this clock no further step of its stop is due.
    const patient = sandboxedBy(new FakeClock(), process.execPath, [SUPPORT], HOSTILE);
    const talk = new Talk(patient);
    const { child } = talk;
    await talk.tool('environment');
    const inside = await innermost(child.pid);
    expect(await child.stop('idle')).toMatchObject({ code: 0, reason: 'idle' });
    await untilGone(inside);
    expect(isAlive(child.pid)).toBe(false);
  });
});
