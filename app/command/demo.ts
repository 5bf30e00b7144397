import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../base/clock.ts';
import { STORE_KEY_BYTES } from '../base/keyring.ts';
import { createLog } from '../base/log.ts';
import { newToken, systemRandom } from '../base/secret.ts';
import { StartFailure, startBroker } from '../broker.ts';
import type { Config } from '../config.ts';
import { DEMO_USERS, type DemoForge, startDemoForge } from '../demo/forge.ts';
import { StepFailure, walkOnce } from '../demo/once.ts';
import { type Command, type CommandContext, EXIT, type ExitCode } from './command.ts';
import { loadMachineConfig } from './load-config.ts';
import { ownProgram } from './own-program.ts';

const CLIENT_ID = 'fjmcp-demo';
const DEFAULT_PORT = 8080;
const CHILD_ARGUMENTS = ['--transport', 'stdio', '--url', '{forgejo_url}'];

/**
 * A broker, a small Forgejo and a child on loopback, without any configuration. Everything it keeps
 * lives in a temporary directory and is gone at the end. With `--once` it plays client and person
 * itself and exits with 0, or says which step failed.
 */
export const demo: Command = async (context) => {
  const options = readOptions(context);
  if (options === undefined) return EXIT.badConfiguration;
  const directory = mkdtempSync(join(tmpdir(), 'fjmcp-demo-'));
  try {
    return await run(context, options, directory);
  } catch (error) {
    if (!(error instanceof StartFailure)) throw error;
    context.printError(`fjmcp-broker demo: ${error.message}\n`);
    return EXIT.failed;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};

interface DemoOptions {
  readonly once: boolean;
  readonly port: number | undefined;
}

function readOptions(context: CommandContext): DemoOptions | undefined {
  try {
    const { values } = parseArgs({
      args: [...context.argv],
      options: { once: { type: 'boolean' }, port: { type: 'string' } },
    });
    const port = values.port === undefined ? undefined : Number(values.port);
    if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536)) {
      throw new Error('--port takes a number from 1 to 65535');
    }
    return { once: values.once === true, port };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    context.printError(`fjmcp-broker demo: ${reason}\n  usage: demo [--once] [--port N]\n`);
    return undefined;
  }
}

async function run(
  context: CommandContext,
  options: DemoOptions,
  directory: string,
): Promise<ExitCode> {
  // What a start warns of is meant for who serves people; these people are made up.
  const log = createLog({ level: options.once ? 'error' : 'info', format: 'pretty' });
  context.useLog(log);
  const port = options.port ?? (options.once ? freePort() : preferredPort());
  const origin = `http://127.0.0.1:${port}`;
  const clientSecret = newToken(systemRandom);
  const forge = await startDemoForge({
    clientId: CLIENT_ID,
    clientSecret,
    redirectUris: [`${origin}/oauth/callback`],
    onEvent: ({ kind, text }) => log.info(`forge.${kind}`, { text }),
  });
  try {
    const config = demoConfig(context, { directory, port, origin, clientSecret, forge });
    const broker = await startBroker(config, { log, clock: systemClock, random: systemRandom });
    if (options.once) log.setLevel('warn');
    try {
      if (options.once) return await once(context, `${broker.origin}/mcp`);
      context.print(welcome(broker.origin, forge.url, config.childCommand));
      await context.stopAsked;
      return EXIT.stopped;
    } finally {
      await broker.stop();
    }
  } finally {
    await forge.stop();
  }
}

/** The demo goes through the real configuration, so it cannot drift from what an admin writes. */
function demoConfig(
  context: CommandContext,
  demo: {
    readonly directory: string;
    readonly port: number;
    readonly origin: string;
    readonly clientSecret: string;
    readonly forge: DemoForge;
  },
): Config {
  const keyFile = join(demo.directory, 'store-key');
  writeFileSync(keyFile, systemRandom(STORE_KEY_BYTES), { mode: 0o600 });
  chmodSync(keyFile, 0o600);
  const configFile = join(demo.directory, 'config.toml');
  // An array, since the path of a program may hold spaces.
  writeFileSync(configFile, `child_command = ${JSON.stringify(childCommand(context))}\n`);
  const loaded = loadMachineConfig({
    argv: [],
    env: {
      PATH: context.env.PATH,
      FJMCP_CONFIG: configFile,
      FJMCP_LISTEN: `127.0.0.1:${demo.port}`,
      FJMCP_PUBLIC_URL: demo.origin,
      FJMCP_FORGEJO_URL: demo.forge.url,
      FJMCP_FORGEJO_CLIENT_ID: CLIENT_ID,
      FJMCP_FORGEJO_CLIENT_SECRET: demo.clientSecret,
      FJMCP_STORE_PATH: join(demo.directory, 'store.sqlite'),
      FJMCP_STORE_KEY_FILE: keyFile,
      // From source, the child would need to read the whole tree.
      FJMCP_CHILD_SANDBOX: 'none',
    },
  });
  if (!loaded.ok) throw new StartFailure(loaded.error.join('; '));
  const { warnings, ...config } = loaded.value;
  for (const warning of warnings) context.printError(`fjmcp-broker demo: ${warning}\n`);
  return config;
}

/** The real forgejo-mcp where there is one, else the demo's own child. */
function childCommand(context: CommandContext): string[] {
  const real =
    context.env.FORGEJO_MCP_BIN ?? Bun.which('forgejo-mcp', { PATH: context.env.PATH ?? '' });
  if (real !== null && real !== '') return [real, ...CHILD_ARGUMENTS];
  return [...ownProgram(), 'demo-child', ...CHILD_ARGUMENTS];
}

async function once(context: CommandContext, mcpUrl: string): Promise<ExitCode> {
  const [person] = DEMO_USERS;
  if (person === undefined) throw new Error('the demo has no people');
  const startedAt = performance.now();
  try {
    await walkOnce({
      mcpUrl,
      login: person.login,
      password: person.password,
      nowMs: () => performance.now(),
      report: ({ step, detail, tookMs }) => {
        context.print(`ok  ${step.padEnd(22)}${tookMs.toFixed(0).padStart(5)} ms  ${detail}\n`);
      },
    });
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    context.printError(`failed at: ${error.message}\n`);
    return EXIT.failed;
  }
  context.print(`all steps done in ${(performance.now() - startedAt).toFixed(0)} ms\n`);
  return EXIT.stopped;
}

function welcome(origin: string, forgeUrl: string, command: readonly string[]): string {
  const people = DEMO_USERS.map(({ login, password }) => `  ${login} / ${password}`);
  return [
    '',
    'The broker is running. Give this address to an MCP client:',
    '',
    `  ${origin}/mcp`,
    '',
    'For example:',
    `  claude mcp add --transport http forgejo ${origin}/mcp`,
    `  npx @modelcontextprotocol/inspector   (Streamable HTTP, ${origin}/mcp)`,
    '',
    `A small Forgejo answers at ${forgeUrl}. Sign in there as one of:`,
    ...people,
    '',
    `Each session gets its own process: ${command.join(' ')}`,
    `API reference: ${origin}/docs      health: ${origin}/healthz`,
    'Ctrl-C ends it; nothing is kept.',
    '',
    '',
  ].join('\n');
}

/** A port that nothing listens on now. */
function freePort(): number {
  const probe = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

/** The same address each time is kinder to clients that remember it. */
function preferredPort(): number {
  try {
    Bun.listen({
      hostname: '127.0.0.1',
      port: DEFAULT_PORT,
      socket: { data: () => undefined },
    }).stop(true);
    return DEFAULT_PORT;
  } catch {
    return freePort();
  }
}
