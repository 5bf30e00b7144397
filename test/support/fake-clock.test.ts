import { describe, expect, it } from 'bun:test';
import { FakeClock } from './fake-clock.ts';

describe('the clock of the tests', () => {
  it('runs nothing before its time, and runs it at its time', () => {
    const clock = new FakeClock(0);
    const ran: number[] = [];
    clock.after(10, () => ran.push(clock.now()));
    clock.advance(9);
    expect(ran).toEqual([]);
    clock.advance(1);
    expect(ran).toEqual([10]);
    clock.advance(100);
    expect(ran).toEqual([10]);
    expect(clock.pending).toBe(0);
  });

  it('runs what is due in the order of time, then of planning', () => {
    const clock = new FakeClock(0);
    const ran: string[] = [];
    clock.after(5, () => ran.push('late'));
    clock.after(1, () => ran.push('first of two'));
    clock.after(1, () => ran.push('second of two'));
    clock.after(0, () => ran.push('now'));
    clock.advance(5);
    expect(ran).toEqual(['now', 'first of two', 'second of two', 'late']);
  });

  it('also runs what a timer plans within the same span', () => {
    const clock = new FakeClock(0);
    const ran: number[] = [];
    clock.after(1, () => clock.after(1, () => ran.push(clock.now())));
    clock.after(3, () => clock.after(8, () => ran.push(clock.now())));
    clock.advance(10);
    expect(ran).toEqual([2]);
    expect(clock.now()).toBe(10);
    expect(clock.pending).toBe(1);
  });

  it('repeats at each period until it is taken back', () => {
    const clock = new FakeClock(0);
    const ran: number[] = [];
    const cancel = clock.every(3, () => {
      ran.push(clock.now());
      if (ran.length === 3) cancel();
    });
    clock.advance(100);
    expect(ran).toEqual([3, 6, 9]);
    expect(clock.pending).toBe(0);
  });

  it('does not run what was taken back', () => {
    const clock = new FakeClock(0);
    let ran = false;
    const cancel = clock.after(1, () => {
      ran = true;
    });
    cancel();
    cancel();
    clock.advance(10);
    expect(ran).toBe(false);
  });
});
