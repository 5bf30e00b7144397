import { readdirSync, readFileSync } from 'node:fs';
import { ReleaseFailure } from './failure.ts';

/** A package of which at least one file is in the program. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX. */
  readonly licence: string;
  /** Where it is installed. */
  readonly directory: string;
  /** Names of the files with its licence and notices. */
  readonly licenceFiles: readonly string[];
  /** Of the archive that it was installed from, as the lock file has it: `sha512-…`. */
  readonly integrity: string;
}

const PACKAGE_DIRECTORY = /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/;
const LICENCE_FILE = /^(?:licen[sc]e|copying|notice)(?:\.\w+)?$/i;

/**
 * The packages that `inputs` (files of a bundle, as paths from `root`) belong to, in the order of
 * their names. Throws `ReleaseFailure` for one that brings no licence text: it could not be passed on.
 */
export function bundledPackages(
  root: string,
  inputs: readonly string[],
): readonly BundledPackage[] {
  const lock = readFileSync(`${root}/bun.lock`, 'utf8');
  const directories = new Set(inputs.flatMap((input) => PACKAGE_DIRECTORY.exec(input)?.[0] ?? []));
  return [...directories]
    .map((directory) => describePackage(`${root}/${directory}`, lock))
    .sort((one, other) => (idOf(one) < idOf(other) ? -1 : 1));
}

function describePackage(directory: string, lock: string): BundledPackage {
  const manifest = JSON.parse(readFileSync(`${directory}/package.json`, 'utf8')) as {
    readonly name: string;
    readonly version: string;
    readonly license?: string;
  };
  const { name, version, license } = manifest;
  const licenceFiles = readdirSync(directory).filter((file) => LICENCE_FILE.test(file));
  if (license === undefined || licenceFiles.length === 0) {
    throw new ReleaseFailure(`${name} ${version} brings no licence, so it cannot be passed on`);
  }
  const integrity = integrityOf(lock, idOf(manifest));
  return { name, version, licence: license, directory, licenceFiles, integrity };
}

/** As the lock file names it; two versions of one package may be in a bundle. */
export function idOf({ name, version }: Pick<BundledPackage, 'name' | 'version'>): string {
  return `${name}@${version}`;
}

function integrityOf(lock: string, id: string): string {
  const line = lock.split('\n').find((one) => one.includes(`["${id}",`));
  const integrity = line?.match(/"(sha512-[A-Za-z0-9+/=]+)"\],?$/)?.[1];
  if (integrity === undefined) throw new ReleaseFailure(`bun.lock has no digest of ${id}`);
  return integrity;
}
