import { describe, expect, it } from 'bun:test';
import { untilWritten } from '../../app/store/until-written.ts';

function counted(entriesMax = 3) {
  const connection = { version: 0 };
  const asked: string[] = [];
  const find = untilWritten(connection, entriesMax, (key: string) => {
    asked.push(key);
    return key.startsWith('x') ? undefined : { key };
  });
  return { connection, asked, find };
}

describe('a look-up that holds until the store is written to', () => {
  it('asks once', () => {
    const { asked, find } = counted();
    expect(find('a')).toEqual({ key: 'a' });
    expect(find('a')).toEqual({ key: 'a' });
    expect(asked).toEqual(['a']);
  });

  it('asks again after any write', () => {
    const { connection, asked, find } = counted();
    find('a');
    connection.version += 1;
    find('a');
    expect(asked).toEqual(['a', 'a']);
  });

  it('remembers nothing of what is not there', () => {
    const { asked, find } = counted();
    expect(find('x')).toBeUndefined();
    find('x');
    expect(asked).toEqual(['x', 'x']);
  });

  it('holds as many as it may, and begins anew with the one beyond', () => {
    const { asked, find } = counted(2);
    for (const key of ['a', 'b', 'a', 'b', 'c', 'c', 'a']) find(key);
    expect(asked).toEqual(['a', 'b', 'c', 'a']);
  });
});
