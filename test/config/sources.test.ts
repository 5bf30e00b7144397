import { describe, expect, it } from 'bun:test';
import { ENOUGH, faults, load, loaded } from './config-input.ts';

const withFile = (text: string) => ({
  argv: ['--config', '/etc/fjmcp/config.toml'],
  files: { '/etc/fjmcp/config.toml': text },
});

describe('settings: what is missing or unknown', () => {
  it('tells every missing setting at once, each with flag, variable and key', () => {
    const nothing = Object.fromEntries(Object.keys(ENOUGH).map((name) => [name, undefined]));
    const told = faults({ env: nothing });
    expect(told).toHaveLength(6);
    for (const spelling of [
      '--public-url (FJMCP_PUBLIC_URL, public_url): is missing',
      '--forgejo-url (FJMCP_FORGEJO_URL, forgejo_url): is missing',
      '--forgejo-client-id (FJMCP_FORGEJO_CLIENT_ID, forgejo_client_id): is missing',
      '--store-path (FJMCP_STORE_PATH, store_path): is missing',
      '--store-key-file (FJMCP_STORE_KEY_FILE, store_key_file): is missing',
      'FJMCP_FORGEJO_CLIENT_SECRET or --forgejo-client-secret-file',
    ]) {
      expect(told.join('\n')).toContain(spelling);
    }
  });

  it('tells wrong values of several sources in one go', () => {
    const told = faults({
      argv: ['--max-sessions', 'many', '--no-such-flag', '--config', '/c.toml'],
      env: { FJMCP_ACCESS_TOKEN_TTL: '8', FJMCP_FORGEJO_URL: 'ftp://x' },
      files: { '/c.toml': 'no_such_key = 1\nlog_level = "loud"\nmax_body = true' },
    });
    for (const part of [
      '--max-sessions (FJMCP_MAX_SESSIONS, max_sessions): must be a whole number, not "many"',
      '--no-such-flag: there is no such flag',
      '--access-token-ttl (FJMCP_ACCESS_TOKEN_TTL, access_token_ttl): must be a whole number with a unit',
      '--forgejo-url (FJMCP_FORGEJO_URL, forgejo_url): must be an http or https address',
      'no_such_key: there is no such key',
      '--log-level (FJMCP_LOG_LEVEL, log_level): must be error or warn or info or debug, not "loud"',
      '--max-body (FJMCP_MAX_BODY, max_body): must be a text, a number or an array of texts',
    ]) {
      expect(told.join('\n')).toContain(part);
    }
    expect(told).toHaveLength(7);
  });

  it('refuses a flag without a value, a flag given twice, and a stray argument', () => {
    expect(faults({ argv: ['--store-path'] })).toEqual([
      '--store-path (FJMCP_STORE_PATH, store_path): the flag needs a value',
    ]);
    const eaten = faults({ argv: ['--store-path', '--log-level=info'] });
    expect(eaten).toEqual(['--store-path (FJMCP_STORE_PATH, store_path): the flag needs a value']);
    const twice = faults({ argv: ['--log-level=info', '--log-level', 'warn'] });
    expect(twice).toEqual(['--log-level (FJMCP_LOG_LEVEL, log_level): the flag is given twice']);
    expect(faults({ argv: ['stray'] })).toHaveLength(1);
    expect(faults({ argv: ['-x'] })).toEqual(['-x: there is no such flag; --help lists them']);
  });

  it('warns of an unknown FJMCP_ variable and serves', () => {
    const { warnings } = loaded({ env: { FJMCP_MAX_SESIONS: '5', OTHER: '1' } });
    expect(warnings).toEqual(['FJMCP_MAX_SESIONS: there is no such setting; --help lists them']);
  });

  it('takes an empty variable as one that is not set, and as an empty list', () => {
    const config = loaded({ env: { FJMCP_LISTEN: '', FJMCP_REDIRECT_ALLOWLIST: '' } });
    expect(config.listen).toEqual({ kind: 'tcp', hostname: '127.0.0.1', port: 8080 });
    expect(config.redirectAllowlist).toEqual([]);
    expect(faults({ env: { FJMCP_PUBLIC_URL: '' } })[0]).toContain('is missing');
  });
});

describe('settings: secrets', () => {
  it('S10: refuses a secret as a flag or in the file, and never repeats it', () => {
    const flag = faults({ argv: ['--forgejo-client-secret=canary-a'] });
    expect(flag.join()).toContain('a secret has no flag');
    const spaced = faults({ argv: ['--forgejo-client-secret', 'canary-a'] });
    expect(spaced).toHaveLength(1);
    const key = faults(withFile('forgejo_client_secret = "canary-a"'));
    expect(key.join()).toContain('a secret does not stand in this file');
    expect([...flag, ...spaced, ...key].join()).not.toContain('canary');
  });

  it('S10: a configuration that is printed shows no secret', () => {
    const config = loaded();
    expect(JSON.stringify(config)).not.toContain('canary');
    expect(Bun.inspect(config)).not.toContain('canary');
    expect(config.forgejoClientSecret.reveal()).toBe('canary-upstream-secret');
  });

  it('S10: no fault repeats the password of an address', () => {
    const told = faults({
      env: {
        FJMCP_FORGEJO_URL: 'https://user:canary-a@git.example.org',
        FJMCP_PUBLIC_URL: 'https://user:canary-b@mcp.example.org',
      },
    });
    expect(told).toHaveLength(2);
    expect(told.join()).not.toContain('canary');
  });
});

describe('settings: which source wins', () => {
  const file = withFile('max_sessions = 7\nmax_clients = 70');

  it('the flag wins, then the environment, then the file, then the default', () => {
    const env = { FJMCP_MAX_SESSIONS: '8' };
    expect(loaded({ ...file, argv: [...file.argv, '--max-sessions=9'], env }).maxSessions).toBe(9);
    expect(loaded({ ...file, env }).maxSessions).toBe(8);
    expect(loaded(file)).toMatchObject({ maxSessions: 7, maxClients: 70, maxSessionsPerUser: 10 });
  });

  it('finds the file by its variable, and says when it cannot be read or is no TOML', () => {
    const config = loaded({ files: file.files, env: { FJMCP_CONFIG: '/etc/fjmcp/config.toml' } });
    expect(config.maxSessions).toBe(7);
    const absent = faults({ argv: ['--config', '/absent.toml'] });
    expect(absent).toEqual([
      '--config (FJMCP_CONFIG): cannot read /absent.toml: no such file or directory',
    ]);
    expect(faults(withFile('max_sessions = ')).join()).toContain('TOML');
  });

  it('a list is a repeated flag, a text with spaces or commas, or an array of the file', () => {
    const both = ['https://a.example', 'https://b.example'];
    const flags = both.flatMap((origin) => ['--allowed-origins', origin]);
    expect(loaded({ argv: flags }).allowedOrigins).toEqual(both);
    for (const text of [both.join(','), both.join(' '), ` ${both.join(' ,\n')} `]) {
      expect(loaded({ env: { FJMCP_ALLOWED_ORIGINS: text } }).allowedOrigins).toEqual(both);
    }
    expect(loaded(withFile(`allowed_origins = ${JSON.stringify(both)}`)).allowedOrigins).toEqual(
      both,
    );
    expect(faults(withFile('max_sessions = ["1", "2"]')).join()).toContain('must be one value');
  });
});

describe('settings: the defaults', () => {
  it('are those of the design', () => {
    expect(loaded()).toMatchObject({
      listen: { kind: 'tcp', hostname: '127.0.0.1', port: 8080 },
      publicOrigin: 'https://mcp.example.org',
      forgejoUrl: 'https://git.example.org',
      forgejoInternalUrl: 'https://git.example.org',
      forgejoScopes: [
        'read:misc',
        'write:issue',
        'write:notification',
        'write:organization',
        'write:repository',
        'write:user',
      ],
      forgejoRefreshTokenTtlMs: 730 * 3_600_000,
      maxSessions: 100,
      maxSessionsPerUser: 10,
      sessionIdleTimeoutMs: 15 * 60_000,
      sessionTtlMs: 30 * 86_400_000,
      maxStoredSessionsPerUser: 200,
      accessTokenTtlMs: 8 * 3_600_000,
      refreshTokenTtlMs: 90 * 86_400_000,
      requestTimeoutMs: 5 * 60_000,
      requestTimeoutTotalMs: 3_600_000,
      stopGraceMs: 1500,
      maxBodyBytes: 4 * 1024 ** 2,
      maxMessageBytes: 32 * 1024 ** 2,
      maxStreamBufferBytes: 8 * 1024 ** 2,
      maxClients: 10_000,
      staticClients: [],
      redirectAllowlist: ['cursor://anysphere.cursor-mcp/oauth/callback'],
      allowedOrigins: [],
      logLevel: 'info',
      logFormat: 'json',
      warnings: [],
    });
  });

  it('put the control socket beside the store, unless it has a path of its own', () => {
    expect(loaded().controlSocketPath).toBe('/var/lib/fjmcp/store.sqlite.control');
    const own = loaded({ argv: ['--control-socket', 'broker.control'] });
    expect(own.controlSocketPath).toBe('/work-dir/broker.control');
    expect(faults({ argv: ['--control-socket', ''] })).toEqual([
      '--control-socket (FJMCP_CONTROL_SOCKET, control_socket): must not be empty',
    ]);
  });

  it('resolve the store path, so that the log says which file it was', () => {
    expect(loaded({ env: { FJMCP_STORE_PATH: 'a.sqlite' } }).storePath).toBe('/work-dir/a.sqlite');
    expect(load().ok).toBe(true);
  });
});

describe('CHILD_COMMAND', () => {
  it('[CVE-2026-55887] S11: is split once at spaces, the internal address filled in, the program made absolute', () => {
    const { childCommand } = loaded({
      env: { FJMCP_FORGEJO_INTERNAL_URL: 'http://10.0.0.2:3000/' },
    });
    expect(childCommand).toEqual([
      '/usr/bin/forgejo-mcp',
      '--transport',
      'stdio',
      '--url',
      'http://10.0.0.2:3000',
    ]);
  });

  it('[OX STDIO cluster Apr 2026] S11: is an array in the file, taken word by word', () => {
    const config = loaded({
      ...withFile('child_command = ["./my program", "--name", "a b; rm -rf /"]'),
      programs: { '/work-dir/./my program': '/work-dir/my program' },
    });
    expect(config.childCommand).toEqual(['/work-dir/my program', '--name', 'a b; rm -rf /']);
  });

  it('S11: refuses quotes, which nothing would interpret, and an empty command', () => {
    const quoted = faults({ argv: ['--child-command', 'sh -c "a b"'] });
    expect(quoted.join()).toContain('has quotes, which nothing interprets');
    expect(faults({ argv: ['--child-command', '  '] }).join()).toContain('must name a program');
    expect(faults(withFile('child_command = []')).join()).toContain('must name a program');
  });

  it('warns when the program is not there, and serves: it may be installed meanwhile', () => {
    const { warnings, childCommand } = loaded({ programs: {} });
    const expected = '/usr/local/bin/forgejo-mcp';
    expect(warnings.join()).toContain(`until there is a program ${expected}, no session can start`);
    expect(childCommand[0]).toBe(expected);
    const named = loaded({ argv: ['--child-command', './absent -x'], programs: {} });
    expect(named.childCommand).toEqual(['/work-dir/./absent', '-x']);
  });
});
