import { afterAll, beforeAll, describe, expect, it, setDefaultTimeout } from 'bun:test';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileProgram, PROGRAM } from '../../release/compile.ts';
import { type BrokerProcess, type Stage, setStage } from '../support/broker-process.ts';
import { RawClient } from '../support/raw-client.ts';
import { accessTokenOf } from '../support/sign-in.ts';

// The program is compiled once, which takes some seconds of a busy machine.
setDefaultTimeout(120_000);

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const REVISION = 'c0ffee'.repeat(6);

let directory = '';
let program = '';

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-release-test-'));
  await compileProgram({
    ...{ root: ROOT, directory, version: '9.8.7', revision: REVISION },
    architecture: process.arch === 'arm64' ? 'arm64' : 'x64',
    // The one that runs here: what is looked at is the bundle in it.
    runtime: { path: process.execPath, version: Bun.version },
  });
  program = join(directory, PROGRAM);
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function run(argv: readonly string[], cwd = directory) {
  const env = { PATH: '/usr/bin:/bin', HOME: directory };
  const child = Bun.spawn([program, ...argv], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { stdout, stderr, code: await child.exited };
}

describe('the compiled program', () => {
  it('knows its version and the revision of its sources', async () => {
    expect((await run(['--version'])).stdout).toBe(`fjmcp-broker 9.8.7 (${REVISION})\n`);
  });

  it('has no path of the machine that built it', () => {
    expect(readFileSync(program).includes(ROOT)).toBe(false);
  });

  it('obeys no file of the directory that it is started in', async () => {
    const hostile = join(directory, 'hostile');
    mkdirSync(hostile);
    const proof = join(hostile, 'proof');
    const preload = `require('node:fs').writeFileSync(${JSON.stringify(proof)}, '')`;
    writeFileSync(join(hostile, 'preload.js'), preload);
    writeFileSync(join(hostile, 'bunfig.toml'), 'preload = ["./preload.js"]\n');
    writeFileSync(join(hostile, '.env'), 'FJMCP_PUBLIC_ULR=https://hostile.example\n');
    writeFileSync(join(hostile, 'package.json'), '{ "imports": { "#x": "./preload.js" } }');
    const { stderr, code } = await run(['serve'], hostile);
    expect(code).toBe(2);
    // A variable that it took from there would be told as a misspelt one.
    expect(stderr).not.toContain('ULR');
    expect(existsSync(proof)).toBe(false);
  });

  it('walks through the whole demo by itself, its own child included', async () => {
    const { stdout, code } = await run(['demo', '--once']);
    expect(stdout).toContain('all steps done');
    expect(code).toBe(0);
  });
});

describe('the compiled program, serving', () => {
  let stage: Stage;
  let broker: BrokerProcess;

  beforeAll(async () => {
    const demoChild = ['demo-child', '--transport', 'stdio', '--url', '{forgejo_url}'];
    const settings = { CHILD_SANDBOX: 'auto' };
    stage = await setStage({ childCommand: [program, ...demoChild], settings });
    broker = await stage.start({ program: [program] });
  });

  afterAll(async () => {
    await stage.end();
  });

  it('has made its store: the migrations are in it', () => {
    expect(existsSync(stage.storePath)).toBe(true);
  });

  it('signs a person in and carries a call, its child in a sandbox where there is one', async () => {
    const client = new RawClient(stage.mcpUrl, await accessTokenOf(stage.mcpUrl));
    expect((await client.initialize()).status).toBe(200);
    const answer = await client.call('get_my_user_info');
    expect(await answer.text()).toContain('alice');
  });

  it('tells health, version and revision', async () => {
    const health = await (await fetch(`${stage.origin}/healthz`)).json();
    expect(health).toEqual({ status: 'ok', version: '9.8.7', git: REVISION });
  });

  it('serves the API reference and its files, which are in it', async () => {
    for (const [path, type] of [
      ['/docs', 'text/html'],
      ['/docs/openapi.json', 'application/json'],
      ['/docs/assets/swagger-ui-bundle.js', 'text/javascript'],
      ['/docs/assets/swagger-ui.css', 'text/css'],
      ['/docs/assets/start.js', 'text/javascript'],
    ] as const) {
      const answer = await fetch(`${stage.origin}${path}`);
      expect([path, answer.status, answer.headers.get('content-type')?.split(';')[0]]).toEqual([
        ...[path, 200, type],
      ]);
      expect((await answer.text()).length).toBeGreaterThan(200);
    }
  });

  it('answers its own commands', async () => {
    const { stdout, code } = await run(['sessions', '--store-path', stage.storePath, '--json']);
    expect(code).toBe(0);
    expect(stdout).toContain('alice');
  });

  it('stops with exit code 0 when it is asked to', async () => {
    broker.kill('SIGTERM');
    expect(await broker.exited).toEqual({ code: 0, signal: null });
  });
});
