import { afterAll, beforeAll, expect, it, setDefaultTimeout } from 'bun:test';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeWith, release } from '../support/requirements.ts';

// Each release is two compilations and 110 MB to pack.
setDefaultTimeout(300_000);

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const VERSION = '9.8.7';
const ARCHIVES = ['x64', 'arm64'].map((arch) => `fjmcp-broker-${VERSION}-linux-${arch}.tar.gz`);
/** Neither sources nor what is made of them. */
const LEFT_OUT = ['.git', 'dist', 'coverage'].map((name) => join(ROOT, name));
const isSource = (path: string) => !LEFT_OUT.includes(path);

let directory = '';
let first = '';

beforeAll(async () => {
  if (!release.present) return;
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-archive-'));
  first = join(directory, 'first');
  await must([process.execPath, `${ROOT}/release/main.ts`, ...flags(first)], ROOT);
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

function flags(out: string): string[] {
  return ['--version', VERSION, '--out', out];
}

async function must(argv: readonly string[], cwd: string): Promise<string> {
  const { output, code } = await attempt(argv, cwd);
  if (code !== 0) throw new Error(output);
  return output;
}

async function attempt(argv: readonly string[], cwd: string) {
  const env = { ...process.env, SOURCE_DATE_EPOCH: '1700000000' };
  const child = Bun.spawn([...argv], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { output: stdout + stderr, code: await child.exited };
}

describeWith(release, 'a release', () => {
  it('is two archives under 60 MB, the installer, and the digests of all', async () => {
    expect(readdirSync(first).sort()).toEqual([...ARCHIVES, 'install.sh', 'SHA256SUMS'].sort());
    for (const archive of ARCHIVES) {
      expect(statSync(join(first, archive)).size).toBeLessThan(60_000_000);
    }
    await must(['sha256sum', '--check', '--strict', 'SHA256SUMS'], first);
  });

  it('holds what docs/release.md says, owned by root, with a program for that processor', async () => {
    for (const [archive, machine] of [
      [ARCHIVES[0] ?? '', 0x3e],
      [ARCHIVES[1] ?? '', 0xb7],
    ] as const) {
      const name = archive.replace('.tar.gz', '');
      await must(['tar', '-xzf', join(first, archive)], directory);
      const folder = join(directory, name);
      expect(readdirSync(folder).sort()).toEqual(
        [
          ...['LICENSE', 'SHA256SUMS', 'apparmor', 'caddy', 'docs', 'fjmcp-broker', 'install.sh'],
          ...['licences', 'monitoring', 'sbom.cdx.json', 'systemd'],
        ].sort(),
      );
      await must(['sha256sum', '--check', '--strict', 'SHA256SUMS'], folder);
      // e_machine of the ELF header.
      expect(readFileSync(join(folder, 'fjmcp-broker')).readUInt16LE(18)).toBe(machine);
      const listed = await must(['tar', '-tvzf', join(first, archive)], directory);
      for (const line of listed.trimEnd().split('\n')) {
        expect(line).toMatch(/^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x) 0\/0 .* 2023-11-14 22:13 /);
      }
      const bill = JSON.parse(readFileSync(join(folder, 'sbom.cdx.json'), 'utf8'));
      const licences = readdirSync(join(folder, 'licences'));
      const packages = bill.components.slice(1) as { name: string; version: string }[];
      expect(packages.length).toBeGreaterThan(30);
      for (const one of packages) {
        expect(licences).toContain(`${one.name}@${one.version}`.replace('/', '+'));
      }
    }
  });

  it('is the same, byte for byte, when another copy of the sources is built elsewhere', async () => {
    const outs: string[] = [];
    for (const place of ['copy', 'another/copy of the sources']) {
      const root = join(directory, place);
      // Without the repository, so that neither knows a revision.
      cpSync(ROOT, root, { recursive: true, filter: isSource });
      outs.push(join(directory, `out-${outs.length}`));
      await must([process.execPath, `${root}/release/main.ts`, ...flags(outs.at(-1) ?? '')], root);
    }
    for (const file of [...ARCHIVES, 'SHA256SUMS']) {
      const bytes = outs.map((folder) => readFileSync(join(folder, file)));
      expect(bytes[0]?.equals(bytes[1] ?? new Uint8Array())).toBe(true);
    }
  });

  it('is refused in a sentence for an architecture, a version or a moment that is none', async () => {
    const main = `${ROOT}/release/main.ts`;
    for (const [words, sentence] of [
      [['--arch', 'x64,sparc'], 'there is no architecture "sparc"'],
      [['--version', '../1.0.0'], 'is no version such as'],
      [['--nonsense'], 'nonsense'],
    ] as const) {
      const { output, code } = await attempt([process.execPath, main, ...words], ROOT);
      expect(code).toBe(1);
      expect(output).toContain(sentence);
    }
  });
});
