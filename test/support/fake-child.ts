import { err, ok, type Result } from '../../app/base/result.ts';
import type {
  Child,
  ChildExit,
  SpawnFailure,
  SpawnRequest,
  Supervisor,
} from '../../app/child/supervisor.ts';

type Json = Record<string, unknown>;

/** A child without a process: the test reads what it was sent and writes its lines. */
export class FakeChild implements Child {
  readonly pid = 1;
  readonly request: SpawnRequest;
  readonly sent: string[] = [];
  readonly exited: Promise<ChildExit>;
  /** Whether it leaves when it is stopped; a test of the drain holds it back. */
  leaves = true;
  refuses: 'gone' | 'full' | undefined;
  stopReason: string | undefined;
  #resolveExit: (exit: ChildExit) => void = () => undefined;

  constructor(request: SpawnRequest) {
    this.request = request;
    this.exited = new Promise((resolve) => {
      this.#resolveExit = resolve;
    });
  }

  send(text: string): Result<void, 'gone' | 'full'> {
    if (this.stopReason !== undefined) return err('gone');
    if (this.refuses !== undefined) return err(this.refuses);
    this.sent.push(text);
    return ok(undefined);
  }

  stop(reason: string): Promise<ChildExit> {
    this.stopReason ??= reason;
    if (this.leaves) this.exit(0, this.stopReason);
    return this.exited;
  }

  /** Lets it end; `exited` as the reason means by itself. */
  exit(code: number, reason = 'exited'): void {
    this.#resolveExit({ code, signal: null, reason });
  }

  /** Writes a line on its stdout. */
  says(message: unknown): void {
    this.request.onLine(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** What it was sent, parsed. */
  get messages(): Json[] {
    return this.sent.map((text) => JSON.parse(text) as Json);
  }

  /** Answers the request that was sent last, or the one with this method. */
  answers(result: unknown, method?: string): void {
    const found = this.messages.findLast((m) => method === undefined || m.method === method);
    this.says({ jsonrpc: '2.0', id: found?.id, result });
  }
}

/** Starts fake children; with `script`, they are told at once what to do. */
export class FakeSupervisor implements Supervisor {
  readonly children: FakeChild[] = [];
  failure: SpawnFailure | undefined;
  readonly #script: (child: FakeChild) => void;

  constructor(script: (child: FakeChild) => void = () => undefined) {
    this.#script = script;
  }

  spawn(request: SpawnRequest): Result<Child, SpawnFailure> {
    if (this.failure !== undefined) return err(this.failure);
    const child = new FakeChild(request);
    this.children.push(child);
    // After the caller has sent its first message.
    queueMicrotask(() => this.#script(child));
    return ok(child);
  }

  get running(): number {
    return this.children.filter((child) => child.stopReason === undefined).length;
  }

  async stopAll(reason: string): Promise<void> {
    await Promise.all(this.children.map((child) => child.stop(reason)));
  }

  get last(): FakeChild {
    const child = this.children.at(-1);
    if (child === undefined) throw new Error('no child was started');
    return child;
  }
}

/** Answers `initialize` as a good child does, with the version it was asked for. */
export function opens(child: FakeChild): void {
  const asked = child.messages[0]?.params as { protocolVersion?: string } | undefined;
  child.answers({ protocolVersion: asked?.protocolVersion, capabilities: { tools: {} } });
}
