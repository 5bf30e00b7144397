import { afterEach, beforeEach, expect, it } from 'bun:test';
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findSandbox } from '../../app/child/find-sandbox.ts';
import { parentDeathPrefix } from '../../app/child/process-group.ts';
import { bwrap, describeWith, type Requirement, root } from '../support/requirements.ts';

/** The user of a service: not root, and owner of no file here. */
const SERVICE_USER = '65534';
const CANARY = 'canary-in-an-environment';

const rootWithBwrap: Requirement = {
  name: bwrap.name,
  present: root.present && bwrap.present,
  sentence: root.present ? bwrap.sentence : root.sentence,
};

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-lock-'));
  chmodSync(directory, 0o755);
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A program that root owns, with this mode. */
function install(name: string, mode: number): string {
  const path = join(directory, name);
  copyFileSync(`/bin/${name}`, path);
  chmodSync(path, mode);
  return path;
}

function asService(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const user = ['--reuid', SERVICE_USER, '--regid', SERVICE_USER, '--clear-groups'];
  // setpriv still has root's capabilities when it starts the next program (measured), and who could
  // read the file anyway locks nothing; `env` has none any more.
  return Bun.spawn(['setpriv', ...user, '--no-new-privs', '--', 'env', ...argv], {
    env: { PATH: '/usr/bin:/bin', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** What another process of the same user reads of the environment of one that runs `program`. */
async function spied(program: string, prefix: readonly string[] = []): Promise<string> {
  const holder = asService([...prefix, program, '60'], { TOKEN: CANARY });
  try {
    while (!(await Bun.file(`/proc/${holder.pid}/cmdline`).text()).startsWith(program)) {
      await Bun.sleep(5);
    }
    return await new Response(asService(['cat', `/proc/${holder.pid}/environ`]).stdout).text();
  } finally {
    holder.kill('SIGKILL');
    await holder.exited;
  }
}

describeWith(root, 'the second lock: a program that its user may run and not read (0711)', () => {
  it('keeps the environment of a child from other programs of the same user', async () => {
    expect(await spied(install('sleep', 0o711))).toBe('');
  });

  it('keeps it behind setpriv too, as a broker without a sandbox starts children', async () => {
    expect(await spied(install('sleep', 0o711), parentDeathPrefix() ?? [])).toBe('');
  });

  it('is what keeps it: with 0755 everything can be read', async () => {
    expect(await spied(install('sleep', 0o755))).toContain(CANARY);
  });
});

describeWith(rootWithBwrap, 'the second lock and the sandbox', () => {
  it('go together: the program runs in it, for a user who cannot read it', async () => {
    const program = install('printenv', 0o711);
    const sandbox = findSandbox({ mode: 'bwrap', program, paths: [] });
    if (!sandbox.ok || sandbox.value.kind !== 'bwrap') throw new Error('there is a sandbox');
    const inside = asService([...sandbox.value.prefix, program, 'TOKEN'], { TOKEN: CANARY });
    expect(await new Response(inside.stdout).text()).toBe(`${CANARY}\n`);
  });
});
