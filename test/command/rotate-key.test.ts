import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyIdOf, STORE_KEY_BYTES } from '../../app/base/keyring.ts';
import { systemRandom } from '../../app/base/secret.ts';
import { EXIT } from '../../app/command/command.ts';
import { rotateKey } from '../../app/command/rotate-key.ts';
import { runCommand } from '../support/run-command.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

let directory: string;
let socket: string;
let keyFile: string;
let previousFile: string;
let storeKey: Uint8Array;
let system: TestSystem | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-rotate-'));
  socket = join(directory, 'broker.control');
  keyFile = join(directory, 'store-key');
  previousFile = join(directory, 'store-previous-key');
  storeKey = systemRandom(STORE_KEY_BYTES);
  writeFileSync(keyFile, storeKey, { mode: 0o600 });
});

afterEach(async () => {
  await system?.stop();
  system = undefined;
  rmSync(directory, { recursive: true, force: true });
});

async function startBroker(): Promise<TestSystem> {
  system = await startSystem({ config: { controlSocketPath: socket, storeKey } });
  return system;
}

const keyOf = (path: string): Uint8Array => new Uint8Array(readFileSync(path));

const environment = () => ({
  FJMCP_CONTROL_SOCKET: socket,
  FJMCP_STORE_KEY_FILE: keyFile,
  FJMCP_STORE_PREVIOUS_KEY_FILE: previousFile,
});

const rotate = (argv: readonly string[] = [], env: Record<string, string> = environment()) =>
  runCommand(rotateKey, argv, env);

describe('rotate-key refuses, and leaves the files as they are,', () => {
  const untouched = () => {
    expect(keyOf(keyFile)).toEqual(storeKey);
    expect(existsSync(previousFile)).toBe(false);
  };

  it.each([
    [{ FJMCP_STORE_PREVIOUS_KEY_FILE: '' }, 'Name a file there, which need not exist'],
    [{ FJMCP_STORE_KEY_FILE: '' }, 'store_key_file): is missing'],
    [{ FJMCP_CONTROL_SOCKET: '' }, 'control_socket): is missing'],
  ])('settings that do not say enough: %p', async (change, part) => {
    const { exitCode, out, errors } = await rotate([], { ...environment(), ...change });
    expect([exitCode, out]).toEqual([EXIT.badConfiguration, '']);
    expect(errors).toContain(part);
    untouched();
  });

  it('flags that it does not know, with its usage', async () => {
    const { exitCode, errors } = await rotate(['--key', 'abc']);
    expect(exitCode).toBe(EXIT.badConfiguration);
    expect(errors).toContain('usage: fjmcp-broker rotate-key ');
    untouched();
  });

  it('when no broker runs', async () => {
    const { exitCode, errors } = await rotate();
    expect(exitCode).toBe(EXIT.failed);
    expect(errors).toContain(`No broker runs that listens on ${socket}`);
    untouched();
  });

  it('a key file that is not the one of the broker', async () => {
    await startBroker();
    storeKey = systemRandom(STORE_KEY_BYTES);
    writeFileSync(keyFile, storeKey);
    const { exitCode, errors } = await rotate();
    expect(exitCode).toBe(EXIT.failed);
    expect(errors).toContain(`${keyFile} holds ${keyIdOf(storeKey)}`);
    untouched();
  });

  it('a key file that others can read', async () => {
    await startBroker();
    chmodSync(keyFile, 0o644);
    expect((await rotate()).errors).toContain('open to other users');
    untouched();
  });
});

describe('rotate-key', () => {
  it('E13: seals all with a new key while people work, and each file is private', async () => {
    const running = await startBroker();
    const client = await running.connected();
    const { exitCode, out, errors } = await rotate();
    expect([exitCode, errors]).toEqual([EXIT.stopped, '']);
    const made = keyOf(keyFile);
    expect(made).toHaveLength(STORE_KEY_BYTES);
    expect(made).not.toEqual(storeKey);
    expect(keyOf(previousFile)).toEqual(storeKey);
    for (const path of [keyFile, previousFile]) expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory).sort()).toEqual([
      'broker.control',
      'broker.control.rotation.lock',
      'store-key',
      'store-previous-key',
    ]);
    expect(out).toContain(`sealed with the new key ${keyIdOf(made)}`);
    expect(out).toContain('2 values sealed anew');
    // The session goes on, and so does the grant.
    expect((await client.client.listTools()).tools.length).toBeGreaterThan(0);
    await client.refresh();
    const texts = [out, ...running.logLines].join('\n');
    for (const key of [storeKey, made]) {
      expect(texts).not.toContain(Buffer.from(key).toString('base64'));
      expect(texts).not.toContain(Buffer.from(key).toString('hex'));
    }
    expect(texts).toContain('"event":"key.adopted"');
    await client.close();
  });

  it('is done by one at a time: the other says so, and the keys are those of the first', async () => {
    await startBroker();
    const both = await Promise.all([rotate(), rotate()]);
    expect(both.map(({ exitCode }) => exitCode).toSorted()).toEqual([EXIT.stopped, EXIT.failed]);
    const other = both.find(({ exitCode }) => exitCode === EXIT.failed);
    expect(other?.errors).toBe('fjmcp-broker rotate-key: Another rotation goes on now.\n');
    expect(keyOf(previousFile)).toEqual(storeKey);
    expect(both.map(({ out }) => out).join()).toContain(`new key ${keyIdOf(keyOf(keyFile))}`);
  });

  it('is a matter of one key: the broker starts with the new one alone, sessions go on', async () => {
    const running = await startBroker();
    const client = await running.connected();
    await rotate();
    (running.config as { storeKey: Uint8Array }).storeKey = keyOf(keyFile);
    await running.restart();
    expect((await client.client.listTools()).tools.length).toBeGreaterThan(0);
    await client.refresh();
    await client.close();
  });

  it('repeats an answer that the key before has derived (E9)', async () => {
    const running = await startBroker();
    const client = await running.connected();
    const { refresh_token: first = '' } = client.memory.current ?? {};
    const refresh = async () => {
      const answer = await fetch(`${running.origin}/oauth/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'refresh_token',
          refresh_token: first,
          client_id: client.memory.information?.client_id ?? '',
        }),
      });
      return ((await answer.json()) as { refresh_token: string }).refresh_token;
    };
    const given = await refresh();
    const { out } = await rotate(['--json']);
    expect(JSON.parse(out)).toMatchObject({ successorsOfEarlierKeys: 1, unreadable: 0 });
    expect(await refresh()).toBe(given);
    await client.close();
  });

  it('goes on where it stopped: after the files were written, and after the broker has the key', async () => {
    await startBroker();
    const next = systemRandom(STORE_KEY_BYTES);
    writeFileSync(previousFile, storeKey, { mode: 0o600 });
    writeFileSync(keyFile, next, { mode: 0o600 });
    const { exitCode, out } = await rotate(['--json']);
    expect(exitCode).toBe(EXIT.stopped);
    expect(JSON.parse(out)).toMatchObject({ keyId: keyIdOf(next) });
    expect(keyOf(keyFile)).toEqual(next);
    expect(keyOf(previousFile)).toEqual(storeKey);
  });

  it('rotates again, and the previous key is the one between', async () => {
    const running = await startBroker();
    const client = await running.connected();
    await rotate();
    const second = keyOf(keyFile);
    expect(await rotate()).toMatchObject({ exitCode: EXIT.stopped });
    expect(keyOf(previousFile)).toEqual(second);
    expect(keyOf(keyFile)).not.toEqual(second);
    expect((await client.client.listTools()).tools.length).toBeGreaterThan(0);
    await client.close();
  });

  it('takes the credentials of systemd when no setting names a file', async () => {
    await startBroker();
    writeFileSync(previousFile, '', { mode: 0o600 });
    const env = { FJMCP_CONTROL_SOCKET: socket, CREDENTIALS_DIRECTORY: directory };
    expect(await rotate([], env)).toMatchObject({ exitCode: EXIT.stopped, errors: '' });
    expect(keyOf(previousFile)).toEqual(storeKey);
  });
});
