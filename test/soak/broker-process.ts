import { closeSync, openSync } from 'node:fs';
import type { Subprocess } from 'bun';

const MAIN = Bun.fileURLToPath(new URL('../../app/main.ts', import.meta.url));
const COLLECTOR = Bun.fileURLToPath(new URL('./collector.ts', import.meta.url));
/** What these are for is to end a run; how soon a broker stops is told by tests of its own. */
const START_MS_MAX = 60_000;
const STOP_MS_MAX = 20_000;
const POLL_MS = 50;

/** The broker as a process of its own, which can be killed and started again. */
export class BrokerProcess {
  readonly #env: Readonly<Record<string, string>>;
  readonly #origin: string;
  readonly #logFile: string;
  readonly #collector: string;
  #process: Subprocess | undefined;

  constructor(options: {
    readonly env: Readonly<Record<string, string>>;
    readonly origin: string;
    readonly logFile: string;
    /** Where its socket for `collect` shall be. */
    readonly collector: string;
  }) {
    this.#collector = options.collector;
    this.#env = { ...options.env, SOAK_COLLECTOR: options.collector };
    this.#origin = options.origin;
    this.#logFile = options.logFile;
  }

  get pid(): number {
    if (this.#process === undefined) throw new Error('the broker does not run');
    return this.#process.pid;
  }

  /** Resolves when it is ready. */
  async start(): Promise<void> {
    const log = openSync(this.#logFile, 'a', 0o600);
    this.#process = Bun.spawn([process.execPath, '--preload', COLLECTOR, MAIN, 'serve'], {
      env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', ...this.#env },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    const giveUpAt = Date.now() + START_MS_MAX;
    while (!(await this.isHealthy('/readyz'))) {
      if (this.#process.exitCode !== null || Date.now() > giveUpAt) {
        throw new Error(`the broker did not start; its log is ${this.#logFile}`);
      }
      await Bun.sleep(POLL_MS);
    }
  }

  /** Resolves when it has collected all its garbage; false when it is away. */
  async collect(): Promise<boolean> {
    try {
      const asked = { unix: this.#collector, keepalive: false };
      return (await fetch('http://collector/', asked)).ok;
    } catch {
      return false;
    }
  }

  /** Ends it; what it says at the end of an orderly stop must be 0 and soon. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<string | undefined> {
    const running = this.#process;
    if (running === undefined) return undefined;
    if (running.exitCode !== null || running.signalCode !== null) {
      return `the broker had ended by itself with ${running.exitCode ?? running.signalCode}`;
    }
    running.kill(signal);
    const inTime = await Promise.race([
      running.exited.then(() => true),
      Bun.sleep(STOP_MS_MAX).then(() => false),
    ]);
    if (!inTime) {
      running.kill('SIGKILL');
      await running.exited;
      return `the broker did not end within ${STOP_MS_MAX} ms of ${signal}`;
    }
    const isWrong = signal === 'SIGTERM' && running.exitCode !== 0;
    return isWrong ? `the broker ended with ${running.exitCode} at SIGTERM` : undefined;
  }

  async isHealthy(path: '/healthz' | '/readyz'): Promise<boolean> {
    try {
      const response = await fetch(`${this.#origin}${path}`, { keepalive: false });
      await response.arrayBuffer();
      return response.status === 200;
    } catch {
      return false;
    }
  }
}
