/** Lets one task run at a time, in the order of their arrival. */
export interface Mutex {
  /** Runs `task` when all earlier ones have settled; settles as `task` does. */
  run<T>(task: () => Promise<T>): Promise<T>;
  /** How many tasks run or wait. */
  readonly depth: number;
  /** Resolves at the next moment when nothing runs or waits; at once when that is now. */
  idle(): Promise<void>;
}

export function createMutex(): Mutex {
  let depth = 0;
  let tail: Promise<unknown> = Promise.resolve();
  let quiet = Promise.withResolvers<void>();
  quiet.resolve();

  const leave = () => {
    depth -= 1;
    if (depth === 0) quiet.resolve();
  };
  return {
    get depth() {
      return depth;
    },
    run(task) {
      if (depth === 0) quiet = Promise.withResolvers<void>();
      depth += 1;
      const result = tail.then(task);
      // The next task runs whatever became of this one.
      tail = result.then(leave, leave);
      return result;
    },
    idle: () => quiet.promise,
  };
}
