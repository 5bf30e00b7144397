import { describe, expect, it } from 'bun:test';
import { createMutex } from '../../app/base/mutex.ts';

describe('mutex', () => {
  it('runs one task at a time, in the order of arrival', async () => {
    const mutex = createMutex();
    const gate = Promise.withResolvers<void>();
    const order: string[] = [];
    const first = mutex.run(async () => {
      order.push('first starts');
      await gate.promise;
      order.push('first ends');
    });
    const second = mutex.run(async () => {
      order.push('second');
    });
    expect(mutex.depth).toBe(2);
    gate.resolve();
    await Promise.all([first, second]);
    expect(order).toEqual(['first starts', 'first ends', 'second']);
    expect(mutex.depth).toBe(0);
  });

  it('lets the next one run when a task fails', async () => {
    const mutex = createMutex();
    const failing = mutex.run(async () => {
      throw new Error('it failed');
    });
    const next = mutex.run(async () => 'next');
    await expect(failing).rejects.toThrow('it failed');
    expect(await next).toBe('next');
  });

  it('is idle at once when nothing runs, and else after the last task', async () => {
    const mutex = createMutex();
    await mutex.idle();
    const gate = Promise.withResolvers<void>();
    let ended = 0;
    const work = async () => {
      await gate.promise;
      ended += 1;
    };
    const tasks = [mutex.run(work), mutex.run(work)];
    const idle = mutex.idle().then(() => ended);
    gate.resolve();
    expect(await idle).toBe(2);
    await Promise.all(tasks);
  });
});
