import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { type CommandOptions, must, type Outcome, run, succeeded } from './command.ts';
import { type ControlGroup, createControlGroup } from './control-group.ts';
import { type Attachment, NAMES, type Network } from './network.ts';

/** A virtual machine's worth of Debian 12 under systemd-nspawn, with a systemd of its own. */
export interface Machine {
  /** Its file system, as this machine sees it. */
  readonly root: string;
  readonly address: string;
  readonly network: Attachment;
  /** Runs a command inside as root, with nothing of this process's environment. */
  exec(argv: readonly string[], options?: CommandOptions): Promise<Outcome>;
  /** Runs a script of `sh -eu` inside. */
  shell(script: string, options?: CommandOptions): Promise<Outcome>;
  /** The stdout of a script that must end with 0. */
  must(script: string, options?: CommandOptions): Promise<string>;
  /** The id by which this machine knows a process of that one. */
  outerPid(pid: number): number;
  boot(): Promise<void>;
  /** Resolves when it is up again, after an orderly way down. */
  reboot(): Promise<void>;
  powerOff(): Promise<void>;
  /** Powers off and removes everything. */
  remove(): Promise<void>;
}

export interface MachineOptions {
  /** The tar of its first file system. */
  readonly image: string;
  readonly network: Network;
  /** Where its file system is put. */
  readonly directory: string;
  /** PEM; what its system trusts besides the public authorities. */
  readonly authority: string;
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** What nspawn exits with when the machine asked for a reboot. */
const REBOOT_CODE = 133;
const POLL_MS = 20;
const BOOT_MAX_MS = 60_000;

/** Unpacks a machine and boots it. */
export async function createMachine(name: string, options: MachineOptions): Promise<Machine> {
  mkdirSync(options.directory, { recursive: true });
  const root = mkdtempSync(join(options.directory, `${name}-`));
  await must(['tar', '--numeric-owner', '-C', root, '-xf', options.image]);
  const network = await options.network.attach(name);
  await furnish(root, options, network.address);
  const machine = new NspawnMachine(root, network);
  await machine.boot();
  return machine;
}

class NspawnMachine implements Machine {
  readonly root: string;
  readonly network: Attachment;
  readonly #group: ControlGroup;
  #running: { readonly leader: number; readonly exited: Promise<number> } | undefined;

  constructor(root: string, network: Attachment) {
    this.root = root;
    this.network = network;
    this.#group = createControlGroup(basename(root).toLowerCase());
  }

  get address(): string {
    return this.network.address;
  }

  async boot(): Promise<void> {
    const nspawn = Bun.spawn(
      [
        ...this.#group.enter,
        ...['systemd-nspawn', '--quiet', '--keep-unit', '--register=no'],
        ...[`--machine=${basename(this.root).toLowerCase()}`, '-D', this.root, '--boot'],
        ...[`--network-namespace-path=${this.network.namespace}`, '--resolv-conf=off'],
        ...['--timezone=off', '--console=pipe'],
      ],
      { stdio: ['ignore', Bun.file(`${this.root}.console`), Bun.file(`${this.root}.console`)] },
    );
    const state = { ended: false };
    const exited = nspawn.exited.then((code) => {
      state.ended = true;
      return code;
    });
    for (let waited = 0; waited < BOOT_MAX_MS && !state.ended; waited += POLL_MS) {
      const leader = leaderOf(nspawn.pid);
      if (leader !== undefined && (await isUp(leader))) {
        this.#running = { leader, exited };
        return;
      }
      await Bun.sleep(POLL_MS);
    }
    throw new Error(`the machine did not come up:\n${readFileSync(`${this.root}.console`)}`);
  }

  exec(argv: readonly string[], { env, cwd, ...options }: CommandOptions = {}): Promise<Outcome> {
    const leader = this.#running?.leader;
    if (leader === undefined) throw new Error('the machine is off');
    const variables = Object.entries({ PATH, HOME: '/root', LANG: 'C.UTF-8', ...env });
    // A session of its own: there is no terminal that a command could ask on.
    return run(
      [
        ...['nsenter', '-t', String(leader), '-m', '-u', '-i', '-n', '-p', '-C'],
        ...['setsid', '--wait', 'env', '-i', '-C', cwd ?? '/srv'],
        ...variables.map(([name, value]) => `${name}=${value}`),
        ...argv,
      ],
      options,
    );
  }

  shell(script: string, options?: CommandOptions): Promise<Outcome> {
    return this.exec(['sh', '-euc', script], options);
  }

  async must(script: string, options?: CommandOptions): Promise<string> {
    return succeeded(script, await this.shell(script, options));
  }

  outerPid(pid: number): number {
    const leader = this.#running?.leader;
    const found = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .find((outer) => isProcess(outer, pid, leader));
    if (found === undefined) throw new Error(`the machine has no process ${pid}`);
    return Number(found);
  }

  async reboot(): Promise<void> {
    const running = this.#running;
    if (running === undefined) throw new Error('the machine is off');
    await this.exec(['systemctl', 'reboot']);
    const code = await running.exited;
    this.#running = undefined;
    if (code !== REBOOT_CODE) throw new Error(`the machine went down with ${code}`);
    await this.boot();
  }

  async powerOff(): Promise<void> {
    if (this.#running === undefined) return;
    // SIGRTMIN+4: what asks systemd as process 1 to power off.
    await must(['kill', '-s', 'RTMIN+4', String(this.#running.leader)]);
    await this.#running.exited;
    this.#running = undefined;
  }

  async remove(): Promise<void> {
    await this.powerOff();
    await this.network.detach();
    this.#group.remove();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** The machine's process 1: the only child of nspawn. */
function leaderOf(pid: number): number | undefined {
  try {
    const [first = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    return first === '' ? undefined : Number(first);
  } catch {
    return undefined;
  }
}

/** Whether a process of ours is process `pid` for the machine of that leader. */
function isProcess(outer: string, pid: number, leader: number | undefined): boolean {
  try {
    const ids = readFileSync(`/proc/${outer}/status`, 'utf8').match(/^NSpid:\t(.*)$/m)?.[1];
    const space = (of: string | number | undefined) => readlinkSync(`/proc/${of}/ns/pid`);
    return ids?.split('\t').at(-1) === String(pid) && space(outer) === space(leader);
  } catch {
    // It has ended since the list was made.
    return false;
  }
}

async function isUp(leader: number): Promise<boolean> {
  const enter = ['nsenter', '-t', String(leader), '-a', 'systemctl', 'is-system-running'];
  const { stdout } = await run(enter);
  return ['running', 'degraded'].includes(stdout.trim());
}

/** What the company that rents the machine out would have set up: names, apt sources, authority. */
async function furnish(root: string, options: MachineOptions, own: string): Promise<void> {
  const { address } = options.network;
  const hosts = [
    '127.0.0.1 localhost',
    '::1 localhost ip6-localhost',
    ...[NAMES.downloads, NAMES.forge, NAMES.debian].map((name) => `${address} ${name}`),
    `${own} ${NAMES.broker}`,
  ];
  const write = (path: string, lines: readonly string[]) =>
    writeFileSync(join(root, path), `${lines.join('\n')}\n`);
  write('etc/hosts', hosts);
  write('etc/resolv.conf', []);
  write('etc/hostname', ['vm']);
  const base = `http://${NAMES.debian}`;
  write('etc/apt/sources.list', [
    `deb ${base}/debian bookworm main`,
    `deb ${base}/debian bookworm-updates main`,
    `deb ${base}/debian-security bookworm-security main`,
  ]);
  write('usr/local/share/ca-certificates/example-test.crt', [options.authority.trim()]);
  await must(['chroot', root, 'update-ca-certificates']);
}
