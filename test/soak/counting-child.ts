/**
 * A child that writes down what it executes: every tool appends its key to the file of `--log`
 * before anything else, so that a call that was run twice stands there twice, whoever died then.
 */
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

interface Request {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: {
    readonly protocolVersion?: string;
    readonly name?: string;
    readonly arguments?: { readonly key?: string; readonly ms?: number };
    readonly _meta?: { readonly progressToken?: string | number };
  };
}

const PROGRESS_EVERY_MS = 150;

const { values: flags } = parseArgs({
  options: {
    log: { type: 'string', default: '/dev/null' },
    url: { type: 'string', default: '' },
  },
});

for await (const line of createInterface({ input: process.stdin })) receive(JSON.parse(line));
process.exit(0);

function receive(request: Request): void {
  const { id, method, params = {} } = request;
  if (id === undefined) return;
  if (method === 'initialize') {
    const { protocolVersion } = params;
    const serverInfo = { name: 'counting-child', version: '1.0.0' };
    answer(id, { protocolVersion, capabilities: { tools: {} }, serverInfo });
  } else if (method === 'tools/call') {
    void run(id, params);
  } else if (method === 'ping') {
    answer(id, {});
  } else {
    say({ id, error: { code: -32601, message: 'method not found' } });
  }
}

async function run(id: string | number, params: NonNullable<Request['params']>): Promise<void> {
  const { key = '', ms = 0 } = params.arguments ?? {};
  appendFileSync(flags.log, `${key}\n`);
  switch (params.name) {
    case 'die':
      process.exit(1);
      break;
    case 'wait':
      await waitTelling(ms, params._meta?.progressToken);
      text(id, { key, pid: process.pid });
      break;
    case 'whoami':
      text(id, { key, pid: process.pid, login: await login() });
      break;
    default:
      text(id, { key, pid: process.pid });
  }
}

async function waitTelling(ms: number, progressToken: string | number | undefined): Promise<void> {
  for (let waited = 0; waited < ms; waited += PROGRESS_EVERY_MS) {
    if (progressToken !== undefined) {
      say({ method: 'notifications/progress', params: { progressToken, progress: waited } });
    }
    await Bun.sleep(Math.min(PROGRESS_EVERY_MS, ms - waited));
  }
}

/** Whose token this child has, as Forgejo says; the status when it refuses the token. */
async function login(): Promise<string> {
  const response = await fetch(`${flags.url}/api/v1/user`, {
    headers: { authorization: `Bearer ${process.env.FORGEJO_ACCESS_TOKEN}` },
  });
  if (!response.ok) return `refused with ${response.status}`;
  const user: unknown = await response.json();
  return typeof user === 'object' && user !== null && 'login' in user ? String(user.login) : '?';
}

function text(id: string | number, value: unknown): void {
  answer(id, { content: [{ type: 'text', text: JSON.stringify(value) }] });
}

function answer(id: string | number, result: unknown): void {
  say({ id, result });
}

function say(message: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
}
