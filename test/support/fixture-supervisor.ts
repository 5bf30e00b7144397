import { systemClock } from '../../app/base/clock.ts';
import { createMetrics } from '../../app/base/metrics.ts';
import { Secret } from '../../app/base/secret.ts';
import {
  type Child,
  createSupervisor,
  type Supervisor,
  type SupervisorOptions,
} from '../../app/child/supervisor.ts';
import { createMemoryLog, type MemoryLog } from './memory-log.ts';

const FIXTURE = new URL('fixture-child.ts', import.meta.url).pathname;

export const CANARY = 'canary-token-of-one-child-987654321';

/** As the settings have them by default. */
export const PIPE_LIMITS = {
  backlogBytesMax: 8 * 1024 * 1024,
  unaskedBytesPerSecond: 8 * 1024 * 1024,
};

/** Lines of a child that reach the log in one second. */
export const LOG_LINES_PER_SECOND = 50;

/** The command of the fixture child with these flags. */
export function fixtureCommand(...flags: string[]): string[] {
  return [process.execPath, FIXTURE, ...flags];
}

export function fixtureSupervisor(
  flags: readonly string[] = [],
  options: Partial<SupervisorOptions> = {},
): { readonly supervisor: Supervisor; readonly memory: MemoryLog } {
  const memory = createMemoryLog();
  const supervisor = createSupervisor({
    command: fixtureCommand(...flags),
    sandbox: { kind: 'none', reason: 'this test needs none', chosen: true },
    forgejoUrl: 'http://127.0.0.1:1',
    userAgent: 'fjmcp-broker/test',
    messageBytesMax: 1024 * 1024,
    pipeLimits: PIPE_LIMITS,
    logLinesPerSecond: LOG_LINES_PER_SECOND,
    stopGraceMs: 1500,
    clock: systemClock,
    log: memory.log,
    metrics: createMetrics(),
    ...options,
  });
  return { supervisor, memory };
}

/** A child and what it says, to be asked for one message after the other. */
export class Talk {
  readonly child: Child;
  readonly #lines: string[] = [];
  #wake: () => void = () => undefined;
  #lastId = 0;

  constructor(supervisor: Supervisor, token = CANARY) {
    const spawned = supervisor.spawn({
      token: new Secret(token),
      label: 'label123',
      onLine: (line) => {
        this.#lines.push(line);
        this.#wake();
      },
    });
    if (!spawned.ok) throw new Error(spawned.error.detail);
    this.child = spawned.value;
  }

  /** The next line that it writes. */
  async line(): Promise<string> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Calls a tool of the fixture and gives its result; ids count from 1. */
  async tool<T = unknown>(name: string, args: object = {}): Promise<T> {
    this.start(name, args);
    const { result } = JSON.parse(await this.line()) as { result: { structuredContent: T } };
    return result.structuredContent;
  }

  /** Calls a tool and waits for nothing. */
  start(name: string, args: object = {}): void {
    this.#lastId += 1;
    const params = { name, arguments: args };
    const id = this.#lastId;
    const sent = this.child.send(
      JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params }),
    );
    // Nobody would ever answer what was not taken.
    if (!sent.ok && sent.error === 'full') throw new Error('too much waits for the child');
  }
}
