/** Letters that may be wrong, missing or too many. */
const DISTANCE_MAX = 2;

/** The one of `words` that was probably meant by `typed`; undefined when none is near. */
export function nearestTo(typed: string, words: readonly string[]): string | undefined {
  const near = words
    .map((word) => ({ word, distance: distanceOf(typed, word) }))
    // Of a short word, two other letters are another word.
    .filter(({ word, distance }) => distance <= DISTANCE_MAX && distance < word.length / 2)
    .toSorted((a, b) => a.distance - b.distance);
  return near[0]?.word;
}

/** How many letters have to be changed, added or taken away (Levenshtein). */
function distanceOf(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= to.length; j += 1) {
      const changed = (row[j - 1] ?? 0) + (to[j - 1] === letter ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
