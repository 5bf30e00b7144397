/**
 * The least that can stand between HTTP and pipes in this runtime: a process per session, a line for
 * a body, the answer by its id. Nothing is checked, bounded, kept or renumbered: what this loses
 * against the pipe is the price of the runtime and the kernel, and what a bridge that does its work
 * loses against this is its own. Takes the child's command as arguments and prints its port.
 */
import { randomBytes } from 'node:crypto';

type Pending = Map<unknown, (line: string) => void>;

interface BareSession {
  readonly pending: Pending;
  readonly send: (line: string) => void;
  readonly end: () => void;
}

const SESSION_HEADER = 'mcp-session-id';

if (import.meta.main) {
  const sessions = new Map<string, BareSession>();
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const id = request.headers.get(SESSION_HEADER) ?? randomBytes(16).toString('hex');
      if (request.method === 'DELETE') {
        sessions.get(id)?.end();
        sessions.delete(id);
        return new Response(null, { status: 204 });
      }
      const session = sessions.get(id) ?? start(process.argv.slice(2));
      sessions.set(id, session);
      const text = await request.text();
      const message = JSON.parse(text) as { readonly id?: unknown };
      if (message.id === undefined) {
        session.send(text);
        return new Response(null, { status: 202 });
      }
      const { promise, resolve } = Promise.withResolvers<string>();
      session.pending.set(message.id, resolve);
      session.send(text);
      const headers = { 'content-type': 'application/json', [SESSION_HEADER]: id };
      return new Response(await promise, { headers });
    },
  });
  process.stdout.write(`${server.port}\n`);
}

function start(command: readonly string[]): BareSession {
  const child = Bun.spawn([...command], { stdin: 'pipe', stdout: 'pipe', stderr: 'ignore' });
  const pending: Pending = new Map();
  void readLines(child.stdout, pending);
  return {
    pending,
    send(line) {
      child.stdin.write(`${line}\n`);
      child.stdin.flush();
    },
    end: () => child.kill(),
  };
}

async function readLines(stdout: ReadableStream<Uint8Array>, pending: Pending): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stdout) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const { id } = JSON.parse(line) as { readonly id?: unknown };
      pending.get(id)?.(line);
      pending.delete(id);
    }
  }
}
