import { describe, expect, it } from 'bun:test';
import { oneAtATime } from '../../app/base/one-at-a-time.ts';

describe('what runs once at a time', () => {
  it('gives all who call meanwhile the outcome of the one run', async () => {
    const { promise, resolve } = Promise.withResolvers<number>();
    let runs = 0;
    const run = oneAtATime(() => {
      runs += 1;
      return promise;
    });
    const outcomes = [run(), run(), run()];
    resolve(7);
    expect(await Promise.all(outcomes)).toEqual([7, 7, 7]);
    expect(runs).toBe(1);
  });

  it('runs again after its end, also after a failed one', async () => {
    let runs = 0;
    const run = oneAtATime(async () => {
      runs += 1;
      if (runs === 1) throw new Error('the first time');
      return runs;
    });
    await expect(run()).rejects.toThrow('the first time');
    expect(await run()).toBe(2);
    expect(await run()).toBe(3);
  });
});
