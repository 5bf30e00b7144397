import { describe, expect, it } from 'bun:test';
import fc from 'fast-check';
import { createLineReader } from '../../app/child/lines.ts';

interface Read {
  readonly line: string;
  readonly cut: boolean;
}

function read(chunks: readonly Uint8Array[], lineBytesMax = 1000, flush = false): Read[] {
  const lines: Read[] = [];
  const reader = createLineReader({
    lineBytesMax,
    onLine: (line, cut) => lines.push({ line, cut }),
  });
  for (const chunk of chunks) reader.push(chunk);
  if (flush) reader.flush();
  return lines;
}

const bytes = (text: string) => new TextEncoder().encode(text);

describe('line reader (MCP transports, stdio)', () => {
  it('P1: gives no line before its line feed', () => {
    expect(read([bytes('{"a":1}')])).toEqual([]);
  });

  it('P1: cuts a line one byte beyond the limit, once, and skips its rest', () => {
    const chunks = [bytes('12345'), bytes('6789'), bytes('0\nnext\n')];
    expect(read(chunks, 4)).toEqual([
      { line: '1234', cut: true },
      { line: 'next', cut: false },
    ]);
  });

  it('P1: passes a line of exactly the limit, in one chunk or in many', () => {
    expect(read([bytes('1234\n')], 4)).toEqual([{ line: '1234', cut: false }]);
    expect(read([bytes('12'), bytes('34'), bytes('\n')], 4)).toEqual([
      { line: '1234', cut: false },
    ]);
  });

  it('P1: takes no byte beyond the line for which there was room', () => {
    const lines: string[] = [];
    const reader = createLineReader({
      lineBytesMax: 100,
      onLine: (line) => lines.push(line),
      hasRoom: () => lines.length < 2,
    });
    const chunk = bytes('one\ntwo\nthree\nfo');
    const taken = reader.push(chunk);
    expect([taken, lines]).toEqual([8, ['one', 'two']]);
    lines.length = 0;
    expect(reader.push(chunk.subarray(taken))).toBe(chunk.length - taken);
    reader.push(bytes('ur\n'));
    expect(lines).toEqual(['three', 'four']);
  });

  it('P1: cuts a line that is too long and complete within one chunk', () => {
    expect(read([bytes('12345\nab\n')], 4)).toEqual([
      { line: '1234', cut: true },
      { line: 'ab', cut: false },
    ]);
  });

  it('P1: keeps characters whole that a chunk has split, at every place', () => {
    const text = '{"text":"žluťoučký 🐎 漢字"}';
    const all = bytes(`${text}\n`);
    for (let at = 0; at <= all.length; at += 1) {
      expect(read([all.subarray(0, at), all.subarray(at)])).toEqual([{ line: text, cut: false }]);
    }
  });

  it('P1: gives back any lines, whatever the chunks', () => {
    const line = fc.string({ unit: 'grapheme' }).map((text) => text.replace(/[\r\n]/g, ''));
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.integer({ min: 1, max: 7 })), (lines, sizes) => {
        const all = bytes(lines.map((text) => `${text}\n`).join(''));
        const chunks: Uint8Array[] = [];
        for (let at = 0, i = 0; at < all.length; i += 1) {
          const size = sizes.length === 0 ? 3 : (sizes[i % sizes.length] ?? 1);
          chunks.push(all.subarray(at, at + size));
          at += size;
        }
        expect(read(chunks, 10_000).map((entry) => entry.line)).toEqual(lines);
      }),
    );
  });

  it('P1: takes a carriage return before the line feed as part of the line end', () => {
    expect(read([bytes('one\r\n\r\ntwo\n')]).map((entry) => entry.line)).toEqual([
      'one',
      '',
      'two',
    ]);
  });

  it('P1: replaces bytes that are not UTF-8 and goes on', () => {
    expect(read([Uint8Array.of(0x22, 0xff, 0x22, 0x0a), bytes('ok\n')])).toEqual([
      { line: '"\ufffd"', cut: false },
      { line: 'ok', cut: false },
    ]);
  });

  it('gives an unfinished last line only to whoever asks for it', () => {
    expect(read([bytes('panic: oh')], 100, true)).toEqual([{ line: 'panic: oh', cut: false }]);
    expect(read([bytes('done\n')], 100, true)).toEqual([{ line: 'done', cut: false }]);
  });
});
