/** Where the value of a top-level member stands in a JSON text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/**
 * Finds the members of the outermost object whose names are in `names`, without building the value.
 * `text` must be JSON that `JSON.parse` accepts. `duplicate` names a member that stands twice:
 * two readers may take different ones, so a message with such a member must be refused.
 * With `stopAfter`, the search ends at the first occurrence of that member.
 */
export function topLevelMembers(
  text: string,
  names: readonly string[],
  stopAfter?: string,
): { readonly spans: ReadonlyMap<string, Span>; readonly duplicate: string | undefined } {
  const spans = new Map<string, Span>();
  let member = firstMember(text);
  while (member !== undefined) {
    const { name, start, end } = member;
    if (names.includes(name)) {
      if (spans.has(name)) return { spans, duplicate: name };
      spans.set(name, { start, end });
      if (name === stopAfter) break;
    }
    member = memberAfter(text, end);
  }
  return { spans, duplicate: undefined };
}

/**
 * The names of the outermost object's members in their order, repeats included; names are decoded,
 * values are not built. `text` must be JSON that `JSON.parse` accepts.
 */
export function topLevelNames(text: string): string[] {
  const names: string[] = [];
  let member = firstMember(text);
  while (member !== undefined) {
    names.push(member.name);
    member = memberAfter(text, member.end);
  }
  return names;
}

/**
 * How many members all objects of a JSON text have together, repeats included. More than its value has,
 * as `memberCountOf` counts them: some member stands twice. `text` must be JSON that `JSON.parse`
 * accepts; nothing of it is copied.
 */
export function memberCount(text: string): number {
  let count = 0;
  let quote = text.indexOf('"');
  while (quote !== -1) {
    const end = skipString(text, quote);
    if (text.charCodeAt(skipSpace(text, end)) === COLON) count += 1;
    quote = text.indexOf('"', end);
  }
  return count;
}

/** How many members all objects of a value of `JSON.parse` have together. */
export function memberCountOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  const left: object[] = [value];
  for (let part = left.pop(); part !== undefined; part = left.pop()) {
    const inner: readonly unknown[] = Array.isArray(part) ? part : Object.values(part);
    if (!Array.isArray(part)) count += inner.length;
    for (const one of inner) if (typeof one === 'object' && one !== null) left.push(one);
  }
  return count;
}

/** The text with the value at `span` replaced by `value`; everything else stays byte for byte. */
export function spliceSpan(text: string, span: Span, value: string): string {
  return text.slice(0, span.start) + value + text.slice(span.end);
}

/**
 * Where the value stands to which `path` leads through nested objects; undefined when there is none.
 * `ambiguous`: a member on the way stands twice, and two readers may take different ones. `text`
 * must be JSON that `JSON.parse` accepts.
 */
export function spanAtPath(text: string, path: readonly string[]): Span | 'ambiguous' | undefined {
  let start = skipSpace(text, 0);
  let end = text.length;
  for (const name of path) {
    if (text.charCodeAt(start) !== OPEN_BRACE) return undefined;
    const { spans, duplicate } = topLevelMembers(text.slice(start, end), [name]);
    if (duplicate !== undefined) return 'ambiguous';
    const span = spans.get(name);
    if (span === undefined) return undefined;
    end = start + span.end;
    start += span.start;
  }
  return { start, end };
}

/** Where the elements of an array stand; `text` must be JSON that `JSON.parse` takes for an array. */
export function arrayElements(text: string): Span[] {
  const elements: Span[] = [];
  let start = skipSpace(text, skipSpace(text, 0) + 1);
  while (start < text.length && text.charCodeAt(start) !== CLOSE_BRACKET) {
    const end = skipValue(text, start);
    elements.push({ start, end });
    const comma = skipSpace(text, end);
    if (text.charCodeAt(comma) !== COMMA) break;
    start = skipSpace(text, comma + 1);
  }
  return elements;
}

/** A name with the span of its value. */
interface Member extends Span {
  readonly name: string;
}

function firstMember(text: string): Member | undefined {
  return memberAt(text, skipSpace(text, 0) + 1);
}

function memberAfter(text: string, valueEnd: number): Member | undefined {
  const comma = skipSpace(text, valueEnd);
  return text.charCodeAt(comma) === COMMA ? memberAt(text, comma + 1) : undefined;
}

function memberAt(text: string, from: number): Member | undefined {
  const nameStart = skipSpace(text, from);
  if (text.charCodeAt(nameStart) !== QUOTE) return undefined;
  const nameEnd = skipString(text, nameStart);
  const start = skipSpace(text, skipSpace(text, nameEnd) + 1);
  return { name: memberName(text, nameStart, nameEnd), start, end: skipValue(text, start) };
}

/** An escaped name may spell `id` too, so it is decoded before it is compared. */
function memberName(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end - 1);
  return raw.includes('\\') ? String(JSON.parse(text.slice(start, end))) : raw;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at;
    at += 1;
  }
}

/** From an opening quote to behind its closing one. */
function skipString(text: string, from: number): number {
  let at = from + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote === -1) return text.length;
    let escapes = 0;
    while (text.charCodeAt(quote - 1 - escapes) === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}

function skipValue(text: string, from: number): number {
  const first = text.charCodeAt(from);
  if (first === QUOTE) return skipString(text, from);
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return skipNested(text, from);
  let at = from;
  while (at < text.length && !endsScalar(text.charCodeAt(at))) at += 1;
  return at;
}

function skipNested(text: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = skipString(text, at);
      continue;
    }
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1;
    if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
    at += 1;
  }
  return at;
}

function endsScalar(code: number): boolean {
  return (
    code === COMMA ||
    code === CLOSE_BRACE ||
    code === CLOSE_BRACKET ||
    code === COLON ||
    code === 0x20 ||
    code === 0x0a ||
    code === 0x0d ||
    code === 0x09
  );
}
