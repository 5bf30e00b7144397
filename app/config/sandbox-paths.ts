import { normalize } from 'node:path';
import { hasControl, type Parsed, parsed, wrong } from './parse.ts';

/** A path that children may read in their sandbox: absolute, without `..`, and not everything. */
export function sandboxPath(text: string): Parsed<string> {
  const path = text.replace(/(?<=.)\/+$/, '');
  if (hasControl(path)) return wrong('must not contain control characters');
  if (!path.startsWith('/') || normalize(path) !== path) {
    return wrong(`must be an absolute path without "." or "..", not "${text}"`);
  }
  return path === '/' ? wrong('must not be /: children would read everything') : parsed(path);
}

/**
 * The paths among `shown` that would show children one of the broker's own `places`, each as a
 * sentence. A link may still lead there: what a path names is the administrator's word.
 */
export function shownPlaces(
  shown: readonly string[],
  places: readonly (string | undefined)[],
): readonly string[] {
  return shown.flatMap((path) => {
    const place = places.find((one) => one === path || one?.startsWith(`${path}/`));
    return place === undefined ? [] : [`${path} would show every child ${place}`];
  });
}
