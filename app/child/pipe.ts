import type { Allowance } from './allowance.ts';

/** One of a child's output pipes, being read. */
export interface Pipe {
  /** Resolves at the end of the pipe, or after `cancel`; never rejects. */
  readonly ended: Promise<void>;
  /** Reads no more, and closes our end. */
  cancel(): void;
}

/**
 * Reads a pipe from now on to its end. `take` gets each chunk and gives back how many of its bytes
 * it took; while the allowance has nothing left nothing is read, and the child waits on its pipe.
 */
export function readPipe(
  stream: ReadableStream<Uint8Array>,
  options: {
    readonly take: (chunk: Uint8Array) => number;
    readonly allowance: Allowance;
    /** Called each time that the child begins to wait. */
    readonly onHeldBack: () => void;
    readonly onFault: (error: unknown) => void;
  },
): Pipe {
  const { take, allowance, onHeldBack, onFault } = options;
  const reader = stream.getReader();
  let cancelled = false;

  const run = async (): Promise<void> => {
    while (!cancelled) {
      const { done, value } = await reader.read();
      if (done) return;
      let rest = value;
      for (;;) {
        rest = rest.subarray(take(rest));
        if (!allowance.left) {
          onHeldBack();
          await allowance.wait();
        }
        if (rest.length === 0 || cancelled) break;
      }
    }
  };

  return {
    ended: run().catch(onFault),
    cancel() {
      cancelled = true;
      void reader.cancel().catch(() => undefined);
    },
  };
}
