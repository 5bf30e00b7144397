import {
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

const MOUNTS = '/sys/fs/cgroup';

/**
 * Control groups of a machine's own, in each hierarchy that lets us make one. In the groups of
 * another machine its systemd would see processes that it cannot name, and fail to kill.
 */
export interface ControlGroup {
  /** The words that put a command into the groups before it starts. */
  readonly enter: readonly string[];
  /** Takes the groups away; nothing may run in them any more. */
  remove(): void;
}

export function createControlGroup(name: string): ControlGroup {
  const groups = hierarchies().flatMap((hierarchy) => {
    const group = join(hierarchy, name);
    try {
      mkdirSync(group, { recursive: true });
      // An empty cpuset, for one, takes no process.
      writeFileSync(join(group, 'cgroup.procs'), '');
      return [group];
    } catch {
      return [];
    }
  });
  const script = 'for group in $0; do echo $$ > $group/cgroup.procs || true; done; exec "$@"';
  return {
    enter: ['sh', '-c', script, groups.join(' ')],
    remove() {
      for (const group of groups) removeGroup(group);
    },
  };
}

/** The roots of all hierarchies: one with version 2, one for each controller with version 1. */
function hierarchies(): string[] {
  if (existsSync(join(MOUNTS, 'cgroup.procs'))) return [MOUNTS];
  const names = readdirSync(MOUNTS).map((name) => realpathSync(join(MOUNTS, name)));
  return [...new Set(names)].filter((path) => existsSync(join(path, 'cgroup.procs')));
}

function removeGroup(group: string): void {
  try {
    for (const entry of readdirSync(group, { withFileTypes: true })) {
      if (entry.isDirectory()) removeGroup(join(group, entry.name));
    }
    rmdirSync(group);
  } catch {
    // Somebody is in it still; an empty group costs nothing.
  }
}
