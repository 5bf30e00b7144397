import { counted } from '../base/counted.ts';
import type { Shown } from '../control/protocol.ts';

/** Longest text in a column; names come from whoever registered a client. */
const CELL_LENGTH_MAX = 40;
const COLUMN_GAP = '  ';

/** Control and format characters: in a terminal they move the cursor, colour or turn text around. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A list as a table, with how many there are under it; `aside` tells more about them. */
export function shownList<Row>(
  { rows, more }: Shown<Row>,
  list: {
    readonly noun: string;
    readonly heading: readonly string[];
    readonly cells: (row: Row) => readonly string[];
    readonly aside?: string;
  },
): string {
  const { noun, heading, cells, aside = '' } = list;
  const count = shownCount(rows.length, noun);
  if (rows.length === 0) return `${count}\n`;
  const tail = more ? ', and more that are not shown' : '';
  return `${shownTable(heading, rows.map(cells))}${count}${aside}${tail}\n`;
}

/** Rows of a table with a heading, each column as wide as its longest cell. */
export function shownTable(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const cells = [heading, ...rows.map((row) => row.map(shownText))];
  const widths = heading.map((_, column) =>
    Math.max(...cells.map((row) => Bun.stringWidth(row[column] ?? ''))),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - Bun.stringWidth(cell)))
      .join(COLUMN_GAP)
      .trimEnd();
  return `${cells.map(line).join('\n')}\n`;
}

/** A text that came from elsewhere, harmless in a terminal and not too long. */
export function shownText(text: string): string {
  const clean = text.replace(UNPRINTABLE, '?');
  const letters = [...clean];
  return letters.length <= CELL_LENGTH_MAX
    ? clean
    : `${letters.slice(0, CELL_LENGTH_MAX - 1).join('')}…`;
}

/** JSON for a program, harmless also in a terminal. */
export function shownJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2);
  const escaped = text.replace(UNPRINTABLE, (character) =>
    character === '\n'
      ? character
      : Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
          .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
          .join(''),
  );
  return `${escaped}\n`;
}

/** How long ago: `3 m`, `2 h`, `5 d`; `never` for null. */
export function shownAge(atMs: number | null, nowMs: number): string {
  if (atMs === null) return 'never';
  const seconds = Math.max(0, Math.floor((nowMs - atMs) / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

/** `no sessions`, `1 session`, `2 sessions`. */
export function shownCount(count: number, noun: string): string {
  return count === 0 ? `no ${noun}s` : counted(count, noun);
}

/** `812 B`, `4.2 KiB`, `1.0 GiB`. */
export function shownSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < SIZE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${SIZE_UNITS[unit]}`;
}

const SIZE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
