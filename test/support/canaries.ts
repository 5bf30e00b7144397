import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What is shorter may stand somewhere by chance. */
const FORM_BYTES_MIN = 12;

/** Secrets of a run, and the search for them. */
export class Canaries {
  readonly #forms = new Map<string, readonly Buffer[]>();
  readonly #names = new Map<string, string>();

  add(name: string, value: string | Uint8Array): void {
    const key = Buffer.from(value).toString('base64');
    if (this.#forms.has(key)) return;
    const forms = typeof value === 'string' ? formsOfText(value) : formsOfBytes(value);
    this.#forms.set(
      key,
      forms.filter(({ length }) => length >= FORM_BYTES_MIN),
    );
    this.#names.set(key, name);
  }

  /** The names of all secrets so far. */
  get names(): string[] {
    return [...new Set(this.#names.values())].sort();
  }

  get count(): number {
    return this.#forms.size;
  }

  /** The names of the secrets that `haystack` holds, each as often as there are values of it. */
  in(haystack: string | Uint8Array): string[] {
    const bytes = Buffer.from(haystack);
    return [...this.#forms]
      .filter(([, forms]) => forms.some((form) => bytes.includes(form)))
      .map(([key]) => this.#names.get(key) ?? '');
  }
}

/** What a secret looks like when somebody has encoded it, or has cut off its ends. */
function formsOfText(text: string): Buffer[] {
  const bytes = Buffer.from(text);
  const quarter = Math.floor(text.length / 4);
  return [
    ...[bytes, Buffer.from(encodeURIComponent(text)), Buffer.from(bytes.toString('hex'))],
    Buffer.from(bytes.toString('base64').replace(/=+$/, '').slice(0, -2)),
    Buffer.from(text.slice(quarter, text.length - quarter)),
    // Our own are bytes in base64url, perhaps behind a prefix.
    ...formsOfBytes(Buffer.from(text.replace(/^fjmcp_.._/, ''), 'base64url')),
  ];
}

function formsOfBytes(value: Uint8Array): Buffer[] {
  const bytes = Buffer.from(value);
  return [
    bytes,
    Buffer.from(bytes.toString('hex')),
    Buffer.from(bytes.toString('base64').replace(/=+$/, '').slice(0, -1)),
    Buffer.from(bytes.toString('base64url').slice(0, -1)),
  ];
}

/** A place of a running process that holds something. */
export interface ProcessFinding {
  readonly pid: number;
  readonly where: 'command line' | 'environment';
  readonly names: readonly string[];
}

/** Searches the command line and the environment of every process that this user may look at. */
export function searchProcesses(canaries: Canaries): ProcessFinding[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(Number.isInteger)
    .flatMap((pid): ProcessFinding[] => [
      { pid, where: 'command line', names: canaries.in(readProcess(pid, 'cmdline')) },
      { pid, where: 'environment', names: canaries.in(readProcess(pid, 'environ')) },
    ])
    .filter(({ names }) => names.length > 0);
}

/** Empty for a process that has gone, or that belongs to somebody else. */
function readProcess(pid: number, file: 'cmdline' | 'environ'): Uint8Array {
  try {
    return readFileSync(`/proc/${pid}/${file}`);
  } catch {
    return new Uint8Array(0);
  }
}

/** Every file below `directory` by its path there, as it is at this moment. */
export function readFiles(directory: string): Map<string, Uint8Array> {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true });
  return new Map(
    names
      .filter((entry) => entry.isFile())
      .map((entry) => [entry.name, readFileSync(join(entry.parentPath, entry.name))]),
  );
}
