import { must } from './command.ts';
import type { Machine } from './machine.ts';

/** Places that change by themselves while a machine runs, and `srv`, where tests keep their files. */
const RESTLESS = [
  ...['dev', 'proc', 'run', 'sys', 'srv', 'tmp', 'var/tmp', 'var/log', 'var/cache', 'root'],
  ...['var/lib/systemd', 'var/lib/apt', 'etc/machine-id', 'etc/.updated', 'var/.updated'],
];

export interface TreeOptions {
  /** Directories and files below the root to look at; by default everything. */
  readonly of?: readonly string[];
  /** More places to leave out. */
  readonly without?: readonly string[];
  /** Whether the time of the last change belongs to it; by default it does. */
  readonly times?: boolean;
}

/**
 * A line for each file of a machine: mode, owner, time of its last change, digest of its content or
 * target of its link. Two of them that are equal mean that nothing was written.
 */
export async function treeOf(machine: Machine, options: TreeOptions = {}): Promise<string[]> {
  const skip = [...RESTLESS, ...(options.without ?? [])];
  const prune = skip.flatMap((path, index) => [
    ...(index === 0 ? [] : ['-o']),
    '-path',
    `./${path}`,
  ]);
  const time = options.times === false ? '' : ' %T@';
  const wanted = (options.of ?? ['.']).map((path) => (path === '.' ? path : `./${path}`));
  const find = ['find', ...wanted, '-xdev', '(', ...prune, ')', '-prune', '-o'];
  const { root } = machine;
  const facts = await must([...find, '-printf', `%p %y %m %U:%G${time} %l\\n`], { cwd: root });
  const print = [...find, '-type', 'f', '-print0'].map((word) => `'${word}'`).join(' ');
  const digests = await must(['sh', '-c', `${print} | xargs -0r sha256sum`], { cwd: root });
  return [...facts.split('\n'), ...digests.split('\n')].filter((line) => line !== '').sort();
}

/** What the one has and the other has not, as a person reads a diff. */
export function difference(before: readonly string[], after: readonly string[]): string[] {
  const [had, has] = [new Set(before), new Set(after)];
  return [
    ...before.filter((line) => !has.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !had.has(line)).map((line) => `+ ${line}`),
  ];
}
