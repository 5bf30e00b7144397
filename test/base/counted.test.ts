import { describe, expect, it } from 'bun:test';
import { counted } from '../../app/base/counted.ts';

describe('a number of things', () => {
  it('is one or many', () => {
    expect([0, 1, 2, -1].map((count) => counted(count, 'call'))).toEqual([
      '0 calls',
      '1 call',
      '2 calls',
      '-1 calls',
    ]);
  });
});
