import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { must, run } from './harness/command.ts';
import { rootImage } from './harness/image.ts';
import { networksOf } from './harness/network.ts';
import { makeReleases } from './harness/releases.ts';
import { PREPARED_VARIABLE, type Prepared } from './harness/workshop.ts';

/** Runs the suites of this folder on machines that it makes; arguments name some of the files. */
const TOOLS = {
  'systemd-nspawn': 'systemd-container',
  debootstrap: 'debootstrap',
  ip: 'iproute2',
  openssl: 'openssl',
  nsenter: 'util-linux',
};

const say = (text: string) => process.stdout.write(`${text}\n`);

if (import.meta.main) process.exit(await main(process.argv.slice(2)));

async function main(files: readonly string[]): Promise<number> {
  const missing = await provide();
  if (missing !== undefined) {
    say(missing);
    return test(files);
  }
  const directory = mkdtempSync(join(tmpdir(), 'fjmcp-appliance-'));
  try {
    return await test(files, await prepare(directory));
  } finally {
    await sweep(directory);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Installs what is not there; a sentence when that is not possible. */
async function provide(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'the appliance suites need root';
  const packages = Object.entries(TOOLS)
    .filter(([program]) => Bun.which(program) === null)
    .map(([, name]) => name);
  if (packages.length === 0) return undefined;
  if (Bun.which('apt-get') === null) return `the appliance suites need ${packages.join(', ')}`;
  say(`installing ${packages.join(', ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } as Record<string, string>;
  // The system's own daily run may hold the lock, and a mirror may drop a connection.
  const apt = ['apt-get', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=5', '-qq'];
  await run([...apt, 'update'], { env });
  await must([...apt, 'install', '-y', '--no-install-recommends', ...packages], { env });
  return undefined;
}

/** Ends what suites have left that were stopped in the middle: machines first, then their network. */
async function sweep(directory: string): Promise<void> {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (isMachineBelow(directory, pid)) process.kill(Number(pid), 'SIGKILL');
  }
  for (const bridge of networksOf(directory)) {
    const names = (await run(['ip', 'netns', 'list'])).stdout.match(/^\S+/gm) ?? [];
    for (const name of names.filter((one) => one.startsWith(`${bridge}-`))) {
      await run(['ip', 'netns', 'del', name]);
    }
    await run(['ip', 'link', 'del', bridge]);
  }
}

function isMachineBelow(directory: string, pid: string): boolean {
  try {
    const [program, ...words] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return program === 'systemd-nspawn' && words.some((word) => word.startsWith(`${directory}/`));
  } catch {
    return false;
  }
}

async function prepare(directory: string): Promise<Prepared> {
  const image = await rootImage(Date.now(), say);
  const releases = join(directory, 'releases');
  await makeReleases(releases, say);
  const hosts = join(directory, 'hosts');
  writeFileSync(hosts, '127.0.0.1 localhost\n');
  return { directory, image, releases, hosts };
}

/** What a command sees as /etc/hosts is a file of ours, so that it finds machines by their names. */
function withHosts(hosts: string): readonly string[] {
  const script = 'mount --bind "$0" /etc/hosts && exec "$@"';
  return ['unshare', '--mount', '--propagation', 'slave', 'sh', '-euc', script, hosts];
}

async function test(files: readonly string[], prepared?: Prepared): Promise<number> {
  const suites = files.length > 0 ? files : ['./test/appliance'];
  const argv = [process.execPath, 'test', ...suites];
  const child = Bun.spawn(prepared === undefined ? argv : [...withHosts(prepared.hosts), ...argv], {
    stdio: ['inherit', 'inherit', 'inherit'],
    env: { ...process.env, ...(prepared === undefined ? {} : variables(prepared)) },
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  return child.exited;
}

function variables(prepared: Prepared): Record<string, string> {
  // A name stands for another machine in each suite: nothing may be remembered.
  return {
    [PREPARED_VARIABLE]: JSON.stringify(prepared),
    BUN_CONFIG_DNS_TIME_TO_LIVE_SECONDS: '0',
  };
}
