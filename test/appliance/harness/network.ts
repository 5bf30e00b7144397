import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must, run } from './command.ts';

/** Names of the small internet that a run plays; RFC 2606 keeps them out of the real one. */
export const NAMES = {
  downloads: 'get.example.test',
  forge: 'git.example.test',
  debian: 'deb.example.test',
  broker: 'mcp.example.test',
} as const;

/** An Ethernet switch of the run's own; this machine is plugged in with `address`. */
export interface Network {
  readonly address: string;
  /** A network namespace with one interface on the switch. It outlives what runs in it. */
  attach(name: string): Promise<Attachment>;
  remove(): Promise<void>;
}

export interface Attachment {
  readonly address: string;
  /** A path for `--network-namespace-path`. */
  readonly namespace: string;
  /** Pulls the plug, or puts it back. */
  plug(state: 'in' | 'out'): Promise<void>;
  detach(): Promise<void>;
}

const SUBNETS = 250;
const NOTE = '.network';

/**
 * Makes the switch with addresses of 198.18.0.0/15, which RFC 2544 sets aside for testing. Nothing
 * is routed to anywhere else, so a machine on it reaches only what the run offers. `directory`
 * remembers it until it is removed.
 */
export async function createNetwork(directory: string): Promise<Network> {
  const taken = await must(['ip', '-o', '-4', 'addr']);
  const numbers = Array.from({ length: SUBNETS }, (_, index) => (index + process.pid) % SUBNETS);
  const number = numbers.find((one) => !taken.includes(`198.18.${one}.`));
  if (number === undefined) throw new Error('all networks of 198.18.0.0/16 are taken');
  const bridge = `fjap${number}`;
  const address = `198.18.${number}.1`;
  const note = join(directory, `${bridge}${NOTE}`);
  writeFileSync(note, '');
  await must(['ip', 'link', 'add', bridge, 'type', 'bridge']);
  await must(['ip', 'addr', 'add', `${address}/24`, 'dev', bridge]);
  await must(['ip', 'link', 'set', bridge, 'up']);
  let attached = 0;
  return {
    address,
    async attach(name) {
      attached += 1;
      const namespace = `${bridge}-${name}`;
      const own = `198.18.${number}.${attached + 1}`;
      const wire = `${bridge}v${attached}`;
      const inside = ['ip', 'netns', 'exec', namespace, 'ip'];
      await must(['ip', 'netns', 'add', namespace]);
      const peer = ['peer', 'name', 'eth0', 'netns', namespace];
      await must(['ip', 'link', 'add', wire, 'type', 'veth', ...peer]);
      await must(['ip', 'link', 'set', wire, 'master', bridge, 'up']);
      await must([...inside, 'addr', 'add', `${own}/24`, 'dev', 'eth0']);
      await must([...inside, 'link', 'set', 'lo', 'up']);
      await must([...inside, 'link', 'set', 'eth0', 'up']);
      return {
        address: own,
        namespace: `/run/netns/${namespace}`,
        plug: async (state) => {
          await must(['ip', 'link', 'set', wire, state === 'in' ? 'up' : 'down']);
        },
        detach: async () => {
          await run(['ip', 'link', 'del', wire]);
          await run(['ip', 'netns', 'del', namespace]);
        },
      };
    },
    async remove() {
      await run(['ip', 'link', 'del', bridge]);
      rmSync(note);
    },
  };
}

/** The networks that a directory remembers, by the names of their switches. */
export function networksOf(directory: string): string[] {
  const notes = readdirSync(directory).filter((name) => name.endsWith(NOTE));
  return notes.map((name) => name.slice(0, -NOTE.length));
}
