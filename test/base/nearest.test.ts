import { describe, expect, it } from 'bun:test';
import { nearestTo } from '../../app/base/nearest.ts';

const WORDS = ['serve', 'sessions', 'grants', 'reload', 'restore', '--keep', '--json'];

describe('the word that was meant', () => {
  it.each([
    ['sesions', 'sessions'],
    ['grant', 'grants'],
    ['relaod', 'reload'],
    ['--kep', '--keep'],
    ['--jsonn', '--json'],
    ['restor', 'restore'],
  ])('of %s is %s', (typed, word) => {
    expect(nearestTo(typed, WORDS)).toBe(word);
  });

  it.each(['', 'help', 'start', '--login', 'stop', 'x'])('of %j is none', (typed) => {
    expect(nearestTo(typed, WORDS)).toBeUndefined();
  });

  it('is found at two letters and not at three', () => {
    expect(nearestTo('sessioxx', ['sessions'])).toBe('sessions');
    expect(nearestTo('sessixxx', ['sessions'])).toBeUndefined();
  });
});
