import { describe, expect, it } from 'bun:test';
import { readInheritance } from '../../app/command/successor.ts';

const KEY = Buffer.alloc(32, 7).toString('base64');

const read = (input: string, env: Readonly<Record<string, string>> = { BROKER_SUCCESSION: '1' }) =>
  readInheritance({ env, readInput: async () => input });

describe('what a broker gives to its successor', () => {
  it('is nothing for a process that nobody has started so, and nothing is read', async () => {
    const readInput = () => Promise.reject(new Error('it was read'));
    expect(await readInheritance({ env: {}, readInput })).toBeUndefined();
  });

  it('is its store keys, in their order', async () => {
    const other = Buffer.alloc(32, 8).toString('base64');
    const inheritance = await read(JSON.stringify({ format: 1, storeKeys: [KEY, other] }));
    expect(inheritance?.storeKeys).toEqual([
      new Uint8Array(32).fill(7),
      new Uint8Array(32).fill(8),
    ]);
  });

  it.each([
    { format: 2, storeKeys: [KEY] },
    { format: 1, storeKeys: [] },
    { format: 1, storeKeys: ['short'] },
    { format: 1, storeKeys: KEY },
    { format: 1 },
  ])('is refused as %j', async (given) => {
    await expect(read(JSON.stringify(given))).rejects.toThrow('no store keys');
  });

  it('is refused when it is no JSON', async () => {
    await expect(read('')).rejects.toThrow();
  });
});
