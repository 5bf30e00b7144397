import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { STORE_KEY_BYTES } from '../../app/base/keyring.ts';
import { LIMIT_NAMES } from '../../app/base/rate-limits.ts';
import { newToken, systemRandom } from '../../app/base/secret.ts';
import { ClientMemory, DemoClient } from '../../app/demo/client.ts';
import { type DemoForge, startDemoForge } from '../../app/demo/forge.ts';
import { Person } from '../../app/demo/person.ts';
import { freePort } from '../support/system.ts';
import type { RunningTarget, StartTarget, TargetOptions } from './target.ts';
import { addTokenRows } from './token-rows.ts';

const MAIN = new URL('../../app/main.ts', import.meta.url).pathname;
const CLIENT_ID = 'fjmcp-bench';
const PASSWORD = 'bench';
const START_MS_MAX = 30_000;

/** People who sign in at the same time: enough to be quick. */
const SIGNING_IN_MAX = 8;

/**
 * This broker as an administrator would start it: a process of its own with the default settings but
 * for the number of sessions, and its log in a file. Every session belongs to a person of its own,
 * who has signed in through OAuth with a client of that person's; the small Forgejo behind it runs
 * in the bench's process and has nothing to do while calls are measured.
 */
export function brokerWith(made: BrokerOptions): StartTarget {
  return (options) => startBroker(options, made);
}

export interface BrokerOptions {
  /** Access tokens of other connections that are in the store. */
  readonly tokenRows: number;
  /** The program, when it is that of another checkout. */
  readonly main?: string;
  /** Other limits than those that are counted and never reached; their proxy is this machine. */
  readonly rateLimits?: string | undefined;
}

/** The tool that is called, reviewed: as most calls of real tools are, it is judged by all rules. */
const TOOLS = `[tools]
noop = { class = "read", title = "Do nothing", toolset = "issues", target = "{owner}/{repo}" }
`;

/** A load client asks more often than any other. */
const NEVER_REACHED = LIMIT_NAMES.map((name) => `${name}=1000000000/1h`).join(' ');

async function startBroker(
  options: TargetOptions,
  { tokenRows, main = MAIN, rateLimits = NEVER_REACHED }: BrokerOptions,
): Promise<RunningTarget> {
  const directory = mkdtempSync(join(tmpdir(), 'fjmcp-bench-'));
  const origin = `http://127.0.0.1:${freePort()}`;
  const clientSecret = newToken(systemRandom);
  const people = Array.from({ length: options.sessions }, (_, n) => `person${n}`);
  const forge = await startDemoForge({
    clientId: CLIENT_ID,
    clientSecret,
    redirectUris: [`${origin}/oauth/callback`],
    users: people.map((login) => ({ login, password: PASSWORD })),
  });
  const made = { directory, origin, clientSecret, forge, options, main, rateLimits };
  const broker = spawnBroker(made);
  const stop = async () => {
    broker.kill('SIGTERM');
    await broker.exited;
    await forge.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await untilReady(broker, origin);
    const mcpUrl = `${origin}/mcp`;
    const bearers = await signInAll(mcpUrl, people);
    if (tokenRows > 0) await addTokenRows(join(directory, 'store.sqlite'), tokenRows);
    return { mcpUrl, pid: broker.pid, bearer: (session) => bearers[session], stop };
  } catch (error) {
    const log = readFileSync(join(directory, 'log'), 'utf8');
    await stop();
    throw new Error(`the broker did not start: ${log.slice(-2000)}`, { cause: error });
  }
}

function spawnBroker(made: {
  readonly directory: string;
  readonly origin: string;
  readonly clientSecret: string;
  readonly forge: DemoForge;
  readonly options: TargetOptions;
  readonly main: string;
  readonly rateLimits: string;
}) {
  const { directory, origin, clientSecret, forge, options, main, rateLimits } = made;
  const keyFile = join(directory, 'store-key');
  writeFileSync(keyFile, systemRandom(STORE_KEY_BYTES));
  chmodSync(keyFile, 0o600);
  const configFile = join(directory, 'config.toml');
  writeFileSync(configFile, `child_command = ${JSON.stringify(options.childCommand)}\n`);
  const toolsFile = join(directory, 'tools.toml');
  writeFileSync(toolsFile, TOOLS);
  // What a profile needs, for instance: --cpu-prof --cpu-prof-dir=DIR.
  const flags = (process.env.FJMCP_BENCH_BUN_FLAGS ?? '').split(' ').filter(Boolean);
  return Bun.spawn([process.execPath, ...flags, main, 'serve'], {
    env: {
      FJMCP_CONFIG: configFile,
      FJMCP_LISTEN: new URL(origin).host,
      FJMCP_PUBLIC_URL: origin,
      FJMCP_FORGEJO_URL: forge.url,
      FJMCP_FORGEJO_CLIENT_ID: CLIENT_ID,
      FJMCP_FORGEJO_CLIENT_SECRET: clientSecret,
      FJMCP_STORE_PATH: join(directory, 'store.sqlite'),
      FJMCP_STORE_KEY_FILE: keyFile,
      FJMCP_TOOLS_FILE: toolsFile,
      FJMCP_MAX_SESSIONS: String(options.sessions + 1),
      FJMCP_CHILD_SANDBOX: 'none',
      FJMCP_RATE_LIMITS: rateLimits,
      FJMCP_TRUSTED_PROXIES: '127.0.0.1',
    },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: Bun.file(join(directory, 'log')),
    killSignal: 'SIGKILL',
  });
}

async function untilReady(broker: Bun.Subprocess, origin: string): Promise<void> {
  const stuck = setTimeout(() => broker.kill(), START_MS_MAX);
  try {
    while (broker.exitCode === null && broker.signalCode === null) {
      const answer = await fetch(`${origin}/readyz`).catch(() => undefined);
      if (answer?.status === 200) return;
      await Bun.sleep(10);
    }
    throw new Error('it has ended');
  } finally {
    clearTimeout(stuck);
  }
}

async function signInAll(mcpUrl: string, people: readonly string[]): Promise<string[]> {
  const bearers: string[] = [];
  for (let from = 0; from < people.length; from += SIGNING_IN_MAX) {
    const group = people.slice(from, from + SIGNING_IN_MAX);
    bearers.push(...(await Promise.all(group.map((login) => signIn(mcpUrl, login)))));
  }
  return bearers;
}

async function signIn(mcpUrl: string, login: string): Promise<string> {
  const client = new DemoClient(mcpUrl, new ClientMemory(`client of ${login}`));
  await client.authorize(new Person({ login, password: PASSWORD }));
  const bearer = client.memory.current?.access_token;
  if (bearer === undefined) throw new Error(`${login} got no token`);
  return bearer;
}
