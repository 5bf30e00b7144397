import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Everything below a directory: path to mode and content, so that two moments can be compared. */
export function treeOf(root: string): Record<string, string> {
  const tree: Record<string, string> = {};
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()) {
    const told = entry(join(root, name));
    // A lock and a socket say nothing about what is installed.
    if (told !== undefined && !name.startsWith('run/lock/')) tree[name] = told;
  }
  return tree;
}

function entry(path: string): string | undefined {
  const stat = lstatSync(path);
  const mode = (stat.mode & 0o7777).toString(8);
  if (stat.isSymbolicLink()) return `-> ${readlinkSync(path)}`;
  if (stat.isDirectory()) return `${mode} directory`;
  if (!stat.isFile()) return undefined;
  return `${mode} ${createHash('sha256').update(readFileSync(path)).digest('hex')} ${stat.mtimeMs}`;
}
