import { err, ok, type Result } from '../base/result.ts';

/**
 * A pattern for what a connection may touch, in lower case, as Forgejo takes names of either case:
 * - `owner/repo` is one repository,
 * - `owner/*` is each repository of that person or organisation, new ones included,
 * - `owner` is the organisation itself (members, teams, labels), none of its repositories.
 */
export type TargetPattern = string;

/** How many patterns a permission can hold. */
export const TARGETS_MAX = 100;

/** One pattern in its canonical form, or the sentence that says what is wrong with it. */
export function parseTarget(text: string): Result<TargetPattern, string> {
  const [owner = '', repo, ...more] = text.split('/');
  const fault = (what: string) => err(`"${text.slice(0, SHOWN_MAX)}" ${what}`);
  if (more.length > 0) return fault('has more than one slash; write owner/repo, owner/* or owner');
  if (!isName(owner)) return fault('does not begin with the name of a user or an organisation');
  if (repo !== undefined && repo !== '*' && !isName(repo)) {
    return fault('does not end with the name of a repository or *');
  }
  return ok(folded(text));
}

/**
 * The patterns of a text that a person wrote, apart by spaces, commas or lines, sorted and each
 * once. An empty text has none: the caller says what that means.
 */
export function parseTargetList(text: string): Result<readonly TargetPattern[], string> {
  return parseTargets(text.split(/[\s,]+/).filter((part) => part !== ''));
}

/** The same for a list. */
export function parseTargets(parts: readonly string[]): Result<readonly TargetPattern[], string> {
  const patterns = new Set<TargetPattern>();
  for (const part of parts) {
    const pattern = parseTarget(part);
    if (!pattern.ok) return pattern;
    patterns.add(pattern.value);
  }
  if (patterns.size > TARGETS_MAX) {
    return err(`there are more than ${TARGETS_MAX} repositories and organisations`);
  }
  return ok([...patterns].sort());
}

/**
 * Whether `value` is a name as Forgejo gives them to people, organisations and repositories. What is
 * none (a slash, an escape, a dot segment, a letter that only looks alike) is never compared with a
 * pattern: the child could read another name out of it.
 */
export function isName(value: unknown): value is string {
  return typeof value === 'string' && NAME.test(value) && !/^\.+$/.test(value);
}

/** Names of Forgejo are ASCII, and the same in either case. */
export function folded(name: string): string {
  return name.toLowerCase();
}

const NAME = /^[A-Za-z0-9._-]{1,100}$/;
const SHOWN_MAX = 80;
