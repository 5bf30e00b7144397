import { RawSession } from './raw-session.ts';

/** What became of the calls of steady callers. */
export interface CallCount {
  /** Answered with their own result. */
  answered: number;
  /** What came instead of a result, in words. */
  readonly others: string[];
}

/** Clients in sessions of their own; each calls again as soon as it has its answer. */
export class SteadyCallers {
  readonly count: CallCount = { answered: 0, others: [] };
  readonly #sessions: readonly RawSession[];
  #loops: Promise<void>[] = [];
  #running = false;

  private constructor(sessions: readonly RawSession[]) {
    this.#sessions = sessions;
  }

  static async open(mcpUrl: string, accessToken: string, count: number): Promise<SteadyCallers> {
    const open = () => RawSession.open(mcpUrl, accessToken);
    return new SteadyCallers(await Promise.all(Array.from({ length: count }, open)));
  }

  start(): void {
    this.#running = true;
    this.#loops = this.#sessions.map((session, index) => this.#call(session, index));
  }

  /** Resolves when so many more calls were answered. */
  async answers(more: number): Promise<void> {
    const enough = this.count.answered + more;
    while (this.count.answered < enough && this.count.others.length === 0) await Bun.sleep(5);
  }

  /** Lets the calls under way end. */
  async stop(): Promise<CallCount> {
    this.#running = false;
    await Promise.all(this.#loops);
    return this.count;
  }

  async #call(session: RawSession, index: number): Promise<void> {
    for (let number = 0; this.#running; number += 1) {
      const text = `${index}/${number}`;
      try {
        const answer = await session.tool<{ text: string }>('echo', { text });
        if (answer.text === text) this.count.answered += 1;
        else this.count.others.push(`the answer of another call: ${answer.text}`);
      } catch (error) {
        this.count.others.push(error instanceof Error ? error.message : String(error));
      }
    }
  }
}
