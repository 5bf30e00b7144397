import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundledPackages } from '../../release/bundled-packages.ts';
import { writeChecksums } from '../../release/checksums.ts';
import { writeLicences } from '../../release/licences.ts';
import { softwareBill } from '../../release/sbom.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const INPUTS = [
  'app/main.ts',
  'node_modules/pino/pino.js',
  'node_modules/pino/lib/tools.js',
  'node_modules/@elysiajs/swagger/dist/index.mjs',
];

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-bill-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A tree with one package in it, and a lock file that knows it. */
function treeWith(manifest: object, files: readonly string[], lock: string): string {
  const folder = join(directory, 'node_modules/thing');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  for (const file of files) writeFileSync(join(folder, file), 'text');
  writeFileSync(join(directory, 'bun.lock'), lock);
  return directory;
}

const THING = { name: 'thing', version: '1.0.0', license: 'MIT' };
const LOCK = '    "thing": ["thing@1.0.0", "", {}, "sha512-AAAA=="],\n';
const gather = (root: string) => bundledPackages(root, ['node_modules/thing/index.js']);

describe('the packages of a bundle', () => {
  it('are each named once, by the innermost folder that a file is in', () => {
    const root = treeWith(THING, ['LICENSE'], LOCK);
    const nested = join(root, 'node_modules/thing/node_modules/thing');
    mkdirSync(nested, { recursive: true });
    writeFileSync(join(nested, 'package.json'), JSON.stringify({ ...THING, version: '2.0.0' }));
    writeFileSync(join(nested, 'licence.md'), 'text');
    writeFileSync(join(root, 'bun.lock'), LOCK + LOCK.replace('thing@1.0.0', 'thing@2.0.0'));
    const inputs = ['a.js', 'lib/b.js', 'node_modules/thing/c.js'];
    const found = bundledPackages(
      root,
      inputs.map((input) => `node_modules/thing/${input}`),
    );
    expect(found.map(({ version, licenceFiles }) => [version, ...licenceFiles])).toEqual([
      ['1.0.0', 'LICENSE'],
      ['2.0.0', 'licence.md'],
    ]);
  });

  it('stop a release when one brings no licence text, none in its manifest, or no digest', () => {
    expect(() => gather(treeWith(THING, ['README.md'], LOCK))).toThrow('brings no licence');
    const { license: _, ...without } = THING;
    expect(() => gather(treeWith(without, ['LICENSE'], LOCK))).toThrow('brings no licence');
    expect(() => gather(treeWith(THING, ['LICENSE'], ''))).toThrow('no digest of thing@1.0.0');
  });

  it('of this tree have licences, which are copied', () => {
    const packages = bundledPackages(ROOT, INPUTS);
    writeLicences(join(directory, 'licences'), packages);
    const folders = readdirSync(join(directory, 'licences'));
    for (const { name, version } of packages) {
      expect(folders).toContain(`${name}@${version}`.replace('/', '+'));
    }
    expect(existsSync(join(directory, 'licences/runtime.md'))).toBe(true);
  });
});

describe('the bill of materials (CycloneDX 1.6)', () => {
  const packages = bundledPackages(ROOT, INPUTS);
  const release = { version: '1.2.3', revision: 'c0ffee', packages, committedAt: 1_700_000_000 };
  const bill = JSON.parse(softwareBill(release));

  it('names the program, its runtime and each package, with version, licence and digest', () => {
    expect(bill).toMatchObject({
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      metadata: {
        timestamp: '2023-11-14T22:13:20.000Z',
        component: { name: 'fjmcp-broker', version: '1.2.3' },
      },
    });
    const [runtime, ...rest] = bill.components;
    expect(runtime).toMatchObject({ type: 'platform', name: 'bun', version: Bun.version });
    expect(runtime.components.map((one: { name: string }) => one.name)).toContain('sqlite');
    expect(rest.map((one: { purl: string }) => one.purl)).toEqual(
      packages.map(({ name, version }) => `pkg:npm/${name.replace('@', '%40')}@${version}`),
    );
    for (const one of rest) {
      expect(one.licenses).toHaveLength(1);
      expect(one.hashes[0].content).toMatch(/^[0-9a-f]{128}$/);
    }
  });

  it('names no reference twice, and nothing that is not there', () => {
    const refs: string[] = [bill.metadata.component, ...bill.components].map(
      (one) => one['bom-ref'],
    );
    expect(new Set(refs).size).toBe(refs.length);
    for (const { ref, dependsOn } of bill.dependencies) {
      expect([ref, ...dependsOn].filter((one) => !refs.includes(one))).toEqual([]);
    }
  });

  it('is the same for the same content, and has another number for other content', () => {
    expect(softwareBill(release)).toBe(softwareBill(release));
    const other = JSON.parse(softwareBill({ ...release, revision: 'decade' }));
    expect(other.serialNumber).not.toBe(bill.serialNumber);
    expect(bill.serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });
});

describe('SHA256SUMS', () => {
  it('names every file below, but itself and signatures, as sha256sum reads it', async () => {
    mkdirSync(join(directory, 'sub'));
    for (const file of ['b', 'sub/a', 'SHA256SUMS', 'SHA256SUMS.minisig']) {
      writeFileSync(join(directory, file), file);
    }
    writeChecksums(directory);
    const lines = readFileSync(join(directory, 'SHA256SUMS'), 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => line.slice(64))).toEqual(['  b', '  sub/a']);
    const check = Bun.spawn(['sha256sum', '--check', '--strict', 'SHA256SUMS'], {
      cwd: directory,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    expect(await check.exited).toBe(0);
  });
});
