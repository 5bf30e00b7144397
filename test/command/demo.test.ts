import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientMemory, DemoClient } from '../../app/demo/client.ts';
import { Person } from '../../app/demo/person.ts';

const PROGRAM = Bun.fileURLToPath(new URL('../../app/main.ts', import.meta.url));
const CHILD = Bun.fileURLToPath(new URL('../../app/demo/child.ts', import.meta.url));
const RUN_MS_MAX = 60_000;
const SYSTEM_PATH = '/usr/bin:/bin';

const STEPS = [
  'challenge',
  'discover and register',
  'consent and sign in',
  'exchange the code',
  'open a session',
  'list tools',
  'call a tool',
  'refresh',
  'call it again',
  'revoke',
  'be refused',
];

/** Whatever begins like a credential: of ours, of Forgejo's codes and secrets, of its JWTs. */
const CREDENTIAL = /fjmcp_(at|rt|ac|cs)_|\bgt[aor]_|eyJ[\w-]{10,}\.|[Bb]earer [\w-]{20,}/;

let directory = '';
/** Where the demo keeps what it keeps; empty when it has ended. */
let temporary = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-demo-test-'));
  temporary = join(directory, 'tmp');
  mkdirSync(temporary);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return Bun.spawn([process.execPath, PROGRAM, 'demo', ...args], {
    cwd: directory,
    env: { PATH: SYSTEM_PATH, HOME: directory, TMPDIR: temporary, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const demo = start(args, env);
  const [stdout, stderr, code] = await Promise.all([
    new Response(demo.stdout).text(),
    new Response(demo.stderr).text(),
    demo.exited,
  ]);
  expect(stdout + stderr).not.toMatch(CREDENTIAL);
  expect(readdirSync(temporary)).toEqual([]);
  return { code, stdout, stderr, steps: stepsOf(stdout) };
}

function stepsOf(stdout: string): string[] {
  return [...stdout.matchAll(/^ok {2}(\S.*?) +\d+ ms {2}\S/gm)].map(([, step = '']) => step);
}

/** An executable that leaves a mark where it was started, and is the demo's child from then on. */
function markingProgram(folder: string): { readonly path: string; readonly mark: string } {
  mkdirSync(join(directory, folder));
  const path = join(directory, folder, 'forgejo-mcp');
  const mark = join(directory, folder, 'was-started');
  writeFileSync(path, `#!/bin/sh\n: > '${mark}'\nexec '${process.execPath}' '${CHILD}' "$@"\n`);
  chmodSync(path, 0o755);
  return { path, mark };
}

describe('demo, called wrongly', () => {
  it.each([
    ['an option that there is not', ['--bogus'], '--bogus'],
    ['a word that means nothing', ['walk'], 'walk'],
    ['a port that is no number', ['--port', 'http'], '--port'],
    ['port 0', ['--port', '0'], '--port'],
    ['port 65536', ['--port', '65536'], '--port'],
  ])(
    'exits with 2 for %s',
    async (_, args, named) => {
      const { code, stdout, stderr } = await run(args);
      expect(code).toBe(2);
      expect(stdout).toBe('');
      expect(stderr).toContain(named);
      expect(stderr).toContain('usage: demo [--once] [--port N]');
    },
    RUN_MS_MAX,
  );

  it(
    'exits with 1 and says why when its port is taken',
    async () => {
      const socket = { data: () => undefined };
      const taken = Bun.listen({ hostname: '127.0.0.1', port: 0, socket });
      try {
        const { code, stderr } = await run(['--once', '--port', String(taken.port)]);
        expect(code).toBe(1);
        expect(stderr).toContain(`Cannot listen on 127.0.0.1:${taken.port}`);
      } finally {
        taken.stop(true);
      }
    },
    RUN_MS_MAX,
  );
});

describe('demo --once', () => {
  it(
    'walks through every step, prints each with its time, and exits with 0',
    async () => {
      const { code, stdout, stderr, steps } = await run(['--once']);
      expect(stderr).toBe('');
      expect(steps).toEqual(STEPS);
      expect(stdout).toMatch(/\nall steps done in \d+ ms\n$/);
      expect(code).toBe(0);
    },
    RUN_MS_MAX,
  );

  it.each([
    ['fails', '/bin/false', 'gave no good answer'],
    ['is missing', '/nowhere/forgejo-mcp', 'cannot be started'],
    ['is missing, at the start', '/nowhere/forgejo-mcp', 'no session can start'],
  ])(
    'exits with 1 and names the step when the program %s',
    async (_, program, reason) => {
      const { code, stdout, stderr, steps } = await run(['--once'], { FORGEJO_MCP_BIN: program });
      expect(code).toBe(1);
      expect(steps).toEqual(STEPS.slice(0, STEPS.indexOf('open a session')));
      expect(stderr).toContain('failed at: open a session: ');
      expect(stderr).toContain(reason);
      expect(stdout).not.toContain('all steps done');
    },
    RUN_MS_MAX,
  );

  it(
    'takes the program of FORGEJO_MCP_BIN, else the forgejo-mcp on the PATH',
    async () => {
      const named = markingProgram('named');
      const found = markingProgram('found');
      const PATH = `${join(directory, 'found')}:${SYSTEM_PATH}`;
      const first = await run(['--once'], { FORGEJO_MCP_BIN: named.path, PATH });
      expect(first).toMatchObject({ code: 0, steps: STEPS });
      expect([existsSync(named.mark), existsSync(found.mark)]).toEqual([true, false]);
      const second = await run(['--once'], { PATH });
      expect(second).toMatchObject({ code: 0, steps: STEPS });
      expect(existsSync(found.mark)).toBe(true);
    },
    RUN_MS_MAX,
  );
});

describe('demo', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'gives an address and two logins that work, tells what happens, and stops on %s with 0',
    async (signal) => {
      const demo = start([]);
      const stderr = new Response(demo.stderr).text();
      const stdout = gather(demo.stdout);
      const welcome = await stdout.until('nothing is kept.');
      const mcpUrl = welcome.match(/^ {2}(http:\S+\/mcp)$/m)?.[1] ?? '';
      expect(welcome).toContain(`claude mcp add --transport http forgejo ${mcpUrl}`);
      const logins = [...welcome.matchAll(/^ {2}(\S+) \/ (\S+)$/gm)];
      expect(logins).toHaveLength(2);

      const memories: ClientMemory[] = [];
      for (const [, login = '', password = ''] of logins) {
        const client = new DemoClient(mcpUrl, new ClientMemory(`Client of ${login}`));
        memories.push(client.memory);
        await client.authorize(new Person({ login, password }));
        // Left open: the demo stops with sessions and their programs running.
        await client.connect();
      }
      demo.kill(signal);
      expect(await demo.exited).toBe(0);

      const output = (await stdout.all) + (await stderr);
      for (const [, login = ''] of logins) expect(output).toContain(`${login}: GET /api/v1/user`);
      expect(output).toContain('session.opened');
      expect(output).toContain('broker.stopped');
      expect(output).not.toMatch(CREDENTIAL);
      for (const { current, codeVerifier } of memories) {
        expect(current?.access_token).toStartWith('fjmcp_at_');
        for (const secret of [current?.access_token, current?.refresh_token, codeVerifier()]) {
          expect(output).not.toContain((secret ?? 'missing').replace(/^fjmcp_.._/, ''));
        }
      }
      expect(readdirSync(temporary)).toEqual([]);
    },
    RUN_MS_MAX,
  );
});

/** Reads a pipe to its end; `until` resolves with the text so far once it holds `mark`. */
function gather(pipe: ReadableStream<Uint8Array>) {
  let text = '';
  let more = Promise.withResolvers<void>();
  let ended = false;
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of pipe) {
      text += decoder.decode(chunk, { stream: true });
      more.resolve();
      more = Promise.withResolvers();
    }
    ended = true;
    more.resolve();
    return text;
  };
  return {
    all: read(),
    async until(mark: string): Promise<string> {
      while (!text.includes(mark)) {
        if (ended) throw new Error(`the output ended without "${mark}":\n${text}`);
        await more.promise;
      }
      return text;
    },
  };
}
