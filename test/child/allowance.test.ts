import { describe, expect, it } from 'bun:test';
import { createAllowance } from '../../app/child/allowance.ts';
import { FakeClock } from '../support/fake-clock.ts';

function setUp() {
  const clock = new FakeClock();
  return { clock, allowance: createAllowance(1000, clock) };
}

describe('an allowance per second', () => {
  it('has nothing left at its limit, and something one below', () => {
    const { allowance } = setUp();
    allowance.spend(999);
    expect(allowance.left).toBe(true);
    allowance.spend(1);
    expect(allowance.left).toBe(false);
  });

  it('grows no further than one second, however long nothing was spent', () => {
    const { allowance, clock } = setUp();
    clock.advance(60_000);
    allowance.spend(1000);
    expect(allowance.left).toBe(false);
  });

  it('has what is spent too much paid off before anything is left', async () => {
    const { allowance, clock } = setUp();
    allowance.spend(3000);
    let waited = false;
    const wait = allowance.wait().then(() => {
      waited = true;
    });
    clock.advance(1999);
    await Bun.sleep(0);
    expect(waited).toBe(false);
    expect(allowance.left).toBe(false);
    clock.advance(1);
    await wait;
    clock.advance(1);
    expect(allowance.left).toBe(true);
  });

  it('gives out, over time, what it says and no more', async () => {
    const { allowance, clock } = setUp();
    let spent = 0;
    const spender = async () => {
      for (;;) {
        while (allowance.left) {
          allowance.spend(7);
          spent += 7;
        }
        await allowance.wait();
      }
    };
    void spender();
    for (let ms = 0; ms < 10_000; ms += 10) {
      clock.advance(10);
      await Bun.sleep(0);
    }
    expect(spent).toBeGreaterThan(10_000);
    expect(spent).toBeLessThanOrEqual(11_000 + 7);
  });

  it('wakes whoever waits when it is filled again', async () => {
    const { allowance, clock } = setUp();
    allowance.spend(1_000_000);
    const wait = allowance.wait();
    allowance.refill();
    await wait;
    expect(allowance.left).toBe(true);
    expect(clock.pending).toBe(0);
  });
});
