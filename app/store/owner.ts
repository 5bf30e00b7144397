import { chownSync, statSync } from 'node:fs';

/**
 * Gives a file that root has made to the owner of `like`: a store that the broker's own user cannot
 * open would be no store for it. Anybody else owns already what he makes.
 */
export function ownLike(path: string, like: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(like);
  chownSync(path, uid, gid);
}
