import { createHash } from 'node:crypto';
import { type BundledPackage, idOf } from './bundled-packages.ts';

/** Libraries in the runtime, by their names in `process.versions`. */
const LIBRARIES = [
  ...['ares', 'boringssl', 'icu', 'libarchive', 'libdeflate', 'lolhtml', 'lshpack', 'mimalloc'],
  ...['picohttpparser', 'sqlite', 'tinycc', 'usockets', 'uwebsockets', 'webkit', 'zlib', 'zstd'],
] as const;

/**
 * What is in the program, as CycloneDX 1.6 in JSON: the runtime with the libraries in it, and every
 * package of which a file was bundled. It holds no moment and no random id but what follows from
 * its content, so that the same sources give the same document.
 */
export function softwareBill(release: {
  readonly version: string;
  readonly revision: string;
  readonly packages: readonly BundledPackage[];
  /** When the sources were committed, in seconds. */
  readonly committedAt: number;
}): string {
  const { version, revision, packages } = release;
  const content = {
    metadata: {
      timestamp: new Date(release.committedAt * 1000).toISOString(),
      component: {
        ...{ type: 'application', 'bom-ref': 'fjmcp-broker', name: 'fjmcp-broker', version },
        licenses: [{ license: { id: 'MIT' } }],
        properties: [{ name: 'git:revision', value: revision }],
      },
    },
    components: [runtime(), ...packages.map(npmPackage)],
    dependencies: [
      { ref: 'fjmcp-broker', dependsOn: ['bun', ...packages.map((one) => npmAddress(one))] },
    ],
  };
  const bill = {
    ...{ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 },
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify(content))}`,
    ...content,
  };
  return `${JSON.stringify(bill, null, 2)}\n`;
}

function runtime(): object {
  const versions: Readonly<Record<string, string | undefined>> = process.versions;
  return {
    ...{ type: 'platform', 'bom-ref': 'bun', name: 'bun', version: Bun.version },
    purl: `pkg:github/oven-sh/bun@bun-v${Bun.version}`,
    licenses: [{ license: { id: 'MIT' } }],
    components: LIBRARIES.flatMap((name) => {
      const version = versions[name];
      return version === undefined
        ? []
        : [{ type: 'library', 'bom-ref': `bun/${name}`, name, version }];
    }),
  };
}

function npmPackage(one: BundledPackage): object {
  const sha512 = Buffer.from(one.integrity.slice('sha512-'.length), 'base64').toString('hex');
  return {
    ...{ type: 'library', 'bom-ref': npmAddress(one), name: one.name, version: one.version },
    purl: npmAddress(one),
    licenses: [{ license: { id: one.licence } }],
    hashes: [{ alg: 'SHA-512', content: sha512 }],
  };
}

function npmAddress(one: BundledPackage): string {
  return `pkg:npm/${idOf(one).replace(/^@/, '%40')}`;
}

/** A version 8 UUID (RFC 9562 section 5.8) from a digest. */
function uuidOf(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
