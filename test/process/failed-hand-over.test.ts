import { afterEach, beforeEach, describe, expect, it, setDefaultTimeout } from 'bun:test';
import { chmodSync, mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lockStore } from '../../app/store/lock.ts';
import { fixtureCommand } from '../support/fixture-supervisor.ts';
import { type HandOverStage, setHandOverStage } from '../support/hand-over-stage.ts';
import { isAlive, untilGone } from '../support/processes.ts';
import { RawSession } from '../support/raw-session.ts';
import { accessTokenOf } from '../support/sign-in.ts';
import { SteadyCallers } from '../support/steady-callers.ts';

// Real processes: on a busy machine each of many takes its time.
setDefaultTimeout(120_000);

let on: HandOverStage;
let token: string;

/** The path that the program is started by, as an installer makes it: a link that may be turned. */
const current = () => join(on.stage.directory, 'current');

beforeEach(async () => {
  on = await setHandOverStage(fixtureCommand(), ({ directory }) => {
    const link = join(directory, 'current');
    symlinkSync(process.execPath, link);
    return {
      // A shell replaces the first word of the broker's command line by the link.
      wrapper: ['/bin/sh', '-c', 'shift; exec "$0" "$@"', link],
      settings: { RATE_LIMITS: 'off', LOG_LEVEL: 'info' },
    };
  });
  token = await accessTokenOf(on.stage.mcpUrl);
});

afterEach(() => on.end());

/** Turns the link to a program of these lines, in one step as the installer does. */
function replaceProgram(...lines: readonly string[]): void {
  const program = join(on.stage.directory, `program-${Bun.randomUUIDv7()}`);
  writeFileSync(program, `#!/bin/sh\n${lines.join('\n')}\n`);
  chmodSync(program, 0o755);
  const next = `${current()}.next`;
  symlinkSync(program, next);
  renameSync(next, current());
}

/** Asserts that a reload fails, that no call was lost, and that the broker is the one it was. */
async function expectStays(reason: RegExp): Promise<void> {
  const callers = await SteadyCallers.open(on.stage.mcpUrl, token, 4);
  callers.start();
  await callers.answers(20);
  const { code, stderr } = await on.reload();
  expect(code).toBe(1);
  expect(stderr).toMatch(reason);
  await callers.answers(20);
  expect((await callers.stop()).others).toEqual([]);
  expect(on.proxy.faults).toEqual([]);
  expect(isAlive(on.broker.pid)).toBe(true);
  for (const pid of on.successors) expect(isAlive(pid)).toBe(false);
  expect(on.notify.heard.join()).not.toContain('MAINPID');
  expect(() => lockStore(on.stage.storePath)).toThrow('Another broker runs on the store');
}

describe('a reload', () => {
  it('hands over to the program that stands where this one was started', async () => {
    replaceProgram(`exec ${process.execPath} "$@"`);
    const { code, stdout, stderr } = await on.reload();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toStartWith('handed over to version');
    await untilGone(on.broker.pid);
    const session = await RawSession.open(on.stage.mcpUrl, token);
    await session.tool('echo');
  });

  it('reads only the settings while it is the same program', async () => {
    expect(await on.reload()).toMatchObject({ code: 0, stdout: 'nothing has changed\n' });
    const another = `${current()}.again`;
    symlinkSync(process.execPath, another);
    renameSync(another, current());
    expect(await on.reload()).toMatchObject({ code: 0, stdout: 'nothing has changed\n' });
    expect(on.successors).toEqual([]);
  });

  it('SIGHUP hands over too', async () => {
    replaceProgram(`exec ${process.execPath} "$@"`);
    on.broker.kill('SIGHUP');
    await on.broker.logged('handover.done');
    await untilGone(on.broker.pid);
  });
});

describe('a hand-over that fails leaves everything as it was', () => {
  it('when the new program ends at once', async () => {
    replaceProgram('exit 3');
    await expectStays(/did not take over: it ended with exit code 3/);
  });

  it('when there is no program any more', async () => {
    unlinkSync(current());
    await expectStays(/cannot be started/);
  });

  it('when the new program finds its settings wrong', async () => {
    const config = join(on.stage.directory, 'config.toml');
    writeFileSync(config, 'max_sesions = 5\n');
    replaceProgram(`exec ${process.execPath} "$@"`);
    await expectStays(/exit code 2/);
  });

  it('when the new program can start no child', async () => {
    writeFileSync(join(on.stage.directory, 'config.toml'), 'child_command = "/nowhere/at-all"\n');
    replaceProgram(`exec ${process.execPath} "$@"`);
    await expectStays(/exit code 1/);
    const [reason] = await on.broker.logged('process.not_started');
    expect(String(reason?.reason)).toContain('/nowhere/at-all cannot be run');
  });

  it('when the new program keeps its store elsewhere', async () => {
    mkdirSync(join(on.stage.directory, 'other'), { mode: 0o700 });
    const path = join(on.stage.directory, 'other', 'store.sqlite');
    replaceProgram(
      `FJMCP_CONTROL_SOCKET=${on.stage.storePath}.control FJMCP_STORE_PATH=${path}`,
      'export FJMCP_CONTROL_SOCKET FJMCP_STORE_PATH',
      `exec ${process.execPath} "$@"`,
    );
    await expectStays(/exit code 1/);
    const [reason] = await on.broker.logged('process.not_started');
    expect(String(reason?.reason)).toContain('keeps its store at');
  });

  it('when the new program is killed in the midst of it, and another one may follow', async () => {
    // It stops itself as soon as it runs, as if it hung.
    replaceProgram('kill -STOP $$', `exec ${process.execPath} "$@"`);
    const reload = on.reload();
    await on.broker.logged('handover.started');
    process.kill(on.successors[0] ?? 0, 'SIGKILL');
    expect(await reload).toMatchObject({ code: 1 });
    replaceProgram(`exec ${process.execPath} "$@"`);
    expect(await on.reload()).toMatchObject({ code: 0 });
  });
});
