/** What a parser makes of a raw text; `note` is worth telling the administrator, `reason` is a fault. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T; readonly note?: string }
  | { readonly ok: false; readonly reason: string };

export type Parser<T> = (text: string) => Parsed<T>;

/** A timer beyond 2^31-1 ms fires at once, so no duration that a timer waits for may be longer. */
export const TIMER_MAX_MS = 2_147_483_647;

const DURATION_UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_UNITS_BYTES = { b: 1, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3 } as const;

export function parsed<T>(value: T, note?: string): Parsed<T> {
  return note === undefined ? { ok: true, value } : { ok: true, value, note };
}

export function wrong(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason };
}

/** `15m`, `1500ms`, `90d`: a whole number with its unit, between the bounds; milliseconds. */
export function duration(minMs: number, maxMs: number): Parser<number> {
  return (text) => {
    const match = /^(\d{1,15})(ms|s|m|h|d)$/.exec(text);
    const count = match?.[1];
    const unit = match?.[2] as keyof typeof DURATION_UNITS_MS | undefined;
    if (count === undefined || unit === undefined) {
      return wrong(`must be a whole number with a unit (ms, s, m, h or d), not "${text}"`);
    }
    return bounded(Number(count) * DURATION_UNITS_MS[unit], minMs, maxMs, inUnits);
  };
}

/** `4MiB`, `512KiB`, `1GiB`: a whole number with its unit, between the bounds; bytes. */
export function size(minBytes: number, maxBytes: number): Parser<number> {
  return (text) => {
    const match = /^(\d{1,15})(b|kib|mib|gib)$/i.exec(text);
    const count = match?.[1];
    const unit = match?.[2]?.toLowerCase() as keyof typeof SIZE_UNITS_BYTES | undefined;
    if (count === undefined || unit === undefined) {
      return wrong(`must be a whole number with a unit (B, KiB, MiB or GiB), not "${text}"`);
    }
    return bounded(Number(count) * SIZE_UNITS_BYTES[unit], minBytes, maxBytes, (n) => `${n}B`);
  };
}

/** A whole number between the bounds. */
export function count(min: number, max: number): Parser<number> {
  return (text) =>
    /^\d{1,15}$/.test(text)
      ? bounded(Number(text), min, max, String)
      : wrong(`must be a whole number, not "${text}"`);
}

/** One of a closed set of words. */
export function oneOf<T extends string>(words: readonly T[]): Parser<T> {
  return (text) => {
    const word = words.find((candidate) => candidate === text);
    return word === undefined
      ? wrong(`must be ${words.join(' or ')}, not "${text}"`)
      : parsed(word);
  };
}

/** Any text that is not empty, without control characters. */
export function line(text: string): Parsed<string> {
  if (text.trim() === '') return wrong('must not be empty');
  return hasControl(text) ? wrong('must not contain control characters') : parsed(text.trim());
}

/** True for a text with characters that would break a header, a log line or a path. */
export function hasControl(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

/** Each member of a list by the same parser; every wrong member is told. */
export function each<T>(items: readonly string[], parser: Parser<T>): Parsed<readonly T[]> {
  const values: T[] = [];
  const reasons: string[] = [];
  for (const item of items) {
    const outcome = parser(item);
    if (outcome.ok) values.push(outcome.value);
    else reasons.push(outcome.reason);
  }
  return reasons.length === 0 ? parsed(values) : wrong(reasons.join('; '));
}

function bounded(
  value: number,
  min: number,
  max: number,
  show: (value: number) => string,
): Parsed<number> {
  return value >= min && value <= max
    ? parsed(value)
    : wrong(`must be between ${show(min)} and ${show(max)}, not ${show(value)}`);
}

function inUnits(ms: number): string {
  for (const [unit, unitMs] of Object.entries(DURATION_UNITS_MS).toReversed()) {
    if (ms >= unitMs && ms % unitMs === 0) return `${ms / unitMs}${unit}`;
  }
  return `${ms}ms`;
}
