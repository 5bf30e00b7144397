/**
 * A stdio MCP server that does on request what a bad child would do. Flags on the command line
 * change its life, tools change a single call. It knows nothing of a forge.
 */
import { closeSync, existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

const flags = new Set(process.argv.slice(2));
const received: string[] = [];
const asked = new Map<number, (answer: unknown) => void>();
let questions = 0;
let flooded = 0;

type Json = Record<string, unknown>;
type Tool = (args: Json) => unknown;

const never = new Promise<never>(() => undefined);

const TOOLS: Record<string, Tool> = {
  echo: (args) => args,
  slow: async ({ ms }) => Bun.sleep(Number(ms)),
  hang: () => never,
  /** Answers when there is a file at `path`. */
  wait_for_file: async ({ path }) => {
    while (!existsSync(String(path))) await Bun.sleep(5);
  },
  /** Is so busy that it reads nothing and sees no signal that it could handle. */
  spin: () => {
    for (;;);
  },
  /** Does what its token was not given for, in the ways that programs do it. */
  leak: () => {
    const token = String(process.env.FORGEJO_ACCESS_TOKEN);
    process.stderr.write(`token is ${token}\n`);
    process.stderr.write(`${JSON.stringify(process.env)}\n`);
    process.stderr.write(`\x1b[31mDEBUG\x1b[0m > Authorization: token ${token}\r\n`);
    process.stderr.write(`GET /api/v1/user?access_token=${token}&page=1\n`);
    process.stderr.write(`${'x'.repeat(3900)} ${token}\n`);
    process.stderr.write(`not finished: ${token}`);
    return {};
  },
  die: () => process.exit(3),
  /** What it can see of itself. */
  self: () => ({
    environment: process.env,
    argv: process.argv.slice(2),
    directory: process.cwd(),
    pid: process.pid,
    group: Number(statField(process.pid, 2)),
  }),
  received: () => received,
  /** Asks its parent and gives back the answer. */
  ask: ({ method }) => {
    questions += 1;
    write({ jsonrpc: '2.0', id: questions, method, params: {} });
    return new Promise((resolve) => asked.set(questions, resolve));
  },
  garbage: () => {
    process.stdout.write('not json at all\n\n{"jsonrpc":"2.0"}\n[]\n{"half":\n');
    process.stdout.write('{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}\n');
    process.stdout.write('{"jsonrpc":"2.0","id":99999,"result":{}}\n');
  },
  /** A line of exactly `bytes` bytes. */
  line: ({ bytes }) => process.stdout.write(`${'x'.repeat(Number(bytes))}\n`),
  stderr: ({ text, times }) => {
    for (let i = 0; i < Number(times ?? 1); i += 1) process.stderr.write(String(text));
  },
  /** Writes `text` again and again, as fast as the pipe takes it; without line feeds if endless. */
  flood: ({ to, text, endless }) => {
    const line = endless === true ? 'x' : `${text}\n`;
    const block = line.repeat(Math.ceil(65_536 / line.length));
    const pipe = to === 'stderr' ? process.stderr : process.stdout;
    const pump = (): void => {
      flooded += block.length;
      // Called when the pipe has taken it; `drain` is not told reliably.
      pipe.write(block, () => setImmediate(pump));
    };
    setImmediate(pump);
  },
  /** Characters that it has flooded with so far. */
  flooded: () => flooded,
  /** Reads nothing any more, from when it has answered. */
  deaf: () => void setTimeout(() => Bun.sleepSync(60_000), 10),
  /** Ignores what can be ignored from now on. */
  stubborn: () => {
    flags.add('--ignore-stdin-end');
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const) {
      process.on(signal, () => undefined);
    }
  },
  /** Closes its stdout without a word, and lives on. */
  mute: () => {
    const stdout = readlinkSync('/proc/self/fd/1');
    for (const name of readdirSync('/proc/self/fd')) {
      const fd = Number(name);
      // The runtime keeps a copy of it.
      if (linkOf(fd) === stdout) closeSync(fd);
    }
    return never;
  },
  /** Starts many processes that live on, each of which starts another; gives the first ones' pids. */
  forks: ({ count }) =>
    Array.from({ length: Number(count) }, () => {
      const stdio = ['ignore', 'inherit', 'inherit'] as const;
      const fork = Bun.spawn(['sh', '-c', 'sleep 60 & sleep 60'], { stdio: [...stdio] });
      fork.unref();
      return fork.pid;
    }),
  /** Answers, with lies, what it was not asked. */
  answers: ({ ids }) => {
    for (const id of ids as unknown[]) {
      write({ jsonrpc: '2.0', id, result: { structuredContent: 'a lie' } });
    }
  },
  /** Its answer is written here already, and once more when it returns. */
  answersTwice: () => {
    const { id } = JSON.parse(received.at(-1) ?? '{}');
    write({ jsonrpc: '2.0', id, result: { structuredContent: 'first' } });
  },
  /** Starts a process that lives on, and gives its pid. */
  grandchild: ({ escapes, holdsPipes }) => {
    const pipes = holdsPipes === true ? 'inherit' : 'ignore';
    const grandchild = Bun.spawn(['sleep', '60'], {
      stdio: ['ignore', pipes, pipes],
      detached: escapes === true,
    });
    grandchild.unref();
    return grandchild.pid;
  },
};

if (flags.has('--ignore-sigterm')) process.on('SIGTERM', () => undefined);
if (flags.has('--exit-at-start')) process.exit(7);
if (flags.has('--never-read')) {
  process.stdout.write('{"jsonrpc":"2.0","method":"notifications/reads_nothing"}\n');
  await Bun.sleep(60_000);
}
if (flags.has('--close-stdin')) {
  closeSync(0);
  process.stdout.write('{"jsonrpc":"2.0","method":"notifications/closed"}\n');
  await Bun.sleep(60_000);
}

const decoder = new TextDecoder();
let rest = '';
for await (const chunk of Bun.stdin.stream()) {
  const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) void take(line);
}
if (flags.has('--ignore-stdin-end')) await Bun.sleep(60_000);
process.exit(0);

async function take(line: string): Promise<void> {
  received.push(line);
  const message = JSON.parse(line) as Json & { id: number; params?: Json };
  if (typeof message.method !== 'string') {
    asked.get(message.id)?.(message);
    return;
  }
  if (message.id === undefined) return;
  if (message.method === 'initialize') await initialize(message);
  else if (message.method === 'tools/call') await call(message);
  else write({ jsonrpc: '2.0', id: message.id, result: {} });
}

async function initialize(message: Json & { params?: Json }): Promise<void> {
  if (flags.has('--hang-on-initialize')) return;
  if (flags.has('--refuse-initialize')) {
    write({ jsonrpc: '2.0', id: message.id, error: { code: -32602, message: 'not you' } });
    return;
  }
  const version = flags.has('--other-version') ? '1999-01-01' : message.params?.protocolVersion;
  const result = {
    protocolVersion: version,
    capabilities: { tools: {} },
    serverInfo: { name: 'fixture', version: '1' },
  };
  write({ jsonrpc: '2.0', id: message.id, result });
}

async function call(message: Json & { params?: Json }): Promise<void> {
  const tool = TOOLS[String(message.params?.name)];
  if (flags.has('--tell')) process.stderr.write(`called ${message.params?.name}\n`);
  const structuredContent = await tool?.((message.params?.arguments ?? {}) as Json);
  write({
    jsonrpc: '2.0',
    id: message.id,
    result: { structuredContent: structuredContent ?? null },
  });
}

function write(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** A field of /proc/PID/stat, counted from the state (0), which follows the program's name. */
function statField(pid: number, index: number): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[index];
}

function linkOf(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
