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
 * Walks over the members of the outermost object, whose values are not built: where one stands is
 * read from it before the next is asked for. Each message is walked over, so it makes no objects.
 * `text` must be JSON that `JSON.parse` accepts.
 */
export class Members {
  readonly #text: string;
  #nameStart = 0;
  #nameEnd = 0;
  /** Where the value stands. */
  start = 0;
  end = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Goes on to the next member, first to the first; false when there is none. */
  next(): boolean {
    const text = this.#text;
    const before = skipSpace(text, this.end);
    // Behind the opening brace of the object, or a comma.
    if (this.end > 0 && text.charCodeAt(before) !== COMMA) return false;
    this.#nameStart = skipSpace(text, before + 1);
    if (text.charCodeAt(this.#nameStart) !== QUOTE) return false;
    this.#nameEnd = skipString(text, this.#nameStart);
    this.start = skipSpace(text, skipSpace(text, this.#nameEnd) + 1);
    this.end = skipValue(text, this.start);
    return true;
  }

  /** Its name, decoded: an escaped one may spell `id` too. */
  get name(): string {
    const raw = this.#text.slice(this.#nameStart + 1, this.#nameEnd - 1);
    if (!raw.includes('\\')) return raw;
    return String(JSON.parse(this.#text.slice(this.#nameStart, this.#nameEnd)));
  }
}

/**
 * The names of the outermost object's members in their order, repeats included. `text` is as
 * `Members` takes it.
 */
export function memberNames(text: string): string[] {
  const members = new Members(text);
  const names: string[] = [];
  while (members.next()) names.push(members.name);
  return names;
}

/** Where the value of the first member of that name stands. `text` is as `Members` takes it. */
export function memberSpan(text: string, name: string): Span | undefined {
  const members = new Members(text);
  while (members.next()) {
    if (members.name === name) return { start: members.start, end: members.end };
  }
  return undefined;
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
    const span = onlySpan(text.slice(start, end), name);
    if (span === undefined || span === 'ambiguous') return span;
    end = start + span.end;
    start += span.start;
  }
  return { start, end };
}

function onlySpan(text: string, name: string): Span | 'ambiguous' | undefined {
  const members = new Members(text);
  let span: Span | undefined;
  while (members.next()) {
    if (members.name !== name) continue;
    if (span !== undefined) return 'ambiguous';
    span = { start: members.start, end: members.end };
  }
  return span;
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
