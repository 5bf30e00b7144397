import { readFileSync } from 'node:fs';
import type { ErrorKind, Faults, Span } from './faults.ts';

/** Examples of each kind of error that are kept to be printed. */
const EXAMPLES_MAX = 3;

export interface ErrorCount {
  injected: number;
  other: number;
}

/** Counts what came of the calls of all sessions. */
export class Tally {
  readonly errors = new Map<ErrorKind, ErrorCount>();
  /** Errors that nobody has injected, the first ones of each kind. */
  readonly examples: string[] = [];
  calls = 0;
  answered = 0;
  refreshes = 0;
  resumes = 0;
  signIns = 0;
  readonly #answeredKeys = new Set<string>();
  readonly #faults: Faults;
  readonly #executions: string;

  constructor(faults: Faults, executions: string) {
    this.#faults = faults;
    this.#executions = executions;
  }

  ok(key: string): void {
    this.answered += 1;
    this.#answeredKeys.add(key);
  }

  /** True when it was injected. */
  failed(kind: ErrorKind, session: number, span: Span, detail: string): boolean {
    const count = this.errors.get(kind) ?? { injected: 0, other: 0 };
    this.errors.set(kind, count);
    const injected = this.#faults.explain(kind, session, span);
    count[injected ? 'injected' : 'other'] += 1;
    if (!injected && count.other <= EXAMPLES_MAX) {
      const at = new Date(span.to).toISOString();
      this.examples.push(`${at} session ${session}: ${kind}: ${detail.slice(0, 200)}`);
    }
    return injected;
  }

  get notInjected(): number {
    return [...this.errors.values()].reduce((sum, { other }) => sum + other, 0);
  }

  /** Calls that were executed twice, and answered ones that were not executed at all. */
  executions(): { readonly total: number; readonly doubles: number; readonly missing: number } {
    const keys = readFileSync(this.#executions, 'utf8').split('\n').filter(Boolean);
    const once = new Set(keys);
    const missing = [...this.#answeredKeys].filter((key) => !once.has(key)).length;
    return { total: keys.length, doubles: keys.length - once.size, missing };
  }
}
