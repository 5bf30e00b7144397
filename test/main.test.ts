import { describe, expect, it } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import packageJson from '../package.json';

const MAIN = new URL('../app/main.ts', import.meta.url).pathname;

/** Runs the program as a person would, with nothing of this process's environment. */
async function run(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = Bun.spawn([process.execPath, MAIN, ...argv], {
    cwd: tmpdir(),
    env: { PATH: '/usr/bin:/bin', HOME: tmpdir(), ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
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
      expect(stderr).toBe(`fjmcp-broker: there is no command "${name}"; there are: serve, demo\n`);
    }
  });
});

describe('the program, asked about itself', () => {
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
