import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { must } from './command.ts';

const SUITE = 'bookworm';
const PACKAGES = 'systemd,systemd-sysv,dbus,ca-certificates,procps,iproute2,curl';
/** A file system older than that is made anew, so that its packages are not history. */
const AGE_MAX_MS = 14 * 24 * 3_600_000;

/** Where what is expensive to make is kept between runs: below XDG_CACHE_HOME, never in the checkout. */
export function cacheDirectory(): string {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const directory = join(base, 'fjmcp-appliance');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return directory;
}

/**
 * A tar of a fresh, minimal Debian 12 with systemd, made by debootstrap at the first call on a
 * machine (about 45 s). Only what a plain virtual machine has is in it: no Bun, no Caddy.
 */
export async function rootImage(nowMs: number, say: (text: string) => void): Promise<string> {
  const image = join(cacheDirectory(), `${SUITE}-1.tar`);
  const file = Bun.file(image);
  if (existsSync(image) && nowMs - file.lastModified < AGE_MAX_MS) return image;
  say(`making a file system of Debian 12 with debootstrap, kept as ${image}`);
  const work = mkdtempSync(join(cacheDirectory(), 'make-'));
  try {
    const root = join(work, 'root');
    await must([
      ...['debootstrap', '--variant=minbase', `--include=${PACKAGES}`],
      ...[SUITE, root, debianMirrors().debian],
    ]);
    // Made aside and renamed: a run that is stopped leaves no half of an image.
    await must(['tar', '--numeric-owner', '-C', root, '-cf', join(work, 'image.tar'), '.']);
    renameSync(join(work, 'image.tar'), image);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return image;
}

/** The mirrors that this machine's own apt sources name. */
export function debianMirrors(): { readonly debian: string; readonly security: string } {
  const uris = sourceTexts().flatMap((text) => [
    ...[...text.matchAll(/^URIs:\s*(\S+)/gm)].map(([, uri = '']) => uri),
    ...[...text.matchAll(/^deb\s+(?:\[[^\]]*\]\s+)?(\S+)/gm)].map(([, uri = '']) => uri),
  ]);
  const debian = uris.find((uri) => /\/debian\/?$/.test(uri));
  const security = uris.find((uri) => /\/debian-security\/?$/.test(uri));
  if (debian === undefined) throw new Error('no apt source of this machine names a Debian mirror');
  const bare = debian.replace(/\/$/, '');
  return { debian: bare, security: (security ?? `${bare}-security`).replace(/\/$/, '') };
}

function sourceTexts(): string[] {
  return ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list']
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, 'utf8'));
}
