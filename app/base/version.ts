import { readFileSync } from 'node:fs';
import packageJson from '../../package.json' with { type: 'json' };

/** Set by the release build when it makes another version than the one of package.json. */
declare const FJMCP_VERSION: string | undefined;

/** The version of this program. */
export const VERSION: string =
  typeof FJMCP_VERSION === 'string' ? FJMCP_VERSION : packageJson.version;

/** What stands where the revision cannot be known. */
export const UNKNOWN_REVISION = 'unknown';

/** Set by `bun build --define FJMCP_GIT_REVISION='"…"'`; a program run from source has none. */
declare const FJMCP_GIT_REVISION: string | undefined;

/**
 * The git revision of this program: the one it was built with, else the commit that is checked out
 * around its source, else `unknown`. `readText` gives the text of a file below `.git`, or undefined.
 */
export function gitRevision(readText: (pathInGit: string) => string | undefined): string {
  if (typeof FJMCP_GIT_REVISION === 'string') return FJMCP_GIT_REVISION;
  const head = readText('HEAD')?.trim();
  if (head === undefined) return UNKNOWN_REVISION;
  const reference = /^ref: (refs\/[\w./-]+)$/.exec(head)?.[1];
  if (reference === undefined) return asRevision(head);
  const loose = readText(reference)?.trim();
  if (loose !== undefined) return asRevision(loose);
  const packed = readText('packed-refs')?.split('\n') ?? [];
  return asRevision(packed.find((line) => line.endsWith(` ${reference}`))?.split(' ')[0] ?? '');
}

function asRevision(text: string): string {
  return /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(text) ? text : UNKNOWN_REVISION;
}

/** The revision of the program that runs now. */
export function ownRevision(): string {
  return gitRevision((pathInGit) => {
    try {
      return readFileSync(new URL(`../../.git/${pathInGit}`, import.meta.url), 'utf8');
    } catch {
      return undefined;
    }
  });
}
