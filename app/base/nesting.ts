/**
 * Objects and arrays within each other; no message of MCP has a tenth of it. `JSON.parse` takes any
 * depth, while what walks down a value (`JSON.stringify`, a deep comparison) throws at some 30,000
 * (Bun 1.4.5), sooner or later by what else is on the stack: so it is decided before.
 */
export const NESTING_MAX = 512;

/** Whether a value of `JSON.parse` is nested deeper than `NESTING_MAX`. */
export function nestedTooDeep(value: unknown): boolean {
  let layer = [value].filter(isNesting);
  for (let depth = 0; layer.length > 0; depth += 1) {
    if (depth === NESTING_MAX) return true;
    layer = layer.flatMap((outer) => Object.values(outer).filter(isNesting));
  }
  return false;
}

function isNesting(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
