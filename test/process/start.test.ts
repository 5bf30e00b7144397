import { afterAll, afterEach, beforeAll, describe, expect, it } from 'bun:test';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { STORE_KEY_BYTES } from '../../app/base/keyring.ts';
import { systemRandom } from '../../app/base/secret.ts';
import {
  type BrokerProcess,
  type Launch,
  type Stage,
  setStage,
} from '../support/broker-process.ts';
import { fixtureCommand } from '../support/fixture-supervisor.ts';
import { RawClient } from '../support/raw-client.ts';
import { accessTokenOf } from '../support/sign-in.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await setStage({ childCommand: fixtureCommand() });
});

afterAll(async () => {
  await stage.end();
});

async function outcome(launch: Launch): Promise<{ process: BrokerProcess; code: number | null }> {
  const process = stage.spawn(launch);
  return { process, code: (await process.exited).code };
}

/** Asserts that the process ended with 1 and one sentence, and gives the sentence. */
async function refusal(launch: Launch): Promise<string> {
  const { process, code } = await outcome(launch);
  const { reason } = process.log('process.not_started')[0] ?? {};
  expect({ code, output: process.output }).toMatchObject({ code: 1 });
  expect(process.log('process.failed')).toEqual([]);
  expect(String(reason)).toMatch(/^[A-Z].*[.]$/);
  expect(process.output).not.toMatch(/\bat .*\.ts:\d+/);
  return String(reason);
}

describe('a start with missing or wrong settings', () => {
  it('names every missing setting at once, in each of its spellings, and exits with 2', async () => {
    const missing = [
      'PUBLIC_URL',
      'FORGEJO_URL',
      'FORGEJO_CLIENT_ID',
      'FORGEJO_CLIENT_SECRET_FILE',
      'STORE_PATH',
      'STORE_KEY_FILE',
    ];
    const settings = Object.fromEntries(missing.map((name) => [name, undefined]));
    const { process, code } = await outcome({ settings });
    expect(code).toBe(2);
    const lines = process.output.trim().split('\n');
    expect(lines).toHaveLength(missing.length);
    for (const name of missing) {
      const key = name.toLowerCase();
      const line = lines.find((text) => text.includes(`FJMCP_${name}`)) ?? '';
      expect(line).toStartWith('fjmcp-broker: ');
      expect(line).toContain(`--${key.replaceAll('_', '-')}`);
      expect(line).toContain(key);
    }
    expect(process.output).toContain('head -c 32 /dev/urandom');
  });

  it('names every wrong setting at once, whichever way it was given, and exits with 2', async () => {
    const config = join(stage.directory, 'wrong.toml');
    writeFileSync(config, 'max_sesions = 5\nchild_command = "a \'b c\'"\n');
    const { process, code } = await outcome({
      settings: {
        CONFIG: config,
        PUBLIC_URL: 'http://example.org',
        MAX_SESSIONS: '0',
        SESSION_IDLE_TIMEOUT: 'soon',
        STORE_KEY_FILE: join(stage.directory, 'absent.key'),
        LOG_LEVEL: 'loud',
      },
      arguments: ['--max-body', '1TiB', '--no-such-flag', 'x'],
    });
    expect(code).toBe(2);
    for (const name of [
      'max_sesions',
      'FJMCP_CHILD_COMMAND',
      'FJMCP_PUBLIC_URL',
      'FJMCP_MAX_SESSIONS',
      'FJMCP_SESSION_IDLE_TIMEOUT',
      'FJMCP_STORE_KEY_FILE',
      'FJMCP_LOG_LEVEL',
      'FJMCP_MAX_BODY',
      '--no-such-flag',
    ]) {
      expect(process.output).toContain(name);
    }
    expect(process.output.trim().split('\n')).toHaveLength(9);
  });

  it('leaves no store behind', async () => {
    const path = join(stage.directory, 'never', 'store.sqlite');
    await outcome({ settings: { STORE_PATH: path, MAX_BODY: 'much' } });
    expect(readdirSync(stage.directory)).not.toContain('never');
  });
});

describe('a start that fails', () => {
  it('tells that the store is a file of something else', async () => {
    const path = join(stage.directory, 'a-letter');
    writeFileSync(path, 'Dear broker,\n'.repeat(1000), { mode: 0o600 });
    expect(await refusal({ settings: { STORE_PATH: path } })).toContain(path);
  });

  it('tells that the store lies where nothing can be written', async () => {
    const blocked = join(stage.directory, 'a-file');
    writeFileSync(blocked, '');
    const path = join(blocked, 'store.sqlite');
    expect(await refusal({ settings: { STORE_PATH: path } })).toContain(path);
  });

  it('tells that nobody can listen there', async () => {
    // Addresses for documentation (RFC 5737): no machine has one.
    const sentence = await refusal({ settings: { LISTEN: '192.0.2.1:8080' } });
    expect(sentence).toContain('192.0.2.1:8080');
    expect(sentence).toContain('FJMCP_LISTEN');
  });
});

describe('a second broker', () => {
  let first: BrokerProcess;
  let client: RawClient;

  beforeAll(async () => {
    first = await stage.start();
    client = new RawClient(stage.mcpUrl, await accessTokenOf(stage.mcpUrl));
    await client.initialize();
  });

  /** Whatever the second one tried, the first goes on, its sessions too. */
  afterEach(async () => {
    expect((await client.call('echo')).status).toBe(200);
    expect(first.log('store.failed')).toEqual([]);
  });

  it('on the same port refuses and says why', async () => {
    const STORE_PATH = join(stage.directory, 'other', 'store.sqlite');
    const sentence = await refusal({ settings: { STORE_PATH } });
    expect(sentence).toContain(new URL(stage.origin).host);
    expect(sentence).toContain('--listen');
    expect(sentence).toContain('EADDRINUSE');
  });

  it('on the same store refuses and says why, before it changes anything there', async () => {
    const sentence = await refusal({ settings: { LISTEN: '127.0.0.1:0' } });
    expect(sentence).toContain('Another broker');
    expect(sentence).toContain(stage.storePath);
  });
});

describe('a broker on the store of another', () => {
  it('refuses a store that was made for another forge, or with another key', async () => {
    const STORE_PATH = join(stage.directory, 'foreign', 'store.sqlite');
    const LISTEN = '127.0.0.1:0';
    const owner = await stage.start({ settings: { STORE_PATH, LISTEN } });
    owner.kill('SIGTERM');
    expect((await owner.exited).code).toBe(0);

    const FORGEJO_URL = 'https://forge.example';
    const otherForge = await refusal({ settings: { STORE_PATH, LISTEN, FORGEJO_URL } });
    expect(otherForge).toContain(FORGEJO_URL);
    const STORE_KEY_FILE = join(stage.directory, 'other.key');
    writeFileSync(STORE_KEY_FILE, systemRandom(STORE_KEY_BYTES));
    chmodSync(STORE_KEY_FILE, 0o600);
    const otherKey = await refusal({ settings: { STORE_PATH, LISTEN, STORE_KEY_FILE } });
    expect(otherKey).toContain('key');
  });

  it('goes on with a store whose directory is there already', async () => {
    const directory = join(stage.directory, 'prepared');
    mkdirSync(directory, { mode: 0o700 });
    const STORE_PATH = join(directory, 'store.sqlite');
    const broker = await stage.start({ settings: { STORE_PATH, LISTEN: '127.0.0.1:0' } });
    expect(readdirSync(directory)).toContain('store.sqlite');
    broker.kill('SIGTERM');
    expect((await broker.exited).code).toBe(0);
  });
});
