import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Run, runScript } from './run.ts';
import type { Shell } from './shells.ts';
import { stubs } from './stubs.ts';
import { type Dialogue, runOnTerminal } from './terminal.ts';
import { treeOf } from './tree.ts';

export const INSTALLER = fileURLToPath(new URL('../../install.sh', import.meta.url));
export const ELF_PROGRAM = '/bin/true';

/** What every run is told unless a test says otherwise: enough to ask nothing. */
export const ANSWERS: Readonly<Record<string, string>> = {
  FJMCP_INSTALL_YES: '1',
  FJMCP_PUBLIC_URL: 'https://mcp.example.org',
  FJMCP_FORGEJO_URL: 'https://git.example.org',
  FJMCP_FORGEJO_CLIENT_ID: 'the-client',
  FJMCP_FORGEJO_CLIENT_SECRET: 'gto_thesecret',
  FJMCP_INSTALL_FORGEJO_MCP: ELF_PROGRAM,
};

/** A file system with just what a fresh Debian shows the installer, and a systemd that is played. */
export interface FakeMachine {
  readonly root: string;
  readonly state: string;
  readonly path: (path: string) => string;
  readonly read: (path: string) => string;
  readonly write: (path: string, text: string) => void;
  /** Sets or takes away a fact about the system: a file of the state directory. */
  readonly fact: (name: string, text?: string | null) => void;
  readonly factOf: (name: string) => string | undefined;
  /** Calls that were made of the stubs which change something. */
  readonly calls: () => readonly string[];
  readonly forgetCalls: () => void;
  readonly tree: () => Readonly<Record<string, string>>;
  readonly hide: (program: string) => void;
  /** Where a program lies that the installer finds. */
  readonly tool: (program: string) => string;
  readonly run: (
    argv: readonly string[],
    env?: Readonly<Record<string, string>>,
    stdin?: string,
  ) => Promise<Run>;
  readonly runOnTerminal: (
    argv: readonly string[],
    env: Readonly<Record<string, string>>,
    dialogue: Dialogue,
  ) => Promise<Run>;
  readonly close: () => Promise<void>;
}

/** Programs that every Debian has; nothing else of the machine that tests is seen. */
const TOOLS =
  'sh cat sed awk grep head tail tr cut cp mv rm ln mkdir rmdir mktemp chmod chown cmp diff find sort ' +
  'dd od df uname id stat readlink basename dirname sha256sum md5sum tar gzip env touch date wc ' +
  'curl flock stty ldd minisign';

export function fakeMachine(shell: Shell): FakeMachine {
  const directory = mkdtempSync(join(tmpdir(), 'fji-'));
  const [root, bin, state, scratch] = ['root', 'bin', 'state', 'tmp'].map((name) => {
    mkdirSync(join(directory, name));
    return join(directory, name);
  }) as [string, string, string, string];
  furnish(root, bin, state);
  const path = (relative: string) => join(root, relative);
  const socket = path('run/fjmcp-broker/edge/http.sock');
  const broker = Bun.serve({ unix: socket, fetch: (request) => playBroker(request, state) });
  const fact = (name: string, text: string | null = '') =>
    text === null
      ? rmSync(join(state, name), { force: true })
      : writeFileSync(join(state, name), text);
  const factOf = (name: string) =>
    existsSync(join(state, name)) ? readFileSync(join(state, name), 'utf8') : undefined;
  const environment = (env: Readonly<Record<string, string>>) => ({
    ...ANSWERS,
    PATH: bin,
    HOME: scratch,
    TMPDIR: scratch,
    FJMCP_INSTALL_ROOT: root,
    FJMCP_INSTALL_HEALTH_SECONDS: '2',
    FJMCP_INSTALL_SETTLE_SECONDS: '0',
    ...env,
  });
  return {
    root,
    state,
    path,
    read: (relative) => readFileSync(path(relative), 'utf8'),
    write: (relative, text) => {
      mkdirSync(join(path(relative), '..'), { recursive: true });
      writeFileSync(path(relative), text);
    },
    fact,
    factOf,
    calls: () => (factOf('calls') ?? '').split('\n').filter(Boolean),
    forgetCalls: () => fact('calls', null),
    tree: () => treeOf(root),
    hide: (program) => rmSync(join(bin, program), { force: true }),
    tool: (program) => join(bin, program),
    run: (argv, env = {}, stdin) =>
      runScript([...shell.argv, ...(stdin === undefined ? [INSTALLER] : ['-s', '--']), ...argv], {
        env: environment(env),
        stdin,
      }),
    runOnTerminal: (argv, env, dialogue) =>
      runOnTerminal([...shell.argv, INSTALLER, ...argv], environment(env), dialogue),
    close: async () => {
      await broker.stop(true);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function furnish(root: string, bin: string, state: string): void {
  for (const tool of TOOLS.split(' ')) {
    const found = Bun.which(tool);
    if (found !== null) symlinkSync(found, join(bin, tool));
  }
  for (const [name, text] of Object.entries(stubs({ state, root }))) {
    writeFileSync(join(bin, name), text);
    chmodSync(join(bin, name), 0o755);
  }
  for (const folder of ['etc/caddy', 'etc/ssl/certs', 'opt', 'usr/local/bin', 'run/lock']) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  mkdirSync(join(root, 'run/systemd/system'), { recursive: true });
  mkdirSync(join(root, 'run/fjmcp-broker/edge'), { recursive: true });
  const release = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n';
  writeFileSync(join(root, 'etc/os-release'), release);
  writeFileSync(join(root, 'etc/ssl/certs/ca-certificates.crt'), '');
  writeFileSync(join(state, 'systemd'), '252');
}

/** The broker's health, as the version that the played systemd serves. */
function playBroker(request: Request, state: string): Response {
  const serving = join(state, 'serving');
  if (request.headers.get('host') !== 'mcp.example.org') return new Response('', { status: 421 });
  if (!existsSync(serving)) return new Response('', { status: 500 });
  const version = readFileSync(serving, 'utf8');
  const isReady = !existsSync(join(state, `unready-${version}`));
  return new URL(request.url).pathname === '/readyz'
    ? new Response('', { status: isReady ? 200 : 503 })
    : Response.json({ status: 'ok', version, git: 'test' });
}

/** Gives Caddy the configuration that Debian's package brings, untouched. */
export function giveDebianCaddyfile(machine: FakeMachine): void {
  const text = ':80 {\n\troot * /usr/share/caddy\n\tfile_server\n}\n';
  machine.write('etc/caddy/Caddyfile', text);
  const md5 = new Bun.CryptoHasher('md5').update(text).digest('hex');
  machine.fact('caddy-conffile', ` /etc/caddy/Caddyfile ${md5}\n`);
}
