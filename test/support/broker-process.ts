import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { STORE_KEY_BYTES } from '../../app/base/keyring.ts';
import { newToken, systemRandom } from '../../app/base/secret.ts';
import { type DemoForge, type DemoForgeOptions, startDemoForge } from '../../app/demo/forge.ts';

const MAIN = Bun.fileURLToPath(new URL('../../app/main.ts', import.meta.url));
const CLIENT_ID = 'fjmcp-test';

export interface StageOptions {
  readonly forge?: Partial<DemoForgeOptions>;
  /** The argument vector of the children; `{forgejo_url}` stands for the forge's address. */
  readonly childCommand: readonly string[];
  /** Settings by their variable's name without `FJMCP_`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** One line of the broker's log. */
export type LogEntry = Readonly<Record<string, unknown>>;

/** A process of `bun app/main.ts serve`. */
export interface BrokerProcess {
  readonly pid: number;
  /** All that it has written to stdout and stderr so far. */
  readonly output: string;
  /** The lines of its log so far, with that event or all. */
  log(event?: string): LogEntry[];
  /** The lines of that event once there are `count`; throws when the process ends before. */
  logged(event: string, count?: number): Promise<LogEntry[]>;
  /** Closes the pipes that its output goes to. */
  stopReading(): Promise<void>;
  kill(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL' | 'SIGHUP'): void;
  /** Resolves when it has ended and its output was read. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
}

/** What a broker needs around it, and what outlives one: forge, settings, directory of the store. */
export interface Stage {
  readonly forge: DemoForge;
  readonly origin: string;
  readonly mcpUrl: string;
  readonly directory: string;
  /** Holds the store's files and nothing else. */
  readonly storeDirectory: string;
  readonly storePath: string;
  readonly storeKey: Uint8Array;
  readonly forgeClientSecret: string;
  /** Starts a broker and waits until it listens. */
  start(launch?: Launch): Promise<BrokerProcess>;
  /** Starts a broker and waits for nothing. */
  spawn(launch?: Launch): BrokerProcess;
  /** Kills what still runs and removes everything. */
  end(): Promise<void>;
}

export interface Launch {
  /** Settings for this process alone; undefined takes one away. */
  readonly settings?: Readonly<Record<string, string | undefined>>;
  readonly arguments?: readonly string[];
  /** The words that start the program; the one of the sources by default. */
  readonly program?: readonly string[];
  /** Words to put before the command, of a program that becomes it or waits for it. */
  readonly wrapper?: readonly string[];
}

/** Sets the stage. Its address is one that no other process of the machine takes by chance. */
export async function setStage(options: StageOptions): Promise<Stage> {
  const directory = mkdtempSync(join(tmpdir(), 'fjmcp-process-'));
  const hostname = loopbackAddress();
  const origin = `http://${hostname}:${freePort(hostname)}`;
  const forgeClientSecret = newToken(systemRandom);
  const storeKey = systemRandom(STORE_KEY_BYTES);
  const forge = await startDemoForge({
    clientId: CLIENT_ID,
    clientSecret: forgeClientSecret,
    redirectUris: [`${origin}/oauth/callback`],
    ...options.forge,
  });
  const files = writeFiles(directory, {
    storeKey,
    forgeClientSecret,
    // An array, since the path of a program may hold spaces.
    config: `child_command = ${JSON.stringify(options.childCommand)}\n`,
  });
  const storeDirectory = join(directory, 'store');
  const storePath = join(storeDirectory, 'store.sqlite');
  const settings = {
    CONFIG: files.config,
    LISTEN: new URL(origin).host,
    PUBLIC_URL: origin,
    FORGEJO_URL: forge.url,
    FORGEJO_CLIENT_ID: CLIENT_ID,
    FORGEJO_CLIENT_SECRET_FILE: files.forgeClientSecret,
    STORE_PATH: storePath,
    STORE_KEY_FILE: files.storeKey,
    // The fixtures' tools are not reviewed, so they need everything.
    DEFAULT_SCOPE: 'forgejo:delete',
    CHILD_SANDBOX: 'none',
    LOG_LEVEL: 'debug',
    ...options.settings,
  };
  const started: BrokerProcess[] = [];

  const spawn = (launch: Launch = {}): BrokerProcess => {
    const process = spawnBroker(directory, {
      ...launch,
      settings: { ...settings, ...launch.settings },
    });
    started.push(process);
    return process;
  };
  return {
    ...{ forge, origin, directory, storeDirectory, storePath, storeKey, forgeClientSecret },
    mcpUrl: `${origin}/mcp`,
    spawn,
    async start(launch) {
      const process = spawn(launch);
      await process.logged('broker.listening');
      return process;
    },
    async end() {
      for (const process of started) process.kill('SIGKILL');
      await Promise.all(started.map(({ exited }) => exited));
      await forge.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Starts the program with these settings and nothing else of this process's environment. */
export function spawnBroker(directory: string, launch: Launch): BrokerProcess {
  const env: Record<string, string> = { PATH: process.env.PATH ?? '', HOME: directory };
  for (const [name, value] of Object.entries(launch.settings ?? {})) {
    if (value !== undefined) env[`FJMCP_${name}`] = value;
  }
  const program = launch.program ?? [process.execPath, MAIN];
  const command = [...program, 'serve', ...(launch.arguments ?? [])];
  const child = Bun.spawn([...(launch.wrapper ?? []), ...command], {
    cwd: directory,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = gather([child.stdout, child.stderr]);
  const log = (event?: string) =>
    output
      .lines()
      .flatMap(asEntry)
      .filter((entry) => event === undefined || entry.event === event);
  return {
    pid: child.pid,
    get output() {
      return output.text();
    },
    log,
    async logged(event, count = 1) {
      for (;;) {
        const found = log(event);
        if (found.length >= count) return found;
        if (output.ended()) {
          throw new Error(`the broker has ended without ${event}:\n${output.text()}`);
        }
        await output.more();
      }
    },
    stopReading: async () => void (await output.close()),
    kill: (signal) => child.kill(signal),
    exited: child.exited.then(async () => {
      await output.end;
      const { exitCode: code, signalCode } = child;
      return { code, signal: signalCode === null ? null : String(signalCode) };
    }),
  };
}

/** Reads pipes to their ends; `more` resolves with the next bytes of any, and at the end. */
function gather(pipes: readonly ReadableStream<Uint8Array>[]) {
  let text = '';
  let ended = false;
  let next = Promise.withResolvers<void>();
  const wake = () => {
    next.resolve();
    next = Promise.withResolvers();
  };
  const readers = pipes.map((pipe) => pipe.getReader());
  const read = async (reader: (typeof readers)[number]) => {
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      wake();
    }
  };
  const end = Promise.all(readers.map(read)).then(() => {
    ended = true;
    wake();
  });
  return {
    text: () => text,
    lines: () => text.split('\n').slice(0, -1),
    more: () => next.promise,
    end,
    ended: () => ended,
    close: () => Promise.all(readers.map((reader) => reader.cancel())),
  };
}

function asEntry(line: string): LogEntry[] {
  try {
    return [JSON.parse(line) as LogEntry];
  } catch {
    return [];
  }
}

function writeFiles(
  directory: string,
  content: { storeKey: Uint8Array; forgeClientSecret: string; config: string },
) {
  const write = (name: string, data: string | Uint8Array) => {
    const path = join(directory, name);
    writeFileSync(path, data, { mode: 0o600 });
    chmodSync(path, 0o600);
    return path;
  };
  mkdirSync(join(directory, 'store'), { mode: 0o700 });
  return {
    storeKey: write('store.key', content.storeKey),
    forgeClientSecret: write('forge-client-secret', content.forgeClientSecret),
    config: write('config.toml', content.config),
  };
}

/** Any of 127/8: a broker that is started again must find its port free, and other tests use .0.0.1. */
function loopbackAddress(): string {
  const [a = 0, b = 0, c = 0] = systemRandom(3);
  return `127.${a}.${b}.${Math.max(2, Math.min(c, 254))}`;
}

function freePort(hostname: string): number {
  const probe = Bun.listen({ hostname, port: 0, socket: { data: () => undefined } });
  const { port } = probe;
  probe.stop(true);
  return port;
}
