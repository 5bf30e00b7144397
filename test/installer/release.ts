import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { filesBelow, writeChecksums } from '../../release/checksums.ts';
import { ELF_PROGRAM } from './machine.ts';

const SOURCES = fileURLToPath(new URL('../..', import.meta.url));
const ARCH = process.arch === 'arm64' ? 'arm64' : 'x64';
const GO_ARCH = process.arch === 'arm64' ? 'arm64' : 'amd64';
export const FORGEJO_MCP_VERSION = '9.8.7';

/** A folder with all that the installer downloads; the program in it is a few lines of shell. */
export interface FakeReleases {
  /** The folder of a version: SHA256SUMS, the archive, forgejo-mcp's own two files. */
  readonly folder: (version: string) => string;
  readonly archive: (version: string) => string;
  readonly close: () => void;
}

export function fakeReleases(versions: readonly string[]): FakeReleases {
  const directory = mkdtempSync(join(tmpdir(), 'fjr-'));
  for (const version of versions) build(directory, version);
  return {
    folder: (version) => join(directory, version),
    archive: archiveName,
    close: () => rmSync(directory, { recursive: true, force: true }),
  };
}

export const archiveName = (version: string) => `fjmcp-broker-${version}-linux-${ARCH}.tar.gz`;
export const mcpArchiveName = `forgejo-mcp_${FORGEJO_MCP_VERSION}_linux_${GO_ARCH}.tar.gz`;
export const mcpSumsName = `forgejo-mcp_${FORGEJO_MCP_VERSION}_checksums.txt`;

function build(directory: string, version: string): void {
  const folder = join(directory, version);
  const name = `fjmcp-broker-${version}-linux-${ARCH}`;
  const inside = join(folder, 'work', name);
  mkdirSync(inside, { recursive: true });
  writeFileSync(join(inside, 'fjmcp-broker'), program(version));
  chmodSync(join(inside, 'fjmcp-broker'), 0o755);
  for (const carried of ['install.sh', 'systemd', 'caddy', 'LICENSE']) {
    cpSync(join(SOURCES, carried), join(inside, carried), { recursive: true });
  }
  writeChecksums(inside);
  tar(join(folder, 'work'), name, join(folder, archiveName(version)));
  const mcp = join(folder, 'work', `forgejo-mcp_${FORGEJO_MCP_VERSION}`);
  mkdirSync(mcp);
  cpSync(ELF_PROGRAM, join(mcp, 'forgejo-mcp'), { dereference: true });
  tar(join(folder, 'work'), `forgejo-mcp_${FORGEJO_MCP_VERSION}`, join(folder, mcpArchiveName));
  rmSync(join(folder, 'work'), { recursive: true });
  writeFileSync(
    join(folder, mcpSumsName),
    `${digest(join(folder, mcpArchiveName))}  ${mcpArchiveName}\n`,
  );
  cpSync(join(SOURCES, 'install.sh'), join(folder, 'install.sh'));
  sealFolder(folder, version);
}

/** Writes the checksums of a release's folder anew. */
export function sealFolder(folder: string, version: string): void {
  const listed = filesBelow(folder).filter((file) =>
    [archiveName(version), 'install.sh'].includes(file),
  );
  const lines = listed.map((file) => `${digest(join(folder, file))}  ${file}\n`);
  writeFileSync(join(folder, 'SHA256SUMS'), lines.join(''));
}

const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

export function tar(parent: string, name: string, file: string): void {
  const { exitCode, stderr } = Bun.spawnSync(['tar', '-C', parent, '-czf', file, name]);
  if (exitCode !== 0) throw new Error(stderr.toString());
}

function program(version: string): string {
  return `#!/bin/sh
case $1 in
  --version) echo 'fjmcp-broker ${version} (test)' ;;
  --help) echo '  --metrics-listen FILE · FJMCP_METRICS_LISTEN · metrics_listen' ;;
  doctor) echo 'doctor: all is well' ;;
  *) exit 2 ;;
esac
`;
}

/** Serves a folder over loopback; `seen` are the paths that were asked for. */
export function serveFolder(folder: string): {
  readonly url: string;
  readonly seen: readonly string[];
  readonly stop: () => Promise<void>;
} {
  const seen: string[] = [];
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      seen.push(pathname);
      const file = Bun.file(join(folder, pathname));
      return (await file.exists()) ? new Response(file) : new Response('', { status: 404 });
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, seen, stop: () => server.stop(true) };
}
