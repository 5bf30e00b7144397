import { createLog, type Log } from '../../app/base/log.ts';

export interface MemoryLog {
  readonly log: Log;
  /** Every line so far, parsed. */
  entries(): Record<string, unknown>[];
  /** The lines with this event name. */
  of(event: string): Record<string, unknown>[];
  /** Everything that was written, as it was written. */
  text(): string;
}

/** A log that keeps its lines, at the most talkative level. */
export function createMemoryLog(): MemoryLog {
  const lines: string[] = [];
  const log = createLog({ level: 'debug', format: 'json', sink: (line) => lines.push(line) });
  const entries = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return {
    log,
    entries,
    of: (event) => entries().filter((entry) => entry.event === event),
    text: () => lines.join(''),
  };
}
