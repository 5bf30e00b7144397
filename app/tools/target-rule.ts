import { err, ok, type Result } from '../base/result.ts';

/** Where the arguments of a tool say what it touches. */
export type TargetRule =
  /** No repository and no organisation. */
  | { readonly kind: 'none' }
  /** The arguments do not tell. */
  | { readonly kind: 'unknown' }
  /** Each of these places. */
  | { readonly kind: 'told'; readonly places: readonly TargetPlace[] };

/** Names of arguments; of several for a repository, the first that is given. */
export type TargetPlace =
  | { readonly kind: 'repository'; readonly owner: string; readonly repo: readonly string[] }
  /** All repositories of an owner. */
  | { readonly kind: 'repositories'; readonly owner: string }
  | { readonly kind: 'organization'; readonly owner: string };

/**
 * Reads a rule as the catalogue has it: `none`, `unknown`, `{owner}/{repo}`, `{owner}/*`, `{org}`,
 * `{owner}/{name|repo}`, or a list of such places.
 */
export function parseTargetRule(value: unknown): Result<TargetRule, string> {
  if (value === 'none' || value === 'unknown') return ok({ kind: value });
  const texts = Array.isArray(value) ? value : [value];
  const places: TargetPlace[] = [];
  for (const text of texts) {
    const place = typeof text === 'string' ? parsePlace(text) : undefined;
    if (place === undefined) return err(EXPECTED);
    places.push(place);
  }
  return places.length === 0 ? err(EXPECTED) : ok({ kind: 'told', places });
}

/** The names of all arguments that a rule reads. */
export function argumentsOf(rule: TargetRule): readonly string[] {
  if (rule.kind !== 'told') return [];
  return rule.places.flatMap((place) =>
    place.kind === 'repository' ? [place.owner, ...place.repo] : [place.owner],
  );
}

const EXPECTED =
  'must be "none", "unknown", or places like "{owner}/{repo}", "{owner}/*" or "{org}"';
const PLACE = /^\{(?<owner>\w+)\}(?:\/(?:(?<all>\*)|\{(?<repo>\w+(?:\|\w+)*)\}))?$/;

function parsePlace(text: string): TargetPlace | undefined {
  const { owner, all, repo } = PLACE.exec(text)?.groups ?? {};
  if (owner === undefined) return undefined;
  if (repo !== undefined) return { kind: 'repository', owner, repo: repo.split('|') };
  return { kind: all === undefined ? 'organization' : 'repositories', owner };
}
