import { copyFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type BundledPackage, idOf } from './bundled-packages.ts';

const RUNTIME_LICENCES = fileURLToPath(new URL('licences/', import.meta.url));
const OF_RUNTIME = ['runtime.md', 'LGPL-2.0.txt', 'LGPL-2.1.txt', 'Apache-2.0.txt'];

/** Writes the licence texts of all that is in the program into `directory`. */
export function writeLicences(directory: string, packages: readonly BundledPackage[]): void {
  mkdirSync(directory, { recursive: true });
  for (const file of OF_RUNTIME) copyFileSync(`${RUNTIME_LICENCES}${file}`, `${directory}/${file}`);
  for (const one of packages) {
    const folder = `${directory}/${idOf(one).replace('/', '+')}`;
    mkdirSync(folder);
    for (const file of one.licenceFiles) {
      copyFileSync(`${one.directory}/${file}`, `${folder}/${file}`);
    }
  }
}
