import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** The name of a list of digests, as `sha256sum --check` reads it. */
export const CHECKSUMS = 'SHA256SUMS';

/** Writes the digests of all files below `directory`, but for the list itself and signatures. */
export function writeChecksums(directory: string): void {
  const files = filesBelow(directory).filter((file) => !file.startsWith(CHECKSUMS));
  const lines = files.map((file) => {
    const digest = createHash('sha256').update(readFileSync(`${directory}/${file}`));
    return `${digest.digest('hex')}  ${file}\n`;
  });
  writeFileSync(`${directory}/${CHECKSUMS}`, lines.join(''), { mode: 0o644 });
}

/** The files below a directory as paths from it, sorted. */
export function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(directory.length + 1))
    .sort();
}
