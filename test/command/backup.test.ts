import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { STORE_KEY_BYTES } from '../../app/base/keyring.ts';
import { systemRandom } from '../../app/base/secret.ts';
import { backup } from '../../app/command/backup.ts';
import { EXIT } from '../../app/command/command.ts';
import { restore } from '../../app/command/restore.ts';
import { runCommand } from '../support/run-command.ts';
import { startSystem, type TestSystem } from '../support/system.ts';

let directory: string;
let system: TestSystem | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-backup-'));
});

afterEach(async () => {
  await system?.stop();
  system = undefined;
  rmSync(directory, { recursive: true, force: true });
});

/** A broker whose key is in a file, and the environment that names its store and key. */
async function running() {
  const storeKey = systemRandom(STORE_KEY_BYTES);
  const storePath = join(directory, 'store.db');
  const keyFile = join(directory, 'store.key');
  writeFileSync(keyFile, storeKey, { mode: 0o600 });
  const started = await startSystem({ config: { storePath, storeKey } });
  system = started;
  const env = {
    FJMCP_STORE_PATH: storePath,
    FJMCP_STORE_KEY_FILE: keyFile,
    FJMCP_FORGEJO_URL: started.forge.url,
  };
  return { started, storePath, env };
}

describe('backup and restore', () => {
  it('bring a broker back as it was, tokens and sessions and all', async () => {
    const { started, storePath, env } = await running();
    const client = await started.connected();
    const made = await runCommand(backup, ['--json'], env);
    expect([made.exitCode, made.errors]).toEqual([EXIT.stopped, '']);
    const { path } = JSON.parse(made.out) as { path: string };
    expect(path).toStartWith(join(directory, 'backups', 'store-'));

    const tooEarly = await runCommand(restore, [path], env);
    expect(tooEarly.exitCode).toBe(EXIT.failed);
    expect(tooEarly.errors).toContain('Another broker runs on the store');

    await started.broker.stop();
    rmSync(storePath);
    const done = await runCommand(restore, [path], env);
    expect([done.exitCode, done.errors]).toEqual([EXIT.stopped, '']);
    expect(done.out).toStartWith('restored: 1 account, 1 grant, 1 session\n');
    await started.restart();
    expect((await client.client.listTools()).tools.length).toBeGreaterThan(0);
    await client.refresh();
    await client.close();
  });

  it('tells what is kept, where, and what went', async () => {
    const { env } = await running();
    const to = join(directory, 'elsewhere');
    for (const _ of [1, 2]) {
      const { out } = await runCommand(backup, ['--directory', to, '--keep', '1'], env);
      expect(out).toStartWith(join(to, 'store-'));
    }
    const { out } = await runCommand(backup, ['--directory', to, '--keep=1'], env);
    expect(out).toMatch(/ KiB\), 1 older one deleted\n$/);
  });

  it.each([
    [['--keep', '0'], '--keep takes a number from 1 to 10000.'],
    [['--keep', 'all'], '--keep takes a number from 1 to 10000.'],
    [['--keep', '10001'], '--keep takes a number from 1 to 10000.'],
    [['somewhere'], 'somewhere'],
    [['--everything'], '--everything'],
  ])('backup refuses %p with its usage, and exits 2', async (argv, part) => {
    const { exitCode, out, errors } = await runCommand(backup, argv, {});
    expect([exitCode, out]).toEqual([EXIT.badConfiguration, '']);
    expect(errors).toContain(part);
    expect(errors).toContain('usage: fjmcp-broker backup ');
  });

  it.each([
    [[], 'it is not said which backup.'],
    [['one', 'two'], '"two" is no flag of it.'],
    [['--all'], '--all'],
  ])('restore refuses %p with its usage, and exits 2', async (argv, part) => {
    const { exitCode, errors } = await runCommand(restore, argv, {});
    expect(exitCode).toBe(EXIT.badConfiguration);
    expect(errors).toContain(part);
    expect(errors).toContain('usage: fjmcp-broker restore BACKUP ');
  });

  it('exit 2 when nothing says which store is meant, and 1 when it is not there', async () => {
    for (const [command, argv] of [
      [backup, []],
      [restore, ['a-backup', '--without-key']],
    ] as const) {
      expect(await runCommand(command, argv)).toMatchObject({
        exitCode: EXIT.badConfiguration,
        errors: expect.stringContaining('(FJMCP_STORE_PATH, store_path): is missing'),
      });
      const env = { FJMCP_STORE_PATH: join(directory, 'store.db') };
      expect(await runCommand(command, argv, env)).toMatchObject({
        exitCode: EXIT.failed,
        out: '',
      });
    }
    expect(existsSync(join(directory, 'store.db'))).toBe(false);
  });

  it('restore wants to see the key, or to be told to do without', async () => {
    const env = { FJMCP_STORE_PATH: join(directory, 'store.db') };
    const { exitCode, errors } = await runCommand(restore, ['a-backup'], env);
    expect(exitCode).toBe(EXIT.badConfiguration);
    expect(errors).toContain('--without-key leaves it out');
  });

  it('leaves nothing of a copy for which there was no room, and older ones as they were', async () => {
    const { storePath, env } = await running();
    const before = await runCommand(backup, ['--json'], env);
    const { path } = JSON.parse(before.out) as { path: string };
    // Every file that the process writes ends at 16 KiB, as on a full disk; it needs no privilege.
    const main = Bun.fileURLToPath(new URL('../../app/main.ts', import.meta.url));
    const full = Bun.spawn(
      ['sh', '-c', 'ulimit -f 16; exec "$@"', '-', process.execPath, main, 'backup', '--keep=1'],
      { env: { ...env, PATH: '/usr/bin:/bin' }, stdout: 'pipe', stderr: 'pipe' },
    );
    expect(await full.exited).toBe(EXIT.failed);
    expect(await new Response(full.stderr).text()).toStartWith(
      `fjmcp-broker backup: The store ${storePath} was not copied: `,
    );
    expect(readdirSync(dirname(path))).toEqual([basename(path)]);
  });
});
