import { describe, expect, it } from 'bun:test';
import { statusLine } from '../../app/command/announce.ts';

const STATE = { sessions: 1, programs: 1, callsWaiting: 2, spawnsBlocked: false };

describe('the line that systemctl status shows', () => {
  it('counts what is in memory', () => {
    expect(statusLine(STATE)).toBe('1 session in memory, 1 program, 2 calls under way.');
  });

  it('says first what is not as it should be', () => {
    expect(statusLine({ ...STATE, spawnsBlocked: true })).toStartWith(
      'Degraded: Forgejo does not answer. 1 session',
    );
    expect(statusLine(STATE, 'Something else')).toStartWith('Something else. 1 session');
  });
});
