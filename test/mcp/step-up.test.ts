import { beforeEach, describe, expect, it } from 'bun:test';
import { digestOf } from '../../app/base/secret.ts';
import {
  ANSWER_MS,
  createStepUp,
  REMEMBERED_MAX,
  SPARED_MS,
  type StepUp,
} from '../../app/mcp/step-up.ts';
import { FakeClock } from '../support/fake-clock.ts';

let clock: FakeClock;
let stepUp: StepUp;

beforeEach(() => {
  clock = new FakeClock();
  stepUp = createStepUp({ clock });
});

const helps = (grantId: string, token: string) =>
  stepUp.challengeHelps({ grantId, token: digestOf(token) });

describe('a challenge for a larger scope', () => {
  it('B3: is given as often as the same token is refused', () => {
    for (let n = 0; n < 3; n += 1) expect(helps('g', 'first')).toBe(true);
  });

  it('B3: is given to every new grant of a client', () => {
    expect(helps('g', 'first')).toBe(true);
    expect(helps('h', 'second')).toBe(true);
    expect(helps('g', 'first')).toBe(true);
  });

  it('is not given again to a client that has answered it by a refresh', () => {
    helps('g', 'first');
    expect(helps('g', 'refreshed')).toBe(false);
    expect(helps('g', 'refreshed')).toBe(false);
    expect(helps('g', 'refreshed again')).toBe(false);
    clock.advance(SPARED_MS - 1);
    expect(helps('g', 'first')).toBe(false);
    clock.advance(1);
    expect(helps('g', 'refreshed')).toBe(true);
  });

  it('is given to a client that has refreshed for another reason, since the last one', () => {
    helps('g', 'first');
    clock.advance(ANSWER_MS - 1);
    expect(helps('g', 'in time')).toBe(false);
    helps('h', 'first');
    clock.advance(ANSWER_MS);
    expect(helps('h', 'hours later')).toBe(true);
  });

  it('is given once more to who was forgotten, one beyond the limit', () => {
    helps('oldest', 'first');
    expect(helps('oldest', 'refreshed')).toBe(false);
    for (let n = 1; n < REMEMBERED_MAX; n += 1) helps(`g${n}`, 'first');
    expect(helps('oldest', 'refreshed')).toBe(false);
    helps('one beyond', 'first');
    expect(helps('oldest', 'refreshed')).toBe(true);
  });
});
