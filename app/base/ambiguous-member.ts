/**
 * A member of an object that two readers may take differently: one that stands twice, or one that
 * differs from a known one in case alone (Go's JSON package, which the child uses, takes `Method` for
 * `method`). What is decided here must be what the child sees. `names` are those of the object, repeats
 * included, as `memberNames` gives them; others than the `known` ones may stand there as they like.
 */
export function ambiguousMember(
  names: readonly string[],
  known: ReadonlySet<string>,
): string | undefined {
  const seen = new Set<string>();
  for (const name of names) {
    const member = known.has(name) ? name : knownAs(name, known);
    if (member === undefined) continue;
    if (member !== name || seen.has(member)) return member;
    seen.add(member);
  }
  return undefined;
}

/**
 * Which of the known ones a careless reader takes it for; those may have capitals of their own. No
 * reader folds a letter into several, so the length tells most apart.
 */
function knownAs(name: string, known: ReadonlySet<string>): string | undefined {
  for (const member of known) {
    if (member.length === name.length && folded(member) === folded(name)) return member;
  }
  return undefined;
}

/** Both ways, since Unicode has letters that meet ASCII in one direction only (U+017F, U+212A). */
function folded(name: string): string {
  return name.toUpperCase().toLowerCase();
}
