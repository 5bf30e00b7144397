/**
 * A stdio MCP server that tries, on request, what a child should not be able to do. Each tool gives
 * what came of it: the value that it was after, or the code of the error.
 */
import { dlopen, FFIType } from 'bun:ffi';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';

type Json = Record<string, unknown>;

const CLONE_NEWUSER = 0x10000000;
const PTRACE_ATTACH = 16;

const TOOLS: Record<string, (args: Json) => unknown> = {
  environment: () => process.env,
  read: ({ path }) => readFileSync(String(path), 'utf8'),
  list: ({ path }) => readdirSync(String(path)).sort(),
  write: ({ path, bytes }) => writeFileSync(String(path), 'x'.repeat(Number(bytes ?? 1))),
  make: ({ path }) => mkdirSync(String(path)),
  /** Everything about other processes that /proc tells. */
  processes: () => {
    const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
    return pids.map((pid) => attempt(() => readFileSync(`/proc/${pid}/environ`, 'utf8')));
  },
  namespaces: () => {
    const kinds = readdirSync('/proc/self/ns');
    return Object.fromEntries(kinds.map((kind) => [kind, readlinkSync(`/proc/self/ns/${kind}`)]));
  },
  /** The numbers of a process in /proc/self/status. */
  status: () => readFileSync('/proc/self/status', 'utf8'),
  signal: ({ pid, signal }) => process.kill(Number(pid), signal as NodeJS.Signals),
  connect: async ({ path }) => {
    const options = { unix: String(path), socket: { data: () => undefined } };
    (await Bun.connect(options)).end();
  },
  fetch: async ({ url }) => (await fetch(String(url))).text(),
  /** A user namespace of its own, in which it would have every capability. */
  namespace: () => libc().unshare(CLONE_NEWUSER),
  mount: () => libc().mount(text('none'), text('/tmp'), text('tmpfs'), 0n, null),
  /** A process in a session of its own, which no signal to the group reaches. */
  leaveBehind: () => {
    const argv = [
      process.execPath,
      '-e',
      'process.on("SIGTERM", () => 0); await Bun.sleep(60_000)',
    ];
    const left = Bun.spawn(argv, { stdio: ['ignore', 'inherit', 'inherit'], detached: true });
    left.unref();
    return left.pid;
  },
  /** Takes hold of the first process of its namespace, which should bury the others. */
  holdFirst: () => {
    if (!readFileSync('/proc/1/cmdline', 'utf8').includes('bwrap')) return 'not in a sandbox';
    return Number(libc().ptrace(PTRACE_ATTACH, 1, null, null));
  },
};

for await (const line of console) {
  // At the end of stdin comes an empty one.
  if (line === '') process.exit(0);
  const { id, params } = JSON.parse(line) as { id: number; params: Json };
  const tool = TOOLS[String(params.name)] as (args: Json) => unknown;
  const structuredContent = await attempt(() => tool(params.arguments as Json));
  process.stdout.write(
    `${JSON.stringify({ jsonrpc: '2.0', id, result: { structuredContent } })}\n`,
  );
}

function attempt(what: () => unknown): unknown {
  const code = (error: unknown): string =>
    error instanceof Error && 'code' in error ? String(error.code) : String(error);
  try {
    const outcome = what();
    if (!(outcome instanceof Promise)) return outcome ?? 'done';
    return outcome.then((value) => value ?? 'done', code);
  } catch (error) {
    return code(error);
  }
}

function libc() {
  const { i32, i64, u64, cstring, ptr } = FFIType;
  return dlopen('libc.so.6', {
    unshare: { args: [i32], returns: i32 },
    ptrace: { args: [i32, i32, ptr, ptr], returns: i64 },
    mount: { args: [cstring, cstring, cstring, u64, ptr], returns: i32 },
  }).symbols;
}

function text(of: string): Uint8Array {
  return new TextEncoder().encode(`${of}\0`);
}
