import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import packageJson from '../../../package.json' with { type: 'json' };
import { must } from './command.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** The release of this checkout, one after it, and two after that which are no good. */
export const VERSIONS = {
  current: packageJson.version,
  next: '99.1.0',
  /** Ends at once when it shall serve. */
  crashing: '99.2.0',
  /** Runs and never says that it is ready. */
  silent: '99.3.0',
} as const;
export type Release = keyof typeof VERSIONS;

/** What the installer asks for by default, and what the suite gives it. */
export const FORGEJO_MCP_VERSION = '2.34.1';
export const FORGEJO_MCP_FOLDER = 'forgejo-mcp';

/**
 * Makes a folder of each release below `directory`, as a web server offers it, and one with a
 * release of forgejo-mcp: the real one where `FORGEJO_MCP_BIN` names it, else the demo's child.
 */
export async function makeReleases(directory: string, say: (text: string) => void): Promise<void> {
  mkdirSync(directory, { recursive: true });
  for (const release of ['current', 'next'] as const) {
    say(`making release ${VERSIONS[release]}`);
    await must(
      [
        ...[process.execPath, 'release/main.ts', '--arch', architecture()],
        ...['--version', VERSIONS[release], '--out', join(directory, release)],
      ],
      { cwd: ROOT },
    );
  }
  await makeBroken(directory, 'crashing', 'exit 1');
  await makeBroken(directory, 'silent', 'exec sleep infinity');
  await makeForgejoMcp(join(directory, FORGEJO_MCP_FOLDER));
}

export function architecture(): 'x64' | 'arm64' {
  return process.arch === 'arm64' ? 'arm64' : 'x64';
}

/** The name of an archive without its ending. */
export function archiveName(release: Release): string {
  return `fjmcp-broker-${VERSIONS[release]}-linux-${architecture()}`;
}

/** The next release with a program that serves like that; all else of it works. */
async function makeBroken(directory: string, release: Release, serve: string): Promise<void> {
  const folder = join(directory, release);
  const work = join(folder, 'work');
  mkdirSync(work, { recursive: true });
  const next = join(directory, 'next', `${archiveName('next')}.tar.gz`);
  await must(['tar', '-C', work, '-xf', next]);
  const name = archiveName(release);
  renameSync(join(work, archiveName('next')), join(work, name));
  const program = join(work, name, 'fjmcp-broker');
  renameSync(program, `${program}.good`);
  const script = [
    '#!/bin/sh',
    'case $1 in',
    `  serve) ${serve} ;;`,
    `  --version) echo "fjmcp-broker ${VERSIONS[release]} (broken)" ;;`,
    '  *) exec "$(dirname "$(readlink -f "$0")")/fjmcp-broker.good" "$@" ;;',
    'esac',
  ];
  writeFileSync(program, `${script.join('\n')}\n`, { mode: 0o755 });
  const files = 'find . -type f ! -name SHA256SUMS -printf "%P\\0" | sort -z | xargs -0 sha256sum';
  const sums = await must(['sh', '-c', files], { cwd: join(work, name) });
  writeFileSync(join(work, name, 'SHA256SUMS'), sums);
  const archive = join(folder, `${name}.tar.gz`);
  // Fast: nobody downloads it over a slow line.
  await must(['tar', '-C', work, '-I', 'gzip -1', '--owner=0', '--group=0', '-cf', archive, name]);
  rmSync(work, { recursive: true });
  writeFileSync(join(folder, 'SHA256SUMS'), await sumLine(folder, `${name}.tar.gz`));
  copyFileSync(join(directory, 'next', 'install.sh'), join(folder, 'install.sh'));
}

/** Names and shapes are those of forgejo-mcp's own releases: an archive with one directory inside. */
async function makeForgejoMcp(folder: string): Promise<void> {
  const arch = architecture() === 'x64' ? 'amd64' : 'arm64';
  const name = `forgejo-mcp_${FORGEJO_MCP_VERSION}_linux_${arch}`;
  const inside = join(folder, name);
  mkdirSync(inside, { recursive: true });
  const program = join(inside, 'forgejo-mcp');
  const real = process.env.FORGEJO_MCP_BIN;
  if (real !== undefined && real !== '') copyFileSync(real, program);
  else {
    const source = join(ROOT, 'app/demo/child.ts');
    await must([process.execPath, 'build', '--compile', source, '--outfile', program]);
  }
  const archive = `${name}.tar.gz`;
  await must(['tar', '-C', folder, '-I', 'gzip -1', '-cf', join(folder, archive), name]);
  rmSync(inside, { recursive: true });
  const sums = join(folder, `forgejo-mcp_${FORGEJO_MCP_VERSION}_checksums.txt`);
  writeFileSync(sums, await sumLine(folder, archive));
}

async function sumLine(folder: string, file: string): Promise<string> {
  const digest = new Bun.CryptoHasher('sha256').update(readFileSync(join(folder, file)));
  return `${digest.digest('hex')}  ${file}\n`;
}
