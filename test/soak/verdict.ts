import type { Reading } from './readings.ts';

/** What a run came to. */
export interface RunFacts {
  readonly start: Reading;
  readonly end: Reading;
  /**
   * Resident memory of one broker process under load, MB, each right after a garbage collection:
   * after the first minute, and at last.
   */
  readonly memoryMb: { readonly early: number; readonly late: number };
  readonly doubles: number;
  readonly missing: number;
  readonly errorsNotInjected: number;
  readonly answered: number;
}

const GROWTH_MAX = 0.1;

/** Sentences about what is wrong; none when the run is green. */
export function verdict(facts: RunFacts): readonly string[] {
  const { start, end, memoryMb, doubles, missing, errorsNotInjected, answered } = facts;
  const faults: string[] = [];
  const differs = (what: string, before: number, after: number) => {
    if (before !== after) faults.push(`${what}: ${before} at the start, ${after} at the end`);
  };
  differs(
    `descriptors (${changes(start.descriptors, end.descriptors)})`,
    start.descriptors.length,
    end.descriptors.length,
  );
  differs('zombies', start.zombies, end.zombies);
  differs('children', start.children.length, end.children.length);
  const isMeasured = memoryMb.early > 0;
  if (!isMeasured || memoryMb.late > memoryMb.early * (1 + GROWTH_MAX)) {
    const percent = ((memoryMb.late / memoryMb.early - 1) * 100).toFixed(1);
    const [early, late] = [memoryMb.early.toFixed(1), memoryMb.late.toFixed(1)];
    faults.push(`memory: grew ${percent} % after the first minute, from ${early} to ${late} MB`);
  }
  if (errorsNotInjected > 0) faults.push(`errors: ${errorsNotInjected} that nobody has injected`);
  if (doubles > 0) faults.push(`executions: ${doubles} calls were executed twice`);
  if (missing > 0) faults.push(`executions: ${missing} calls were answered but never executed`);
  if (answered === 0) faults.push('calls: none was answered');
  return faults;
}

/** `+2 socket, -1 /tmp/store` */
function changes(before: readonly string[], after: readonly string[]): string {
  const count = (names: readonly string[], name: string) => names.filter((n) => n === name).length;
  return [...new Set([...before, ...after])]
    .map((name) => ({ name, more: count(after, name) - count(before, name) }))
    .filter(({ more }) => more !== 0)
    .map(({ name, more }) => `${more > 0 ? '+' : ''}${more} ${name}`)
    .join(', ');
}
