import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import packageJson from '../package.json' with { type: 'json' };
import { ARCHITECTURES, type Architecture, isArchitecture } from './architectures.ts';
import { fillArchive, pack } from './archive.ts';
import { bundledPackages } from './bundled-packages.ts';
import { CHECKSUMS, writeChecksums } from './checksums.ts';
import { compileProgram, PROGRAM } from './compile.ts';
import { ReleaseFailure } from './failure.ts';
import { stampedInstaller } from './installer.ts';
import { installRuntimes, type Runtime } from './runtimes.ts';
import { softwareBill } from './sbom.ts';
import { sign } from './sign.ts';
import { describeSources, type Sources } from './sources.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const BYTES_MAX = 60_000_000;

const USAGE = `usage: bun run release [--out DIR] [--arch x64,arm64] [--version VERSION]
                       [--base-url URL] [--minisign-key FILE] [--minisign-public-key KEY]
`;

interface Plan {
  readonly out: string;
  readonly architectures: readonly Architecture[];
  readonly version: string;
  readonly minisignKey: string | undefined;
  /** The text of install.sh as this release has it. */
  readonly installer: string;
}

/** Makes the files of a release in the directory `out`, which is emptied of an earlier one. */
async function release(plan: Plan): Promise<void> {
  // The bundler names files as they are seen from the working directory.
  process.chdir(ROOT);
  const sources = await describeSources(ROOT, process.env.SOURCE_DATE_EPOCH);
  const work = mkdtempSync(join(tmpdir(), 'fjmcp-release-'));
  try {
    const runtimeOf = await installRuntimes(join(work, 'runtimes'));
    rmSync(plan.out, { recursive: true, force: true });
    mkdirSync(plan.out, { recursive: true });
    for (const architecture of plan.architectures) {
      const runtime = runtimeOf(architecture);
      const file = await makeArchive(plan, { work, sources, architecture, runtime });
      const bytes = statSync(file).size;
      say(`${file}  ${(bytes / 1e6).toFixed(1)} MB\n`);
      if (bytes >= BYTES_MAX) throw new ReleaseFailure(`${file} is larger than 60 MB`);
    }
    writeFileSync(join(plan.out, 'install.sh'), plan.installer, { mode: 0o755 });
    writeChecksums(plan.out);
    if (plan.minisignKey !== undefined) {
      await sign(join(plan.out, CHECKSUMS), plan.minisignKey, `${PROGRAM} ${plan.version}`);
    }
    say(`version ${plan.version}, revision ${sources.revision}\n`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function makeArchive(
  plan: Plan,
  one: {
    readonly work: string;
    readonly sources: Sources;
    readonly architecture: Architecture;
    readonly runtime: Runtime;
  },
): Promise<string> {
  const { version, out } = plan;
  const { sources, architecture, runtime, work } = one;
  const { revision, committedAt } = sources;
  const name = `${PROGRAM}-${version}-linux-${architecture}`;
  const directory = join(work, name);
  mkdirSync(directory);
  const inputs = await compileProgram({
    ...{ root: ROOT, directory, architecture, runtime, version, revision },
  });
  const packages = bundledPackages(ROOT, inputs);
  fillArchive(directory, {
    ...{ root: ROOT, packages, installer: plan.installer },
    softwareBill: softwareBill({ version, revision, packages, committedAt }),
  });
  const file = join(out, `${name}.tar.gz`);
  await pack(work, name, file, committedAt);
  return file;
}

function readPlan(argv: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      out: { type: 'string', default: 'dist' },
      arch: { type: 'string', default: Object.keys(ARCHITECTURES).join(',') },
      version: { type: 'string', default: packageJson.version },
      'base-url': { type: 'string' },
      'minisign-key': { type: 'string' },
      'minisign-public-key': { type: 'string' },
    },
  });
  const architectures = values.arch.split(',').map((name) => {
    if (isArchitecture(name)) return name;
    throw new ReleaseFailure(`there is no architecture "${name}"\n${USAGE}`);
  });
  if (!/^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/.test(values.version)) {
    throw new ReleaseFailure(`"${values.version}" is no version such as 1.2.3 or 1.2.3-rc.1`);
  }
  const key = values['minisign-key'];
  return {
    out: resolve(values.out),
    architectures,
    version: values.version,
    minisignKey: key === undefined ? undefined : resolve(key),
    installer: stampedInstaller(join(ROOT, 'install.sh'), {
      version: values.version,
      baseUrl: values['base-url'],
      minisignPublicKey: values['minisign-public-key'],
    }),
  };
}

function say(text: string): void {
  process.stdout.write(text);
}

const words = process.argv.slice(2);
if (words.includes('--help')) {
  say(USAGE);
  process.exit(0);
}
try {
  await release(readPlan(words));
} catch (error) {
  const isUsage = error instanceof TypeError && 'code' in error;
  if (!isUsage && !(error instanceof ReleaseFailure)) throw error;
  process.stderr.write(`release: ${error.message}\n${isUsage ? USAGE : ''}`);
  process.exit(1);
}
