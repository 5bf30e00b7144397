import { createLog, type Log } from './base/log.ts';
import { nearestTo } from './base/nearest.ts';
import { ownRevision, VERSION } from './base/version.ts';
import { type Command, EXIT, type ExitCode } from './command/command.ts';
import { withInstalledPlaces } from './command/installed.ts';
import { USAGE, type UsedCommand, usageText } from './command/usage.ts';
import { settingsHelp } from './config/help.ts';

interface CommandEntry {
  /** Undefined for what is no command for people. */
  readonly help: string | undefined;
  /** Loaded when it is run: a `--help` needs none of the program's parts. */
  readonly load: () => Promise<Command>;
  /** True for what an administrator does with an installed broker, whose places need no flag. */
  readonly operates?: boolean;
}

const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  serve: {
    help: 'serve until SIGTERM (the default)',
    load: async () => (await import('./command/serve.ts')).serve,
  },
  sessions: {
    help: 'list the sessions of the broker that runs; --login, --client, --json',
    load: async () => (await import('./command/sessions.ts')).sessions,
    operates: true,
  },
  grants: {
    help: 'list what people have allowed clients; --login, --client, --json',
    load: async () => (await import('./command/grants.ts')).grants,
    operates: true,
  },
  revoke: {
    help: 'end one of them at once: --grant ID, --session ID, or all of --login LOGIN',
    load: async () => (await import('./command/revoke.ts')).revoke,
    operates: true,
  },
  reload: {
    help: 'have the broker that runs read its settings again; tells what has changed',
    load: async () => (await import('./command/reload.ts')).reload,
    operates: true,
  },
  doctor: {
    help: 'look at all that a connection needs and say what to do; --login FILE signs in, --json',
    load: async () => (await import('./command/doctor.ts')).doctor,
    operates: true,
  },
  backup: {
    help: 'copy the store, running or not; --directory, --keep, --json',
    load: async () => (await import('./command/backup.ts')).backup,
    operates: true,
  },
  restore: {
    help: 'put a backup in the place of the store of a stopped broker',
    load: async () => (await import('./command/restore.ts')).restore,
    operates: true,
  },
  'rotate-key': {
    help: 'make a new store key and have the broker that runs seal everything with it',
    load: async () => (await import('./command/rotate-key.ts')).rotateKey,
    operates: true,
  },
  demo: {
    help: 'a broker with a small Forgejo and a small child on loopback; --once walks through it',
    load: async () => (await import('./command/demo.ts')).demo,
  },
  'demo-child': {
    help: undefined,
    load: async () => (await import('./command/demo-child.ts')).demoChild,
  },
};

const DEFAULT_COMMAND = 'serve';

/** Runs the command that the arguments name and gives the exit code of the process. */
async function main(argv: readonly string[], control: ProcessControl): Promise<ExitCode> {
  const [first = DEFAULT_COMMAND] = argv;
  if (argv.includes('--help') || argv.includes('-h')) return say(helpOf(first));
  if (argv.includes('--version')) return say(`fjmcp-broker ${VERSION} (${ownRevision()})\n`);
  const isNamed = !first.startsWith('-');
  const name = isNamed ? first : DEFAULT_COMMAND;
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry === undefined) {
    const known = commandsForPeople().map((entry) => entry[0]);
    const near = nearestTo(name, known);
    const meant = near === undefined ? '' : `Is ${near} meant?\n`;
    process.stderr.write(
      `fjmcp-broker: there is no command "${name}"; there are: ${known.join(', ')}\n${meant}`,
    );
    return EXIT.badConfiguration;
  }
  const command = await entry.load();
  return command({
    argv: isNamed ? argv.slice(1) : argv,
    env: entry.operates === true ? withInstalledPlaces(process.env) : process.env,
    print: (text) => process.stdout.write(text),
    printError: (text) => process.stderr.write(text),
    readInput: () => Bun.stdin.text(),
    stopAsked: control.stopAsked,
    onHangUp: (run) => process.on('SIGHUP', run),
    useLog: control.useLog,
  });
}

interface ProcessControl {
  readonly stopAsked: Promise<string>;
  readonly useLog: (log: Log) => void;
  readonly log: () => Log;
}

/**
 * Listens to what ends the process from outside. The first signal asks for an orderly end, a second
 * one ends at once; a failure that nobody caught is logged and ends it too, since what it left
 * behind is unknown.
 */
function controlProcess(): ProcessControl {
  let log = createLog({ level: 'info', format: 'json' });
  const { promise, resolve } = Promise.withResolvers<string>();
  let asked = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (asked) process.exit(EXIT.failed);
      asked = true;
      resolve(signal);
    });
  }
  for (const stream of [process.stdout, process.stderr]) {
    // Who reads the log may go away (a restarted journal, `| head`); people's sessions go on.
    stream.on('error', () => undefined);
  }
  for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
    process.on(event, (err: unknown) => {
      log.error('process.failed', { err });
      process.exit(EXIT.failed);
    });
  }
  return {
    stopAsked: promise,
    log: () => log,
    useLog: (next) => {
      log = next;
    },
  };
}

function say(text: string): ExitCode {
  process.stdout.write(text);
  return EXIT.stopped;
}

/** Behind a command, its own help; else all there is. */
function helpOf(command: string): string {
  return Object.hasOwn(USAGE, command) ? usageText(command as UsedCommand) : helpText();
}

function helpText(): string {
  const commands = commandsForPeople().map(([name, help]) => `  ${name.padEnd(12)}${help}`);
  return [
    `fjmcp-broker ${VERSION}: signs MCP clients in with Forgejo and gives each a forgejo-mcp.`,
    '',
    'Usage: fjmcp-broker [COMMAND] [--flag VALUE ...] | --help | --version',
    '',
    ...commands,
    '',
    'fjmcp-broker COMMAND --help tells the flags of a command.',
    '',
    settingsHelp(),
    'Exit codes: 0 stopped as asked, 1 failed, 2 wrong configuration.',
    '',
  ].join('\n');
}

function commandsForPeople(): readonly (readonly [name: string, help: string])[] {
  return Object.entries(COMMANDS).flatMap(([name, { help }]) =>
    help === undefined ? [] : [[name, help] as const],
  );
}

if (import.meta.main) {
  const control = controlProcess();
  try {
    process.exit(await main(process.argv.slice(2), control));
  } catch (err) {
    control.log().error('process.failed', { err });
    process.exit(EXIT.failed);
  }
}
