/**
 * Whether a text somewhere in `value` would lead out of the place where it is put into an address:
 * `acme/site/contents/` with `../../other/secret/contents/x` is another repository for whatever
 * normalizes the path on its way to the forge (GHSA-5648-rgj9-v224, GHSA-4rm9-rfp2-j39q).
 */
export function leadsAway(value: unknown): boolean {
  if (typeof value === 'string') return hasDotSegment(value);
  if (typeof value !== 'object' || value === null) return false;
  const left: object[] = [value];
  for (let part = left.pop(); part !== undefined; part = left.pop()) {
    const inner: readonly unknown[] = Array.isArray(part) ? part : Object.values(part);
    for (const one of inner) {
      if (typeof one === 'string' && hasDotSegment(one)) return true;
      if (typeof one === 'object' && one !== null) left.push(one);
    }
  }
  return false;
}

/** More than anybody decodes on the way. */
const DECODINGS_MAX = 8;

const ESCAPES: Readonly<Record<string, string>> = {
  '%25': '%',
  '%2e': '.',
  '%2f': '/',
  '%5c': '/',
};

function hasDotSegment(text: string): boolean {
  if (!/%|\.[\t\n\r]*\./.test(text)) return false;
  // What readers of addresses drop (WHATWG URL section 4.4).
  let plain = text.replaceAll(/[\t\n\r]/g, '');
  for (let times = 0; times < DECODINGS_MAX && plain.includes('%'); times += 1) {
    plain = plain.replaceAll(/%(?:25|2e|2f|5c)/gi, (found) => ESCAPES[found.toLowerCase()] ?? '');
  }
  return plain.split(/[/\\]/).includes('..');
}
