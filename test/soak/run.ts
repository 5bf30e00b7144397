import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { STORE_KEY_BYTES } from '../../app/base/keyring.ts';
import { newToken, systemRandom } from '../../app/base/secret.ts';
import { type DemoForge, startDemoForge } from '../../app/demo/forge.ts';
import { freePort } from '../support/system.ts';
import { BrokerProcess } from './broker-process.ts';
import { breakBroker } from './chaos.ts';
import { Faults } from './faults.ts';
import { Chance } from './random.ts';
import { type Reading, readBroker } from './readings.ts';
import { heading, row, tailOf } from './report.ts';
import { SoakSession, type World } from './session.ts';
import { Tally } from './tally.ts';
import { verdict } from './verdict.ts';

export interface SoakOptions {
  readonly minutes: number;
  readonly sessions: number;
  readonly seed: number;
  readonly print: (line: string) => void;
}

const CHILD = Bun.fileURLToPath(new URL('./counting-child.ts', import.meta.url));
const CLIENT_ID = 'fjmcp-soak';
const TOKEN_ENDPOINT = '/login/oauth/access_token';
const SESSIONS_PER_PERSON = 5;
/** So short that the sweep renews all the time, and a child that is not replaced is found out. */
const FORGE_TOKEN_S = 120;
const MINUTE_MS = 60_000;
const SAMPLE_MS = 1_000;
/** What is not yet collected comes and goes by tens of megabytes; a leak stays. */
const MEMORY_EVERY_MS = 2_000;
/** Samples at the beginning and at the end of the last process that are compared. */
const COMPARED_MIN = 3;
const COMPARED_MAX = 30;
/** How long connections and children of the last moment may take to go. */
const SETTLE_MS_MAX = 30_000;

/** Runs it all and gives sentences about what is wrong; none when all is well. */
export async function runSoak(options: SoakOptions): Promise<readonly string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'fjmcp-soak-'));
  const port = freePort();
  const origin = `http://127.0.0.1:${port}`;
  const clientSecret = newToken(systemRandom);
  const people = Array.from(
    { length: Math.ceil(options.sessions / SESSIONS_PER_PERSON) },
    (_, n) => ({
      login: `person-${n}`,
      password: 'soaking',
    }),
  );
  const forge = await startDemoForge({
    clientId: CLIENT_ID,
    clientSecret,
    redirectUris: [`${origin}/oauth/callback`],
    users: people.map((person) => ({ ...person, fullName: person.login })),
    rotation: true,
    accessTtlS: FORGE_TOKEN_S,
  });
  const executions = join(directory, 'executions');
  writeFileSync(executions, '');
  const logFile = join(directory, 'broker.log');
  const env = brokerEnvironment({
    directory,
    port,
    origin,
    clientSecret,
    forge,
    executions,
    options,
  });
  const collector = join(directory, 'collector.sock');
  const broker = new BrokerProcess({ env, origin, logFile, collector });
  const personOf = (session: number) => people[session % people.length]?.login ?? '';
  const faults = new Faults(personOf);
  const ending = new AbortController();
  const world: World = {
    ...{ origin, mcpUrl: `${origin}/mcp`, faults, ending: ending.signal },
    tally: new Tally(faults, executions),
    chance: new Chance(options.seed),
    isChild: (pid) => readBroker(broker.pid, directory).children.includes(pid),
  };
  try {
    await broker.start();
    const sessions = Array.from({ length: options.sessions }, (_, number) => {
      const person = people[number % people.length] ?? { login: '', password: '' };
      return new SoakSession(number, person, world);
    });
    const wrong = await soak({ options, directory, broker, forge, world, sessions, ending });
    if (wrong.length === 0) rmSync(directory, { recursive: true, force: true });
    else options.print(`the broker's log: ${logFile}`);
    return wrong;
  } finally {
    await broker.end('SIGKILL');
    await forge.stop();
  }
}

interface Soak {
  readonly options: SoakOptions;
  readonly directory: string;
  readonly broker: BrokerProcess;
  readonly forge: DemoForge;
  readonly world: World;
  readonly sessions: readonly SoakSession[];
  readonly ending: AbortController;
}

async function soak(run: Soak): Promise<readonly string[]> {
  const { options, directory, broker, forge, world, sessions, ending } = run;
  const { tally, faults } = world;
  const read = () => readBroker(broker.pid, directory);
  const tell = (label: string, reading: Reading) => {
    const renewals = forge.count(TOKEN_ENDPOINT);
    options.print(row(label, reading, { tally, faults, renewals }));
  };
  // What a first request of each kind leaves open for good is no leak.
  for (const session of sessions) await session.signIn();
  await everyOne(sessions, async (session) => {
    await session.open();
    await session.count();
    await session.close();
  });
  const start = await settle(read, undefined);
  options.print(`seed ${options.seed}, ${sessions.length} sessions, ${options.minutes} minutes`);
  options.print(heading());
  tell('start', start);

  const startedAt = Date.now();
  const endsAt = startedAt + options.minutes * MINUTE_MS;
  await everyOne(sessions, (session) => session.open());
  const work = everyOne(sessions, (session) => session.run());
  const lastTokensAt = () => forge.requests.findLast(({ path }) => path === TOKEN_ENDPOINT)?.at;
  const lastBreakBy = startedAt + Math.max(MINUTE_MS / 2, (options.minutes * MINUTE_MS) / 2);
  const breaking = breakBroker(
    broker,
    world,
    lastTokensAt,
    Math.min(lastBreakBy, endsAt - MINUTE_MS / 2),
  ).catch((error: unknown) => {
    const now = Date.now();
    tally.failed('exit_code', -1, { from: now, to: now }, String(error));
  });
  const memory = await watch(run, { startedAt, endsAt, read, tell });
  ending.abort();
  await Promise.all([work, breaking]);
  await everyOne(sessions, (session) => session.close());
  const end = await settle(read, start);
  tell('end', end);
  const wrongEnd = await broker.end('SIGTERM');
  if (wrongEnd !== undefined) {
    tally.failed('exit_code', -1, { from: Date.now(), to: Date.now() }, wrongEnd);
  }
  for (const line of tailOf(tally)) options.print(line);
  const [early, late] = [memory.early.toFixed(1), memory.late.toFixed(1)];
  options.print(`memory after collections: ${early} MB early, ${late} MB late`);
  const { doubles, missing } = tally.executions();
  const { notInjected: errorsNotInjected, answered } = tally;
  return verdict({ start, end, memoryMb: memory, doubles, missing, errorsNotInjected, answered });
}

/** Watches until the end, tells of every minute, and gives the memory of the last broker process. */
async function watch(
  { broker, world }: Soak,
  {
    startedAt,
    endsAt,
    read,
    tell,
  }: {
    readonly startedAt: number;
    readonly endsAt: number;
    readonly read: () => Reading;
    readonly tell: (label: string, reading: Reading) => void;
  },
): Promise<{ readonly early: number; readonly late: number }> {
  let minute = 1;
  let pid = broker.pid;
  let since = startedAt;
  let measuredAt = startedAt;
  const samples: { readonly at: number; readonly rssMb: number }[] = [];
  while (Date.now() < endsAt) {
    await Bun.sleep(SAMPLE_MS);
    const from = Date.now();
    const isHealthy = (await broker.isHealthy('/healthz')) && (await broker.isHealthy('/readyz'));
    if (!isHealthy) world.tally.failed('health', -1, { from, to: Date.now() }, 'not healthy');
    if (pid !== broker.pid) {
      pid = broker.pid;
      since = Date.now();
      samples.length = 0;
    }
    if (Date.now() - measuredAt >= MEMORY_EVERY_MS && (await broker.collect())) {
      measuredAt = Date.now();
      samples.push({ at: measuredAt, rssMb: read().rssMb });
    }
    if (Date.now() - startedAt >= minute * MINUTE_MS && Date.now() < endsAt) {
      tell(`${minute} min`, read());
      minute += 1;
    }
  }
  tell('load ends', read());
  const earlyFrom = Math.max(startedAt + MINUTE_MS, since + MINUTE_MS / 2);
  const settled = samples.filter(({ at }) => at >= earlyFrom);
  const used = settled.length > 0 ? settled : samples;
  const count = Math.max(COMPARED_MIN, Math.min(COMPARED_MAX, Math.floor(used.length / 2)));
  return { early: lowest(used.slice(0, count)), late: lowest(used.slice(-count)) };
}

function lowest(samples: readonly { readonly rssMb: number }[]): number {
  return samples.length === 0 ? 0 : Math.min(...samples.map(({ rssMb }) => rssMb));
}

/** Waits until the reading is as `wanted`, or (undefined) the same twice without children. */
async function settle(read: () => Reading, wanted: Reading | undefined): Promise<Reading> {
  let before: Reading | undefined;
  const giveUpAt = Date.now() + SETTLE_MS_MAX;
  for (;;) {
    const now = read();
    const goal = wanted ?? before;
    const same = goal !== undefined && goal.descriptors.length === now.descriptors.length;
    if (same && now.children.length === 0 && now.zombies === 0) return now;
    if (Date.now() > giveUpAt) return now;
    before = now;
    await Bun.sleep(SAMPLE_MS);
  }
}

async function everyOne(
  sessions: readonly SoakSession[],
  run: (session: SoakSession) => Promise<unknown>,
): Promise<void> {
  await Promise.all(sessions.map(run));
}

function brokerEnvironment(made: {
  readonly directory: string;
  readonly port: number;
  readonly origin: string;
  readonly clientSecret: string;
  readonly forge: DemoForge;
  readonly executions: string;
  readonly options: SoakOptions;
}): Record<string, string> {
  const { directory, port, origin, clientSecret, forge, executions, options } = made;
  const keyFile = join(directory, 'store-key');
  writeFileSync(keyFile, systemRandom(STORE_KEY_BYTES), { mode: 0o600 });
  const configFile = join(directory, 'config.toml');
  const child = [process.execPath, '--smol', CHILD, '--log', executions, '--url', '{forgejo_url}'];
  writeFileSync(configFile, `child_command = ${JSON.stringify(child)}\n`);
  return {
    FJMCP_CONFIG: configFile,
    FJMCP_LISTEN: `127.0.0.1:${port}`,
    FJMCP_PUBLIC_URL: origin,
    FJMCP_FORGEJO_URL: forge.url,
    FJMCP_FORGEJO_CLIENT_ID: CLIENT_ID,
    FJMCP_FORGEJO_CLIENT_SECRET: clientSecret,
    FJMCP_STORE_PATH: join(directory, 'store.sqlite'),
    FJMCP_STORE_KEY_FILE: keyFile,
    FJMCP_MAX_SESSIONS: String(2 * options.sessions + 10),
    // What is kept for clients that come back fills up for as long: the default would look like a leak.
    FJMCP_MAX_STREAM_AGE: '30s',
    FJMCP_CHILD_SANDBOX: 'none',
    // Everybody here comes from one address, and asks more often than any client.
    FJMCP_RATE_LIMITS: 'off',
    FJMCP_MAX_SESSIONS_PER_USER: String(2 * SESSIONS_PER_PERSON),
    // Nobody has reviewed the tools of the counting child.
    FJMCP_DEFAULT_SCOPE: 'forgejo:delete',
    FJMCP_SESSION_IDLE_TIMEOUT: '15s',
    FJMCP_ACCESS_TOKEN_TTL: '60s',
    // One process killed half-way through a line of the log would make the next one unreadable.
    FJMCP_LOG_LEVEL: 'info',
  };
}
