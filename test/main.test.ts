import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom } from '../app/base/secret.ts';
import packageJson from '../package.json';

const MAIN = new URL('../app/main.ts', import.meta.url).pathname;

const KNOWN = 'serve, sessions, grants, revoke, reload, doctor, backup, restore, rotate-key, demo';

type Environment = Readonly<Record<string, string>>;

/** Starts the program as a person would, with nothing of this process's environment. */
function start(words: readonly string[], env: Environment) {
  return Bun.spawn([process.execPath, ...words], {
    cwd: tmpdir(),
    env: { PATH: '/usr/bin:/bin', HOME: tmpdir(), ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
}

async function run(argv: readonly string[], env: Environment = {}) {
  const child = start([MAIN, ...argv], env);
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, exitCode };
}

describe('the program, started with a wrong configuration', () => {
  it('names every missing setting and exits 2, with no command as with serve', async () => {
    for (const argv of [[], ['serve']]) {
      const { stdout, stderr, exitCode } = await run(argv);
      expect(exitCode).toBe(2);
      expect(stdout).toBe('');
      for (const name of ['PUBLIC_URL', 'FORGEJO_URL', 'FORGEJO_CLIENT_ID', 'STORE_PATH']) {
        const flag = `--${name.toLowerCase().replaceAll('_', '-')}`;
        expect(stderr).toContain(`${flag} (FJMCP_${name}, ${name.toLowerCase()}): is missing`);
      }
      expect(stderr).toContain('FJMCP_FORGEJO_CLIENT_SECRET or --forgejo-client-secret-file');
      expect(stderr).toContain("make one: (umask 077; head -c 32 /dev/urandom > 'store.key')");
      expect(stderr.trimEnd().split('\n')).toHaveLength(6);
    }
  });

  it('tells of a misspelt variable beside the setting that is missing for it', async () => {
    const { stderr, exitCode } = await run([], { FJMCP_PUBLIC_ULR: 'https://mcp.example.org' });
    expect(exitCode).toBe(2);
    expect(stderr).toContain('FJMCP_PUBLIC_URL, public_url): is missing');
    expect(stderr).toContain('warning: FJMCP_PUBLIC_ULR: there is no such setting');
  });

  it('names every wrong value of flags, environment and file at once, and no secret', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'fjmcp-main-'));
    const file = join(directory, 'config.toml');
    const key = join(directory, 'store.key');
    writeFileSync(file, 'access_token_ttl = "8"\nno_such_key = 1\n');
    writeFileSync(key, new Uint8Array(32), { mode: 0o644 });
    const { stderr, exitCode } = await run(['--listen', 'nowhere', '--no-such-flag'], {
      FJMCP_CONFIG: file,
      FJMCP_PUBLIC_URL: 'http://mcp.example.org',
      FJMCP_FORGEJO_URL: 'https://user:canary-password@git.example.org',
      FJMCP_FORGEJO_CLIENT_ID: 'id',
      FJMCP_FORGEJO_CLIENT_SECRET: 'canary-secret',
      FJMCP_STORE_PATH: join(directory, 'store.sqlite'),
      FJMCP_STORE_KEY_FILE: key,
    });
    rmSync(directory, { recursive: true });
    expect(exitCode).toBe(2);
    const lines = stderr.trimEnd().split('\n');
    for (const name of [
      '--listen (FJMCP_LISTEN, listen): ',
      '--no-such-flag: ',
      '--access-token-ttl (FJMCP_ACCESS_TOKEN_TTL, access_token_ttl): ',
      'no_such_key: ',
      '--public-url (FJMCP_PUBLIC_URL, public_url): must be https',
      '--forgejo-url (FJMCP_FORGEJO_URL, forgejo_url): ',
      '--store-key-file (FJMCP_STORE_KEY_FILE, store_key_file): ',
    ]) {
      expect(lines.filter((line) => line.startsWith(`fjmcp-broker: ${name}`))).toHaveLength(1);
    }
    expect(lines).toHaveLength(7);
    expect(stderr).not.toContain('canary');
  });

  it('refuses a command that does not exist, and names those that do', async () => {
    for (const name of ['no-such-command', '__proto__', 'constructor']) {
      const { stderr, exitCode } = await run([name]);
      expect(exitCode).toBe(2);
      expect(stderr).toBe(`fjmcp-broker: there is no command "${name}"; there are: ${KNOWN}\n`);
    }
    expect((await run(['sesions'])).stderr).toEndWith('\nIs sessions meant?\n');
  });
});

describe('the program, asked about itself', () => {
  it('--help behind a command tells of that command, whatever else is said', async () => {
    for (const argv of [
      ['doctor', '--help'],
      ['doctor', '--no-such-flag', '-h'],
    ]) {
      const { stdout, stderr, exitCode } = await run(argv);
      expect([exitCode, stderr]).toEqual([0, '']);
      expect(stdout).toContain('Usage: fjmcp-broker doctor [--login FILE]');
      expect(stdout).toContain('Exit codes:\n  0  all is well');
    }
  });

  it('--help lists commands, settings and exit codes, whatever else is said', async () => {
    for (const argv of [['--help'], ['-h'], ['serve', '--no-such-flag', '--help']]) {
      const { stdout, stderr, exitCode } = await run(argv);
      expect([exitCode, stderr]).toEqual([0, '']);
      for (const part of [
        'serve',
        'demo',
        '--public-url URL',
        'FJMCP_STORE_KEY_FILE',
        'Exit codes',
      ]) {
        expect(stdout).toContain(part);
      }
    }
  });

  it('--version names version and revision', async () => {
    const { stdout, exitCode } = await run(['--version']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^fjmcp-broker \S+ \((?:[0-9a-f]{40}|unknown)\)\n$/);
    expect(stdout).toContain(`fjmcp-broker ${packageJson.version} `);
  });
});

describe('the program, told to end', () => {
  let directory = '';

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'fjmcp-main-'));
    writeFileSync(join(directory, 'store.key'), systemRandom(32), { mode: 0o600 });
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  /** Enough to serve; nobody calls the Forgejo that is named. */
  const enough = (): Environment => ({
    FJMCP_LISTEN: '127.0.0.1:0',
    FJMCP_PUBLIC_URL: 'http://127.0.0.1',
    FJMCP_FORGEJO_URL: 'http://127.0.0.1:1',
    FJMCP_FORGEJO_CLIENT_ID: 'id',
    FJMCP_FORGEJO_CLIENT_SECRET: 'canary-secret',
    FJMCP_STORE_PATH: join(directory, 'store.sqlite'),
    FJMCP_STORE_KEY_FILE: join(directory, 'store.key'),
  });

  /** Reads the log until a line holds `event`, then gives what has come and what still comes. */
  async function until(stderr: ReadableStream<Uint8Array>, event: string) {
    const reader = stderr.getReader();
    const decoder = new TextDecoder();
    let text = '';
    while (!text.includes(event)) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`ended before ${event}: ${text}`);
      text += decoder.decode(value, { stream: true });
    }
    return async () => {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        text += decoder.decode(next.value, { stream: true });
      }
      return text;
    };
  }

  it.each(['SIGTERM', 'SIGINT'] as const)('ends in order at %s and exits 0', async (signal) => {
    const child = start([MAIN], enough());
    const rest = await until(child.stderr, 'broker.listening');
    child.kill(signal);
    expect(await child.exited).toBe(0);
    const log = await rest();
    expect(log).toContain(`"signal":"${signal}"`);
    expect(log).toContain('process.stopped');
    expect(log).not.toContain('canary');
  });

  it('exits 1 at once at a second signal', async () => {
    const child = start([MAIN], enough());
    const rest = await until(child.stderr, 'broker.listening');
    // Both wait for a stopped process, so that the second is there before the first stop is done.
    child.kill('SIGSTOP');
    child.kill('SIGTERM');
    child.kill('SIGINT');
    child.kill('SIGCONT');
    expect(await child.exited).toBe(1);
    expect(await rest()).not.toContain('process.stopped');
  });

  it('logs a failure that nobody caught, without secrets, and exits 1', async () => {
    const preload = join(directory, 'fail.ts');
    const token = `fjmcp_at_${'x'.repeat(43)}`;
    writeFileSync(
      preload,
      `const timer = setInterval(() => {
        if (process.listenerCount('unhandledRejection') === 0) return;
        clearInterval(timer);
        void Promise.reject(new Error('lost ${token}'));
      });`,
    );
    const child = start(['--preload', preload, MAIN], enough());
    const rest = await until(child.stderr, 'process.failed');
    expect(await child.exited).toBe(1);
    const log = await rest();
    expect(log).toContain('lost');
    expect(log).not.toContain(token);
  });

  it('says in a sentence why it could not start, and exits 1', async () => {
    const first = start([MAIN], enough());
    const rest = await until(first.stderr, 'broker.listening');
    const second = await run([], enough());
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toContain('process.not_started');
    expect(second.stderr).toContain('Another broker runs on the store');
    first.kill('SIGTERM');
    expect(await first.exited).toBe(0);
    await rest();
  });
});
