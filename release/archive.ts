import { chmodSync, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import type { BundledPackage } from './bundled-packages.ts';
import { filesBelow, writeChecksums } from './checksums.ts';
import { PROGRAM } from './compile.ts';
import { ReleaseFailure } from './failure.ts';
import { writeLicences } from './licences.ts';
import { run } from './run.ts';

/** The name of the bill of materials in an archive. */
export const SOFTWARE_BILL = 'sbom.cdx.json';

/** What is taken from the sources as it is. */
const CARRIED = ['LICENSE', 'caddy', 'systemd', 'apparmor', 'monitoring'];
/** Pages for the administrator of a machine without a way to the internet. */
const PAGES = ['deploy.md', 'operations.md', 'security.md', 'metrics.md'];
const EXECUTABLE = new Set([PROGRAM, 'install.sh']);

/** Fills `directory`, in which the program lies already, with all else that an archive holds. */
export function fillArchive(
  directory: string,
  options: {
    readonly root: string;
    readonly packages: readonly BundledPackage[];
    readonly softwareBill: string;
    /** The text of install.sh. */
    readonly installer: string;
  },
): void {
  const { root, packages } = options;
  for (const name of CARRIED) carry(`${root}/${name}`, `${directory}/${name}`);
  writeFileSync(`${directory}/install.sh`, options.installer);
  mkdirSync(`${directory}/docs`);
  for (const name of PAGES) carry(`${root}/docs/${name}`, `${directory}/docs/${name}`);
  writeLicences(`${directory}/licences`, packages);
  writeFileSync(`${directory}/${SOFTWARE_BILL}`, options.softwareBill);
  // What a file's mode was in the sources, or what the umask is, makes no difference.
  for (const file of filesBelow(directory)) {
    chmodSync(`${directory}/${file}`, EXECUTABLE.has(file) ? 0o755 : 0o644);
  }
  writeChecksums(directory);
}

function carry(from: string, to: string): void {
  if (!existsSync(from)) throw new ReleaseFailure(`${from} is missing`);
  cpSync(from, to, { recursive: true });
}

/**
 * Packs `name`, a directory below `parent`, into `file`: sorted, owned by root, all of one moment, so
 * that the same content gives the same bytes. Takes GNU tar.
 */
export async function pack(
  parent: string,
  name: string,
  file: string,
  committedAt: number,
): Promise<void> {
  const same = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--format=ustar'];
  const tar = `${file}.tar`;
  const modes = ['--mode=u=rwX,go=rX', `--mtime=@${committedAt}`];
  await run(['tar', ...same, ...modes, '-C', parent, '-cf', tar, name], { cwd: parent });
  const bytes = await Bun.file(tar).bytes();
  writeFileSync(file, Bun.gzipSync(bytes, { library: 'libdeflate', level: 9 }), { mode: 0o644 });
  await Bun.file(tar).delete();
}
